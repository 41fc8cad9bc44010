use super::state::{MOST_DEVIATIONS, spread};
use super::*;
use crate::track::math::{length, product, rotation, rotation_vector, scale, transposed};
use crate::track::model::tests::egg;

/// A clip whose truth is known: identity, expressions and poses are drawn, landmarks are projected.
struct Made {
    model: FaceModel,
    landmarks: Vec<FrameLandmarks>,
    poses: Vec<Pose>,
    lens: Lens,
    neutral: Vec<V3>,
}

/// Numbers in −1..1 that are the same on every machine.
fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as f64 / (1u64 << 30) as f64 - 1.0
}

fn made(frames: usize, error: f64) -> Made {
    unusual(frames, error, 1.0)
}

/// A person whose identity is `strange` times as far from the mean.
fn unusual(frames: usize, error: f64, strange: f64) -> Made {
    let model = FaceModel::canonical(&egg()).expect("a model");
    let mut seed = 5;
    let identity: Vec<f64> = (0..model.identity.modes()).map(|_| strange * noise(&mut seed)).collect();
    let lens = Lens { focal: 1150.0, center: [256.0, 256.0] };
    let facing = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
    let (mut poses, mut landmarks) = (Vec::new(), Vec::new());
    for i in 0..frames {
        let t = i as f64 * 0.15;
        let turn = rotation([0.2 * (t * 0.7).sin(), 0.35 * (t * 0.5).cos(), 0.1 * t.sin()]);
        let pose = Pose {
            rotation: product(&turn, &facing),
            translation: [0.02 * t.sin(), 0.01, 0.62 + 0.03 * (0.3 * t).sin()],
        };
        let expression: Vec<f64> =
            (0..model.expression.modes()).map(|k| (t * (1.0 + 0.1 * k as f64) + k as f64).sin()).collect();
        let shape = model.shape(&identity, &expression);
        let seen =
            shape.iter().map(|p| lens.project(pose.to_camera(*p)).map(|v| v + error * noise(&mut seed)));
        landmarks.push(Some(seen.collect()));
        poses.push(pose);
    }
    let neutral = model.shape(&identity, &vec![0.0; model.expression.modes()]);
    Made { model, landmarks, poses, lens, neutral }
}

#[test]
fn a_made_up_clip_gives_its_poses_back() {
    let clip = made(60, 0.5);
    let options =
        FitOptions { focal: clip.lens.focal / 512.0, focal_deviation: 0.01, ..FitOptions::new([512, 512]) };
    let found = fit(&clip.model, &clip.landmarks, &options).expect("a fit");
    // The made-up face is larger or smaller than the mean by chance; distances follow.
    let size = spread(&clip.model, &clip.neutral).0 / spread(&clip.model, &clip.model.mean).0;
    let (mut turns, mut shifts) = (Vec::new(), Vec::new());
    // Shape and pose share one free rigid motion: compare how poses differ from the middle one's.
    let against = |poses: &[Pose], i: usize| {
        let [a, b] = [&poses[30], &poses[i]];
        (product(&b.rotation, &transposed(&a.rotation)), b.translation)
    };
    let origin = found.poses[30].with_origin(scale(found.origin, -1.0));
    println!(
        "errors {:?} size {size:.4} focal {:?} ± {:.4}",
        found.errors, found.lens, found.focal_deviation
    );
    println!("truth {:?} found {:?}", clip.poses[30].translation, origin.translation);
    for i in 0..60 {
        let (truth, _) = against(&clip.poses, i);
        let (turn, _) = against(&found.poses, i);
        turns.push(length(rotation_vector(&product(&transposed(&truth), &turn))).to_degrees());
        let place = found.poses[i].with_origin(scale(found.origin, -1.0)).translation;
        let expected = clip.poses[i].translation;
        shifts.push((place[2] * size / expected[2] - 1.0).abs());
    }
    let (turn, shift) =
        (turns.iter().copied().fold(0.0, f64::max), shifts.iter().copied().fold(0.0, f64::max));
    println!("rotation within {turn:.3} degrees, distance within {:.3} %", shift * 100.0);
    assert!(turn < 0.5 && shift < 0.005 && found.errors.stable_median < 0.45);
}

#[test]
fn offsets_settle_on_all_frames() {
    let clip = made(40, 1.5);
    let options = FitOptions { key_frames: 6, ..FitOptions::new([512, 512]) };
    let mut state = start::poses(&clip.model, &clip.landmarks, &options).expect("poses");
    let key = start::key_frames(&state, &clip.landmarks, options.key_frames);
    shared::refine(&clip.model, &clip.landmarks, &options, &key, &mut state).expect("shared");
    frames::refine(&clip.model, &clip.landmarks, &options, &mut state).expect("frames");
    let before = FitErrors::of(&clip.model, &state, &clip.landmarks);
    offsets::refine(&clip.model, &clip.landmarks, &options, &mut state);
    frames::refine(&clip.model, &clip.landmarks, &options, &mut state).expect("frames");
    let after = FitErrors::of(&clip.model, &state, &clip.landmarks);
    println!("{before:?} {after:?}");
    assert!(after.stable_mean < 0.98 * before.stable_mean && after.all_mean < 0.98 * before.all_mean);
}

#[test]
fn an_unusual_person_stays_within_five_deviations() {
    let clip = unusual(12, 0.2, 9.0);
    let found = fit(&clip.model, &clip.landmarks, &FitOptions::new([512, 512])).expect("a fit");
    let most = found.identity.iter().fold(0.0f64, |m, c| m.max(c.abs()));
    println!("identity up to {most:.2}; {:?}", found.errors);
    // Offsets take what identity may not.
    assert!(most <= MOST_DEVIATIONS && most > 3.0 && found.errors.stable_median < 1.0);
}

#[test]
fn frames_without_a_face_are_bridged() {
    let mut clip = made(24, 0.2);
    clip.landmarks[10] = None;
    clip.landmarks[11] = None;
    let found = fit(&clip.model, &clip.landmarks, &FitOptions::new([512, 512])).expect("a fit");
    assert!(!found.seen[10] && found.seen[12] && found.expression[10] != found.expression[9]);
    for i in [10, 11] {
        let apart = |a: usize, b: usize| {
            let turn = product(&found.poses[a].rotation, &transposed(&found.poses[b].rotation));
            length(rotation_vector(&turn)).to_degrees()
        };
        assert!(apart(i, 9) < apart(12, 9) && apart(i, 12) < apart(12, 9), "{i}");
    }
}

#[test]
fn too_few_faces_and_wrong_counts_are_refused() {
    let clip = made(4, 0.0);
    let options = FitOptions::new([512, 512]);
    let error = fit(&clip.model, &[None, clip.landmarks[0].clone(), None], &options).expect_err("too few");
    assert_eq!(error.exit_code(), 2);
    let short = vec![Some(vec![[0.0; 2]; 467]); 4];
    assert_eq!(fit(&clip.model, &short, &options).expect_err("467").exit_code(), 1);
    let broken = vec![Some(vec![[f64::NAN; 2]; 468]); 4];
    assert_eq!(fit(&clip.model, &broken, &options).expect_err("not numbers").exit_code(), 1);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let clip = made(12, 0.3);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| fit(&clip.model, &clip.landmarks, &FitOptions::new([512, 512]))).expect("a fit")
    };
    assert_eq!(on(1), on(3));
}
