use super::*;

/// Discs in the plane z = 0 with the given scales and opacities, one apart along x.
fn cloud(scales: &[f32], opacities: &[f32]) -> Cloud {
    let n = scales.len();
    Cloud {
        sh_degree: 0,
        positions: (0..n).flat_map(|i| [i as f32, 0.0, 0.0]).collect(),
        rotations: [2.0, 0.0, 0.0, 0.0].repeat(n),
        log_scales: scales.iter().flat_map(|s| [s.ln(), (s * 0.5).ln()]).collect(),
        opacity_logits: opacities.iter().map(|&o| logit(o)).collect(),
        harmonics: (0..n * 3).map(|k| k as f32).collect(),
        embedding: (0..n * EMBEDDING).map(|k| k as f32).collect(),
        mouth: crate::head::cloud::Mouth::default(),
    }
}

fn stats(gradients: &[f32]) -> DensityStats {
    DensityStats {
        gradient: gradients.to_vec(),
        views: vec![1; gradients.len()],
        radius: vec![5; gradients.len()],
    }
}

fn edited(cloud: &Cloud, stats: &DensityStats, options: &DensityOptions) -> (EditList, Cloud) {
    let list = decide(cloud, stats, options).expect("a list");
    let mut after = cloud.clone();
    list.apply(&mut after).expect("applied");
    (list, after)
}

#[test]
fn a_small_steep_surfel_is_cloned() {
    let before = cloud(&[0.005, 0.005], &[0.5, 0.5]);
    let (list, after) = edited(&before, &stats(&[0.0, 0.01]), &DensityOptions::default());
    assert_eq!(list.counts, EditCounts { cloned: 1, ..EditCounts::default() });
    assert_eq!(after.len(), 3);
    assert_eq!(after.positions[6..], before.positions[3..]);
    assert_eq!(after.log_scales[4..], before.log_scales[2..]);
    assert_eq!(after.embedding[2 * EMBEDDING..], before.embedding[EMBEDDING..]);
}

#[test]
fn a_large_steep_surfel_is_split_in_its_plane() {
    let before = cloud(&[0.05, 0.005], &[0.5, 0.5]);
    let (list, after) = edited(&before, &stats(&[0.01, 0.0]), &DensityOptions::default());
    assert_eq!(list.counts, EditCounts { split: 1, ..EditCounts::default() });
    assert_eq!(after.len(), 3);
    assert_eq!(after.positions[..3], before.positions[3..]);
    for half in 1..3 {
        let p = &after.positions[half * 3..half * 3 + 3];
        assert!(p[0].abs() < 0.3 && p[1].abs() < 0.15 && p[2] == 0.0 && p[0] != 0.0, "{p:?}");
        assert!((after.log_scales[half * 2].exp() - 0.05 / 1.6).abs() < 1e-6);
        assert_eq!(after.harmonics[half * 3..half * 3 + 3], before.harmonics[..3]);
    }
    assert_ne!(after.positions[3..6], after.positions[6..]);
}

#[test]
fn halves_land_as_the_disc_is_wide() {
    let mut wide = cloud(&[0.09], &[0.5]);
    wide.rotations = quaternion::facing([1.0, 0.0, 0.0]).to_vec();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let points: Vec<[f32; 3]> = (0..20_000).map(|_| in_disc(&wide, 0, &mut random)).collect();
    let deviation = |k: usize| (points.iter().map(|p| p[k] * p[k]).sum::<f32>() / 20_000.0).sqrt();
    // The disc faces +x: its wide tangent, once along x, lies along −z now.
    assert!(deviation(0) < 1e-6, "{}", deviation(0));
    assert!((deviation(2) - 0.09).abs() < 0.002, "{}", deviation(2));
    assert!((deviation(1) - 0.045).abs() < 0.001, "{}", deviation(1));
}

#[test]
fn the_cap_leaves_room_for_the_steepest() {
    let before = cloud(&[0.005; 6], &[0.5; 6]);
    let steep = stats(&[0.002, 0.009, 0.0, 0.005, 0.009, 0.003]);
    let (list, after) =
        edited(&before, &steep, &DensityOptions { max_points: 8, ..DensityOptions::default() });
    assert_eq!(after.len(), 8);
    let cloned: Vec<u32> = list.rows[6..].iter().map(|r| r.0).collect();
    assert_eq!(cloned, [1, 4]);
    let full = DensityOptions { max_points: 3, ..DensityOptions::default() };
    assert!(edited(&before, &steep, &full).0.is_empty());
}

#[test]
fn a_split_never_passes_the_cap() {
    let before = cloud(&[0.05; 4], &[0.5; 4]);
    let options = DensityOptions { max_points: 5, ..DensityOptions::default() };
    assert_eq!(edited(&before, &stats(&[0.01; 4]), &options).1.len(), 5);
}

