//! A made-up dataset is written and read back equal, whole, in part and by many threads.

mod made_up;

use data_utils::Error;
use data_utils::audio::features::AudioKind;
use data_utils::camera::Camera;
use data_utils::dataset::write::DatasetWriter;
use data_utils::dataset::{Dataset, ExpressionSource, Label, OpenOptions, Part, Split};
use data_utils::formats::ply;
use made_up::*;
use rayon::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path) -> Result<Dataset, Error> {
    Dataset::open(dir, &OpenOptions::default())
}

#[test]
fn what_is_written_reads_back_equal() {
    let dir = made();
    let dataset = open(dir.path()).expect("a dataset");
    assert_eq!((dataset.train_indices(), dataset.val_indices()), (0..20, 20..22));
    assert_eq!((dataset.size, dataset.expression_source), ([WIDTH, HEIGHT], ExpressionSource::Blendshapes));
    assert_eq!((dataset.audio.kind, dataset.audio.rows), (AudioKind::Speech, FRAMES as usize));
    assert_eq!(dataset.initial_points().expect("a cloud"), cloud());
    assert_eq!(dataset.notes().len(), 1, "{:?}", dataset.notes());
    for (index, meta) in dataset.frames.iter().enumerate() {
        let id = index as u32;
        assert_eq!((meta.img_id, meta.aud_id, meta.split == Split::Val), (id, id, id >= 20));
        let (a, b) = (meta.camera, camera(id));
        let numbers = |c: &Camera| {
            [[c.fx, c.fy, c.cx, c.cy]].into_iter().chain(c.camera_from_world).flatten().collect::<Vec<_>>()
        };
        assert!(numbers(&a).iter().zip(numbers(&b)).all(|(a, b)| (a - b).abs() < 1e-9));
        let points = meta.landmarks.expect("landmarks");
        assert!(
            points.iter().flatten().zip(landmarks(id).iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-4)
        );
        assert!((0..22).all(|c| (meta.expression[c] - (index * 52 + c) as f32 / 2288.0).abs() < 1e-6));
        let pixels = dataset.pixels(index).expect("pixels");
        let face = |l: &u8| l & !Label::FACE;
        assert!(pixels.labels.iter().map(face).eq(labels(id).iter().map(face)));
        let near = pixels.rgb.iter().zip(picture(id).as_raw()).filter(|(a, b)| a.abs_diff(**b) > 40).count();
        assert!(near < pixels.rgb.len() / 50, "{near} of {} values off", pixels.rgb.len());
        assert_eq!(dataset.torso(index).expect("readable"), torso(id));
    }
    assert!(
        dataset
            .background()
            .expect("readable")
            .as_raw()
            .iter()
            .zip(background().as_raw())
            .all(|(a, b)| a.abs_diff(*b) < 4)
    );
}

/// The blur of `*_face.png` leaves blue what has face four pixels around, so that is what reads back.
#[test]
fn the_face_reads_back_smaller_by_the_blur() {
    let dir = made();
    let pixels = open(dir.path()).expect("a dataset").pixels(0).expect("pixels");
    let written = labels(0);
    for y in 4..HEIGHT as i32 - 4 {
        for x in 4..WIDTH as i32 - 4 {
            let inside = (-4..=4).all(|dy| {
                (-4..=4).all(|dx| written[((y + dy) * WIDTH as i32 + x + dx) as usize] & Label::FACE != 0)
            });
            assert_eq!(pixels.labels[(y * WIDTH as i32 + x) as usize] & Label::FACE != 0, inside, "{x} {y}");
        }
    }
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    let (a, b) = (made(), made());
    for name in [
        "transforms_train.json",
        "ori_imgs/3.jpg",
        "parsing/3_face.png",
        "gt_imgs/3.jpg",
        "fused.ply",
        "aud.wav",
    ] {
        assert_eq!(
            fs::read(a.path().join(name)).expect(name),
            fs::read(b.path().join(name)).expect(name),
            "{name}"
        );
    }
}

#[test]
fn a_dataset_that_was_not_finished_does_not_open() {
    let dir = made();
    DatasetWriter::create(dir.path(), &background()).expect("a writer");
    let message = open(dir.path()).expect_err("refused").to_string();
    assert!(message.contains("transforms_train.json"), "{message}");
}

