//! How two arrays differ, and what is too much.

/// Differences of two images over the pixels that count.
#[derive(Debug, Clone, Copy)]
pub struct ImageDifference {
    /// Largest.
    pub max: f64,
    /// 99.9 % of the pixels differ by no more.
    pub p999: f64,
}

/// `counts` says which pixels are compared; images are `[channels, counts.len()]`.
pub fn image_difference(found: &[f32], expected: &[f32], counts: &[bool]) -> ImageDifference {
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.len() % counts.len(), 0);
    let mut differences: Vec<f64> = found
        .iter()
        .zip(expected)
        .enumerate()
        .filter(|(i, _)| counts[i % counts.len()])
        .map(|(_, (a, b))| not_nan(f64::from(*a) - f64::from(*b)))
        .collect();
    assert!(!differences.is_empty(), "no pixel counts");
    differences.sort_by(f64::total_cmp);
    ImageDifference { max: quantile(&differences, 1.0), p999: quantile(&differences, 0.999) }
}

/// Differences of two sets of gradients.
#[derive(Debug, Clone, Copy)]
pub struct GradientDifference {
    /// ‖a − b‖ / ‖b‖.
    pub relative: f64,
    /// 95 % of the surfels have an error |a − b| / (|b| + 0.01·median |b|) of no more.
    pub p95: f64,
}

/// Arrays are `[surfels, width]`; surfels where `counts` is false are left out.
pub fn gradient_difference(
    found: &[f32],
    expected: &[f32],
    width: usize,
    counts: &[bool],
) -> GradientDifference {
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.len(), width * counts.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|d| d * d).sum::<f64>().sqrt();
    let (mut errors, mut norms, mut square, mut total) = (Vec::new(), Vec::new(), 0.0, 0.0);
    for (i, (a, b)) in found.chunks(width).zip(expected.chunks(width)).enumerate() {
        if !counts[i] {
            continue;
        }
        let error = not_nan(norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b))));
        let size = norm(&mut b.iter().map(|b| f64::from(*b)));
        square += error * error;
        total += size * size;
        errors.push(error);
        norms.push(size);
    }
    let mut ordered = norms.clone();
    ordered.sort_by(f64::total_cmp);
    let floor = 0.01 * quantile(&ordered, 0.5);
    let mut relative: Vec<f64> =
        errors.iter().zip(&norms).map(|(e, n)| if *e == 0.0 { 0.0 } else { e / (n + floor) }).collect();
    relative.sort_by(f64::total_cmp);
    GradientDifference {
        relative: if square == 0.0 { 0.0 } else { (square / total).sqrt() },
        p95: quantile(&relative, 0.95),
    }
}

/// NaN would pass every comparison unseen.
fn not_nan(v: f64) -> f64 {
    if v.is_nan() { f64::INFINITY } else { v.abs() }
}

fn quantile(ascending: &[f64], q: f64) -> f64 {
    match ascending.len() {
        0 => 0.0,
        n => ascending[((n - 1) as f64 * q).round() as usize],
    }
}