#[test]
fn faint_large_and_broken_surfels_go() {
    let mut before = cloud(&[0.005, 0.005, 0.2, 0.005, 0.005], &[0.5, 0.004, 0.5, 0.5, 0.5]);
    before.harmonics[3 * 3] = f32::NAN;
    let mut seen = stats(&[0.0; 5]);
    seen.radius[4] = 21;
    let (list, after) = edited(&before, &seen, &DensityOptions::default());
    assert_eq!(list.counts, EditCounts { faint: 1, large: 2, broken: 1, ..EditCounts::default() });
    assert_eq!(after.positions, before.positions[..3]);
    let lenient =
        DensityOptions { max_radius: None, max_scale: None, min_opacity: 0.0, ..DensityOptions::default() };
    assert_eq!(edited(&before, &seen, &lenient).1.len(), 4);
}

#[test]
fn what_goes_does_not_grow() {
    let before = cloud(&[0.005], &[0.001]);
    let (list, after) = edited(&before, &stats(&[1.0]), &DensityOptions::default());
    assert_eq!((list.counts.cloned, after.len()), (0, 0));
}

#[test]
fn sizes_are_measured_by_the_extent() {
    let (metres, decimetres) = (cloud(&[0.0009, 0.002], &[0.5; 2]), cloud(&[0.009, 0.02], &[0.5; 2]));
    let small = DensityOptions { extent: 0.1, ..DensityOptions::default() };
    let a = edited(&metres, &stats(&[0.01; 2]), &small).0;
    let b = edited(&decimetres, &stats(&[0.01; 2]), &DensityOptions::default()).0;
    assert_eq!(a.counts, b.counts);
    assert_eq!(a.counts, EditCounts { cloned: 1, split: 1, ..EditCounts::default() });
}

#[test]
fn moments_of_new_rows_are_zero() {
    let before = cloud(&[0.005, 0.05, 0.005, 0.005], &[0.5, 0.5, 0.001, 0.5]);
    let list = decide(&before, &stats(&[0.01, 0.01, 0.0, 0.0]), &DensityOptions::default()).expect("a list");
    let mut moments: Vec<f32> = (1..=8).map(|v| v as f32).collect();
    list.apply_moments(&mut moments, 2).expect("applied");
    assert_eq!(moments, [1.0, 2.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(list.apply_moments(&mut vec![0.0; 3], 2).expect_err("refused").exit_code(), 1);
}

#[test]
fn the_same_seed_and_step_give_the_same_list() {
    let before = cloud(&[0.05; 4], &[0.5; 4]);
    let at = |seed, step| {
        decide(&before, &stats(&[0.01; 4]), &DensityOptions { seed, step, ..DensityOptions::default() })
            .expect("a list")
    };
    assert_eq!(at(1, 100), at(1, 100));
    assert_ne!(at(1, 100), at(1, 200));
    assert_ne!(at(1, 100), at(2, 100));
}

#[test]
fn only_views_that_saw_a_surfel_count() {
    let mut s = DensityStats::new(2);
    s.add(&[3, 0, 7, 4], &[3.0, 4.0, 9.0, 9.0, 0.0, 1.0, 0.6, 0.8]).expect("added");
    assert_eq!(s.gradient, [6.0, 1.0]);
    assert_eq!((s.views.as_slice(), s.radius.as_slice()), (&[2, 1][..], &[7, 4][..]));
    assert_eq!(s.mean_gradient(0), 3.0);
    assert!(s.add(&[1, 2, 3], &[0.0; 6]).is_err());
    assert!(s.add(&[1, 2], &[0.0; 3]).is_err());
}

#[test]
fn an_empty_cloud_stays_empty() {
    let mut empty = Cloud::default();
    let list = decide(&empty, &DensityStats::new(0), &DensityOptions::default()).expect("a list");
    list.apply(&mut empty).expect("applied");
    assert!(list.is_empty() && empty.is_empty());
}

#[test]
fn the_inside_of_the_mouth_stays_last() {
    let mut before = cloud(&[0.05, 0.005, 0.05, 0.005], &[0.5, 0.5, 0.5, 0.001]);
    before.mouth = crate::head::cloud::Mouth { surfels: 2, depth_offset: 0.1 };
    let (list, after) = edited(&before, &stats(&[0.01, 0.01, 0.01, 0.0]), &DensityOptions::default());
    assert_eq!(list.counts, EditCounts { cloned: 1, split: 2, faint: 1, ..EditCounts::default() });
    let sources: Vec<u32> = list.rows.iter().map(|(source, _)| *source).collect();
    assert_eq!(sources, [1, 1, 0, 0, 2, 2]);
    assert_eq!((after.mouth.surfels, after.first_of_mouth()), (2, 4));
}