#[test]
fn every_optional_file_may_be_missing_and_each_is_noted_once() {
    let dir = made();
    let remove = |name: &str| fs::remove_file(dir.path().join(name)).expect("removed");
    ["bc.jpg", "bs.npy", "fused.ply", "transforms_val.json", "parsing/7.png"].into_iter().for_each(remove);
    (0..FRAMES).for_each(|i| {
        remove(&format!("ori_imgs/{i}.lms"));
        remove(&format!("parsing/{i}_face.png"));
    });
    for folder in ["torso_imgs", "face_mask", "gt_imgs"] {
        fs::remove_dir_all(dir.path().join(folder)).expect("removed");
    }
    let dataset = open(dir.path()).expect("a dataset");
    let notes = dataset.notes().join("\n");
    for said in [
        "bc.jpg",
        "bs.npy",
        "fused.ply",
        "transforms_val.json",
        "parsing/7.png",
        ".lms",
        "_face.png",
        "speech features",
    ] {
        assert_eq!(dataset.notes().iter().filter(|n| n.contains(said)).count(), 1, "{said} in {notes}");
    }
    assert_eq!((dataset.train_indices().len(), dataset.val_indices().len()), (17, 2));
    assert!(
        dataset.frames.iter().all(|f| f.img_id != 7 && f.expression == [0.0; 22] && f.lips_rect().is_none())
    );
    assert!(!dataset.has_torsos());
    assert!(dataset.background().expect("black").as_raw().iter().all(|&v| v == 0));
    let pixels = dataset.pixels(0).expect("pixels");
    assert!(
        pixels
            .labels
            .iter()
            .all(|l| (l & Label::FACE != 0) == (l & (Label::HEAD | Label::HAIR) == Label::HEAD))
    );
}

#[test]
fn a_cloud_from_masks_lies_in_the_head_and_has_its_colours() {
    let dir = made();
    fs::remove_file(dir.path().join("fused.ply")).expect("removed");
    let dataset = open(dir.path()).expect("a dataset");
    let cloud = dataset.initial_points().expect("a cloud");
    assert!((10_000..40_000).contains(&cloud.positions.len()), "{} points", cloud.positions.len());
    for index in [0, 10, 19] {
        let (camera, pixels) = (dataset.frames[index].camera, dataset.pixels(index).expect("pixels"));
        let on = cloud.positions.iter().filter(|p| {
            let [x, y, depth] = camera.project(p.map(f64::from)).map(|v| v.round());
            let at = y as usize * WIDTH as usize + x as usize;
            depth > 0.0 && pixels.labels.get(at).is_some_and(|l| l & (Label::HEAD | Label::NECK) != 0)
        });
        assert!(on.count() as f64 > 0.9 * cloud.positions.len() as f64);
    }
    let depth = |p: &[f32; 3]| dataset.frames[10].camera.project(p.map(f64::from))[2];
    assert!(cloud.positions.iter().all(|p| (0.4..1.0).contains(&depth(p))));
    let colors = cloud.colors.expect("colours");
    let skin = colors.iter().filter(|c| c[0] > 150).count();
    assert!(skin * 2 > colors.len());
}

#[test]
fn points3d_and_gt_imgs_stand_in_and_metres_or_decimetres_are_the_same() {
    let dir = made();
    let at = |name: &str| dir.path().join(name);
    fs::rename(at("fused.ply"), at("points3d.ply")).expect("renamed");
    (0..FRAMES).for_each(|i| fs::remove_file(at(&format!("ori_imgs/{i}.jpg"))).expect("removed"));
    let dataset = open(dir.path()).expect("a dataset");
    assert!(dataset.notes().iter().any(|n| n.contains("points3d.ply")));
    assert!(dataset.notes().iter().any(|n| n.contains("gt_imgs")));
    dataset.pixels(0).expect("pixels");

    let mut ten = cloud();
    ten.positions.iter_mut().flatten().for_each(|c| *c *= 10.0);
    ply::write_points(&at("fused.ply"), &ten).expect("written");
    for name in ["transforms_train.json", "transforms_val.json"] {
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(at(name)).expect("read")).expect("json");
        for frame in json["frames"].as_array_mut().expect("frames") {
            for row in 0..3 {
                let value = &mut frame["transform_matrix"][row][3];
                *value = serde_json::json!(value.as_f64().expect("a number") * 10.0);
            }
        }
        fs::write(at(name), json.to_string()).expect("written");
    }
    let decimetres = open(dir.path()).expect("a dataset");
    for (a, b) in dataset.frames.iter().zip(&decimetres.frames) {
        let p = [0.03, -0.02, 0.05];
        let (m, dm) = (a.camera.project(p), b.camera.project(p.map(|c| 10.0 * c)));
        assert!((m[0] - dm[0]).abs() < 1e-6 && (m[1] - dm[1]).abs() < 1e-6);
    }
}

