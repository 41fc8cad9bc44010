use super::*;
use serde_json::Value;

const GOLDEN: &str = include_str!("../../tests/data/ssim_golden.json");

/// The pictures of `tests/data/ssim_golden.py`: a smooth part and an integer hash, the same to the last bit there.
fn picture(seed: u64, channels: usize, height: usize, width: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for c in 0..channels as u64 {
        for r in 0..height as u64 {
            for k in 0..width as u64 {
                let mut h = (seed * 1_000_003 + c * 7919 + r * 104_729 + k * 1_299_709) & 0xffff_ffff;
                h = (h ^ (h >> 13)).wrapping_mul(0x5bd1_e995) & 0xffff_ffff;
                h = (h ^ (h >> 15)) & 0xffff;
                let smooth = ((r * 3 + k * 5 + c * 40) % 200) as f64 / 200.0;
                out.push((0.6 * smooth + 0.4 * h as f64 / 65535.0) as f32);
            }
        }
    }
    out
}

fn mixed(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(&a, &b)| (0.8 * a as f64 + 0.2 * b as f64) as f32).collect()
}

#[test]
fn the_reported_value_is_scikit_images() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("json");
    for case in golden["cases"].as_array().expect("cases") {
        let [h, w] = ["height", "width"].map(|k| case[k].as_u64().expect("a size") as usize);
        let x = picture(1, 3, h, w);
        let y = mixed(&x, &picture(2, 3, h, w));
        let expected = case["scikit_image"].as_f64().expect("a value");
        let found = ssim(&x, &y, [h, w], None).expect("a value").expect("a number");
        assert!((found - expected).abs() < 1e-9, "{h}×{w}: {found} against {expected}");
        let expected = case["torch"].as_f64().expect("a value");
        let found = SsimLoss::new(3, h, w).value(&x, &y).expect("a value");
        assert!((found - expected).abs() < 2e-6, "{h}×{w}: {found} against {expected}");
        let mut gradient = vec![0.0; x.len()];
        SsimLoss::new(3, h, w).value_and_gradient(&x, &y, 1.0, &mut gradient).expect("a value");
        for (index, expected) in case["gradient"].as_object().expect("samples") {
            let (index, expected) =
                (index.parse::<usize>().expect("an index"), expected.as_f64().expect("a value"));
            let found = gradient[index] as f64;
            assert!(
                (found - expected).abs() < 1e-3 * expected.abs() + 2e-8,
                "{index}: {found} against {expected}"
            );
        }
    }
}

/// The training form written as its definition, in f64.
fn by_definition(x: &[f64], y: &[f64], channels: usize, h: usize, w: usize) -> f64 {
    let kernel = kernel();
    let mut sum = 0.0;
    for c in 0..channels {
        for row in 0..h {
            for column in 0..w {
                let mut m = [0.0; 5];
                for (i, wi) in kernel.iter().enumerate() {
                    for (j, wj) in kernel.iter().enumerate() {
                        let (r, k) = ((row + i).wrapping_sub(REACH), (column + j).wrapping_sub(REACH));
                        if r < h && k < w {
                            let (x, y) = (x[(c * h + r) * w + k], y[(c * h + r) * w + k]);
                            [x, y, x * x, y * y, x * y]
                                .iter()
                                .zip(&mut m)
                                .for_each(|(v, m)| *m += wi * wj * v);
                        }
                    }
                }
                sum += similarity(m);
            }
        }
    }
    sum / (channels * h * w) as f64
}

#[test]
fn the_gradient_agrees_with_central_differences() {
    for (h, w) in [(14, 17), (5, 3), (1, 12)] {
        let (x, y) = (picture(3, 2, h, w), picture(4, 2, h, w));
        let y = mixed(&x, &y);
        let wide = |v: &[f32]| v.iter().map(|&v| v as f64).collect::<Vec<f64>>();
        let (wide_x, wide_y) = (wide(&x), wide(&y));
        let mut gradient = vec![0.25; x.len()];
        let value = SsimLoss::new(2, h, w).value_and_gradient(&x, &y, 2.0, &mut gradient).expect("a value");
        assert!((value - by_definition(&wide_x, &wide_y, 2, h, w)).abs() < 2e-6);
        let largest = gradient.iter().map(|g| (g - 0.25).abs()).fold(0.0, f32::max) as f64;
        for k in 0..x.len() {
            let at = |step: f64| {
                let mut moved = wide_x.clone();
                moved[k] += step;
                by_definition(&moved, &wide_y, 2, h, w)
            };
            let expected = 0.25 + 2.0 * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (gradient[k] as f64 - expected).abs() < 1e-3 * largest,
                "{k}: {} against {expected}",
                gradient[k]
            );
        }
    }
}

#[test]
fn equal_pictures_are_alike_and_pull_nowhere() {
    let x = picture(5, 3, 20, 24);
    assert!((ssim(&x, &x, [20, 24], None).expect("a value").expect("a number") - 1.0).abs() < 1e-12);
    let mut gradient = vec![0.0; x.len()];
    let mut loss = SsimLoss::new(3, 20, 24);
    assert!((loss.value_and_gradient(&x, &x, 1.0, &mut gradient).expect("a value") - 1.0).abs() < 1e-6);
    assert!(gradient.iter().all(|g| g.abs() < 1e-6));
}

#[test]
fn a_mask_looks_only_at_its_own_windows() {
    let (h, w) = (32, 30);
    let x = picture(6, 3, h, w);
    let mut y = x.clone();
    y[..8 * w].iter_mut().for_each(|v| *v = 1.0 - *v);
    let mask = |row: usize| (0..h * w).map(|i| f32::from(u8::from(i / w == row))).collect::<Vec<f32>>();
    let under = |row: usize| ssim(&x, &y, [h, w], Some(&mask(row))).expect("a value");
    assert!(under(6).expect("a number") < 0.9);
    assert!((under(20).expect("a number") - 1.0).abs() < 1e-12);
    // No window has its centre in the first rows.
    assert_eq!(under(0), None);
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, y) = (picture(7, 3, 40, 33), picture(8, 3, 40, 33));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut gradient = vec![0.0; x.len()];
            let value =
                SsimLoss::new(3, 40, 33).value_and_gradient(&x, &y, 1.0, &mut gradient).expect("a value");
            (value.to_bits(), gradient, ssim(&x, &y, [40, 33], None).expect("a value").map(f64::to_bits))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    assert_eq!(ssim(&[0.0; 300], &[0.0; 300], [10, 10], None).expect_err("refused").exit_code(), 2);
    assert_eq!(ssim(&[0.0; 300], &[0.0; 299], [10, 10], None).expect_err("refused").exit_code(), 1);
    assert!(SsimLoss::new(3, 4, 4).value(&[0.0; 48], &[0.0; 47]).is_err());
    assert!(SsimLoss::new(3, 4, 4).value_and_gradient(&[0.0; 48], &[0.0; 48], 1.0, &mut [0.0; 4]).is_err());
}
