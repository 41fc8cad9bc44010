use super::*;

fn grid(side: usize, step: f32) -> Vec<[f32; 3]> {
    (0..side * side).map(|i| [(i % side) as f32 * step, (i / side) as f32 * step, 0.0]).collect()
}

fn start(points: &Points<'_>) -> Cloud {
    from_points(points, &InitOptions::default()).expect("a cloud")
}

#[test]
fn a_grid_gives_discs_as_wide_as_its_step() {
    let positions = grid(20, 0.25);
    let cloud = start(&Points { positions: &positions, ..Points::default() });
    let middle = 10 * 20 + 10;
    let expected = 0.25f32.ln();
    assert!((cloud.log_scales[2 * middle] - expected).abs() < 1e-5);
    assert!((cloud.log_scales[2 * middle + 1] - expected).abs() < 1e-5);
}

#[test]
fn decimetres_start_as_metres_do() {
    let (metres, decimetres) = (grid(12, 0.01), grid(12, 0.1));
    let a = start(&Points { positions: &metres, ..Points::default() });
    let b = start(&Points { positions: &decimetres, ..Points::default() });
    for (x, y) in a.log_scales.iter().zip(&b.log_scales) {
        assert!((x + 10f32.ln() - y).abs() < 1e-4);
    }
    assert!((extent(&a.positions) * 10.0 - extent(&b.positions)).abs() < 1e-4);
}

#[test]
fn triangles_lay_the_discs_on_the_surface() {
    // A square in the plane x = 0, facing +x.
    let positions = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]];
    let cloud = start(&Points { positions: &positions, faces: &[[0, 1, 2], [0, 2, 3]], ..Points::default() });
    for q in cloud.rotations.chunks_exact(4) {
        let normal = quaternion::axes([q[0], q[1], q[2], q[3]])[2];
        assert!((normal[0] - 1.0).abs() < 1e-6, "{normal:?}");
    }
}

#[test]
fn normals_win_over_triangles() {
    let positions = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]];
    let normals = [[0.0, 5.0, 0.0]; 3];
    let points = Points { positions: &positions, normals: Some(&normals), faces: &[[0, 1, 2]], colors: None };
    let q = start(&points).rotations;
    assert!((quaternion::axes([q[0], q[1], q[2], q[3]])[2][1] - 1.0).abs() < 1e-6);
}

#[test]
fn a_colour_comes_back_from_its_harmonic() {
    let colors = [[255u8, 0, 51]];
    let cloud = start(&Points { positions: &[[1.0, 2.0, 3.0]], colors: Some(&colors), ..Points::default() });
    let back: Vec<f32> = cloud.harmonics[..3].iter().map(|h| 0.5 + SH_C0 * h).collect();
    for (value, expected) in back.iter().zip([1.0, 0.0, 0.2]) {
        assert!((value - expected).abs() < 1e-6);
    }
    assert!(cloud.harmonics[3..].iter().all(|&h| h == 0.0));
    let opacity = 1.0 / (1.0 + (-cloud.opacity_logits[0]).exp());
    assert!((opacity - 0.1).abs() < 1e-6);
}

#[test]
fn thinning_is_even_and_repeatable() {
    // A dense and a sparse half: after thinning the dense one must not hold nearly everything.
    let mut positions = grid(100, 0.001);
    positions.extend(grid(10, 0.01).iter().map(|p| [p[0] + 0.2, p[1], p[2]]));
    let chosen = spread(&positions, 200, 7);
    assert_eq!(chosen.len(), 200);
    let sparse = chosen.iter().filter(|&&i| positions[i as usize][0] >= 0.2).count();
    assert!((60..=100).contains(&sparse), "{sparse} of 200 in the sparse half");
    assert_eq!(chosen, spread(&positions, 200, 7));
    assert_ne!(chosen, spread(&positions, 200, 8));
}

#[test]
fn thinning_copes_with_points_in_one_place() {
    let positions = vec![[0.5f32; 3]; 500];
    let options = InitOptions { max_points: 40, ..InitOptions::default() };
    let cloud =
        from_points(&Points { positions: &positions, ..Points::default() }, &options).expect("a cloud");
    assert_eq!(cloud.len(), 40);
    assert!(cloud.log_scales.iter().all(|s| s.is_finite()));
}

#[test]
fn doubled_points_keep_a_finite_scale() {
    let mut positions = grid(8, 0.1);
    positions.extend(std::iter::repeat_n([0.35, 0.35, 0.0], 200));
    let cloud = start(&Points { positions: &positions, ..Points::default() });
    assert_eq!(cloud.len(), 264);
    assert!(cloud.log_scales.iter().all(|s| s.is_finite()));
}

#[test]
fn an_outlier_does_not_become_a_giant() {
    let mut positions = grid(20, 0.01);
    positions.push([50.0, 0.0, 0.0]);
    let cloud = start(&Points { positions: &positions, ..Points::default() });
    let largest = cloud.log_scales.iter().copied().fold(f32::MIN, f32::max).exp();
    assert!(largest <= 0.1 * extent(&cloud.positions) * 1.001 && largest < 1.0, "{largest}");
}

#[test]
fn no_points_and_broken_points_are_refused() {
    let options = InitOptions::default();
    let refused = |positions: &[[f32; 3]], options: &InitOptions| {
        let error = from_points(&Points { positions, ..Points::default() }, options).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused(&[], &options).contains("at least one point"));
    assert!(refused(&[[0.0, f32::NAN, 0.0]], &options).contains("finite"));
    assert!(refused(&[[0.0; 3]], &InitOptions { max_points: 0, ..options }).contains("--max_points"));
    assert!(refused(&[[0.0; 3]], &InitOptions { opacity: 1.0, ..options }).contains("init_opacity"));
    assert!(refused(&[[0.0; 3]], &InitOptions { sh_degree: 4, ..options }).contains("sh_degree"));
}