#[test]
fn smaller_frames_come_with_their_cameras_landmarks_and_labels() {
    let dir = made();
    let whole = open(dir.path()).expect("a dataset");
    let half = Dataset::open(dir.path(), &OpenOptions { max_side: Some(24), ..OpenOptions::default() })
        .expect("a dataset");
    assert_eq!(half.size, [24, 20]);
    let (a, b) = (&whole.frames[5], &half.frames[5]);
    let p = [0.02, 0.03, 0.0];
    let (full, small) = (a.camera.project(p), b.camera.project(p));
    assert!(((full[0] + 0.5) / 2.0 - 0.5 - small[0]).abs() < 1e-9);
    let (full, small) = (a.landmarks.expect("landmarks")[8], b.landmarks.expect("landmarks")[8]);
    assert!(((full[1] + 0.5) / 2.0 - 0.5 - small[1]).abs() < 1e-4);
    let (full, small) = (whole.pixels(5).expect("pixels"), half.pixels(5).expect("pixels"));
    let share = |p: &data_utils::dataset::FramePixels, part| {
        let mask = p.part_mask(part);
        mask.iter().filter(|m| **m).count() as f64 / mask.len() as f64
    };
    for part in [Part::Head, Part::All] {
        assert!((share(&full, part) - share(&small, part)).abs() < 0.03, "{part}");
    }
    assert_eq!(small.rgb.len(), 24 * 20 * 3);
    assert_eq!(half.torso(5).expect("readable").dimensions(), (24, 20));
    assert_eq!(half.background().expect("readable").dimensions(), (24, 20));
}

#[test]
fn frames_are_kept_within_the_budget_from_any_thread() {
    let dir = made();
    let frame = u64::from(WIDTH * HEIGHT * 4);
    let options = OpenOptions { image_budget: 3 * frame, ..OpenOptions::default() };
    let dataset = Dataset::open(dir.path(), &options).expect("a dataset");
    (0..200usize).into_par_iter().for_each(|i| {
        let index = i * 7 % FRAMES as usize;
        let pixels = dataset.pixels(index).expect("pixels");
        assert!(
            pixels
                .labels
                .iter()
                .map(|l| l & !Label::FACE)
                .eq(labels(index as u32).iter().map(|l| l & !Label::FACE))
        );
        assert!(dataset.cached_bytes() <= 3 * frame);
    });
    let (first, second) = (dataset.pixels(1).expect("pixels"), dataset.pixels(1).expect("pixels"));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(matches!(dataset.pixels(99), Err(Error::Internal(_))));
}

/// 7,500 frames, as five minutes of video have, open without reading a picture whole and stay within the budget.
#[cfg(unix)]
#[test]
fn five_minutes_of_video_stay_within_the_budget() {
    const MANY: u32 = 7_500;
    let source = made();
    let dir = tempfile::tempdir().expect("a temporary folder");
    for folder in ["ori_imgs", "parsing"] {
        fs::create_dir(dir.path().join(folder)).expect("a folder");
    }
    let mut frames = Vec::new();
    for id in 0..MANY {
        for (folder, end) in
            [("ori_imgs", ".jpg"), ("ori_imgs", ".lms"), ("parsing", ".png"), ("parsing", "_face.png")]
        {
            let target = source.path().join(folder).join(format!("{}{end}", id % FRAMES));
            std::os::unix::fs::symlink(target, dir.path().join(folder).join(format!("{id}{end}")))
                .expect("a link");
        }
        let matrix = camera(id % FRAMES).to_opengl();
        frames.push(serde_json::json!({ "img_id": id, "aud_id": id, "transform_matrix": matrix }));
    }
    let json = serde_json::json!({ "focal_len": 100.0, "cx": 24.0, "cy": 20.0, "frames": frames });
    fs::write(dir.path().join("transforms_train.json"), json.to_string()).expect("written");
    fs::copy(source.path().join("fused.ply"), dir.path().join("fused.ply")).expect("copied");
    data_utils::formats::npy::write(
        &dir.path().join("aud_ave.npy"),
        &[MANY as usize, 512],
        &vec![0.1; MANY as usize * 512],
    )
    .expect("written");
    let budget = u64::from(WIDTH * HEIGHT * 4) * 100;
    let start = std::time::Instant::now();
    let dataset = Dataset::open(dir.path(), &OpenOptions { image_budget: budget, ..OpenOptions::default() })
        .expect("a dataset");
    println!("{MANY} frames opened in {:.2} s", start.elapsed().as_secs_f64());
    assert_eq!(dataset.frames.len(), MANY as usize);
    (0..dataset.frames.len() / 5).into_par_iter().for_each(|index| {
        dataset.pixels(index * 5).expect("pixels");
        assert!(dataset.cached_bytes() <= budget);
    });
    assert!(dataset.cached_bytes() > budget / 2);
}

#[test]
fn cameras_of_larger_pictures_are_scaled_with_the_pictures() {
    let dir = made();
    let whole = Dataset::open(dir.path(), &OpenOptions::default()).expect("a dataset");
    for name in ["transforms_train.json", "transforms_val.json"] {
        let path = dir.path().join(name);
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("json");
        for key in ["focal_len", "cx", "cy"] {
            json[key] = (2.0 * json[key].as_f64().expect("a number")).into();
        }
        std::fs::write(&path, json.to_string()).expect("written");
    }
    let resized = Dataset::open(dir.path(), &OpenOptions::default()).expect("a dataset");
    assert_eq!(resized.frames, whole.frames);
    assert!(resized.notes().iter().any(|note| note.contains("2.00 times as large")), "{:?}", resized.notes());
}
