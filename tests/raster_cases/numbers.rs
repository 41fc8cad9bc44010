//! Numbers that are none, or extreme, and many surfels in one tile.

use crate::common::scene::{random_gradients, random_scene};
use crate::{assert_finite, draw, go_back, gradients, images, slots};
use surfeltalk::raster::ImageGradients;

#[test]
fn a_surfel_with_a_number_that_is_none_is_left_out() {
    let clean = random_scene(8, 12, 48, 40).cast::<f32>();
    let poisoned = 5;
    let mut without = clean.clone();
    without.opacities[poisoned] = 0.0;
    let expected = draw(&without);
    let upstream = random_gradients(2, &expected);
    let expected_back = go_back(&without, &expected, &upstream);
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
        for slot in 0..6 {
            for component in 0..slots(&mut clean.clone())[slot].1 {
                let mut scene = clean.clone();
                let (name, width, values) = &mut slots(&mut scene)[slot];
                values[poisoned * *width + component] = poison;
                let what = format!("{poison} in {name} {component}");
                let drawn = draw(&scene);
                assert_eq!(images(&drawn), images(&expected), "{what}");
                assert_eq!(drawn.radii[poisoned], 0, "{what}");
                let back = go_back(&scene, &drawn, &upstream);
                assert_eq!(gradients(&back), gradients(&expected_back), "{what}");
            }
        }
    }
}

#[test]
fn extreme_numbers_make_no_infinities() {
    let clean = random_scene(8, 12, 48, 40).cast::<f32>();
    let poisoned = 5;
    for poison in [0.0, -0.0, 1e-45, -1e-45, 1e-38, 1e-20, 1e6, -1e6, 1e12, -1e12, 9e14, 1.1e15] {
        for slot in 0..6 {
            for component in 0..slots(&mut clean.clone())[slot].1 {
                let mut scene = clean.clone();
                let (name, width, values) = &mut slots(&mut scene)[slot];
                values[poisoned * *width + component] = poison;
                let what = format!("{poison} in {name} {component}");
                let drawn = draw(&scene);
                assert_finite(images(&drawn), &what);
                let back = go_back(&scene, &drawn, &random_gradients(2, &drawn));
                assert_finite(gradients(&back), &what);
            }
        }
    }
}

#[test]
fn a_camera_with_a_number_that_is_none_sees_the_background() {
    for poison in [f64::NAN, f64::INFINITY, 0.0] {
        let mut scene = random_scene(8, 12, 20, 20);
        scene.cameras[0].fx = poison;
        let drawn = draw(&scene);
        assert_finite(images(&drawn), "a poisoned camera");
        assert!(drawn.alpha.iter().all(|&a| a == 0.0));
        assert_finite(gradients(&go_back(&scene, &drawn, &random_gradients(1, &drawn))), "a poisoned camera");
    }
}

#[test]
fn a_tile_takes_fifty_thousand_surfels() {
    let mut scene = random_scene(9, 50_000, 16, 16).cast::<f32>();
    scene.opacities.iter_mut().for_each(|o| *o = 0.006);
    scene.settings.background = [1.0; 7];
    let drawn = draw(&scene);
    assert_finite(images(&drawn), "a full tile");
    let least = drawn.alpha.iter().copied().fold(1.0_f32, f32::min);
    assert!(least > 0.8, "{least}");
    let back = go_back(&scene, &drawn, &random_gradients(1, &drawn));
    assert_finite(gradients(&back), "a full tile");
    // The brightness of everything at once is what the rays gather before the background.
    let upstream = ImageGradients { color: vec![1.0; 3 * 256], ..ImageGradients::default() };
    let gathered: f64 = go_back(&scene, &drawn, &upstream).colors.iter().map(|&v| f64::from(v)).sum();
    let alpha: f64 = drawn.alpha.iter().map(|&v| f64::from(v)).sum();
    assert!((gathered / (3.0 * alpha) - 1.0).abs() < 1e-4, "{gathered} of {alpha}");
}
