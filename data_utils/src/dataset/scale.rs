//! Pictures made smaller: area averaging for colours, the pixel under the centre for labels.

/// Size of a picture whose longer side is brought down to `max_side`; never up.
pub(super) fn target([width, height]: [u32; 2], max_side: Option<u32>) -> [u32; 2] {
    let longer = width.max(height);
    match max_side {
        Some(most) if most > 0 && most < longer => [width, height]
            .map(|s| ((f64::from(s) * f64::from(most) / f64::from(longer)).round() as u32).max(1)),
        _ => [width, height],
    }
}

/// Area average of `channels` interleaved bytes, `[height, width, channels]`.
pub(super) fn area(source: &[u8], from: [u32; 2], channels: usize, to: [u32; 2]) -> Vec<u8> {
    if from == to {
        return source.to_vec();
    }
    let [w, h] = from.map(|s| s as usize);
    let [w2, h2] = to.map(|s| s as usize);
    let (columns, rows) = (spans(w, w2), spans(h, h2));
    let mut line = vec![0f32; w * channels];
    let mut out = Vec::with_capacity(w2 * h2 * channels);
    for (row, weights) in &rows {
        line.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            let at = (row + k) * w * channels;
            line.iter_mut()
                .zip(&source[at..at + w * channels])
                .for_each(|(l, s)| *l += weight * f32::from(*s));
        }
        for (column, weights) in &columns {
            for c in 0..channels {
                let sum: f32 = weights
                    .iter()
                    .enumerate()
                    .map(|(k, weight)| weight * line[(column + k) * channels + c])
                    .sum();
                out.push((sum + 0.5) as u8);
            }
        }
    }
    out
}

/// For each target pixel the first source pixel it covers and the share of each from there on.
fn spans(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let (start, end) = (i as f64 * step, ((i + 1) as f64 * step).min(from as f64));
            let first = (start.floor() as usize).min(from - 1);
            let last = (end.ceil() as usize).clamp(first + 1, from);
            let share = |k: usize| ((end.min((k + 1) as f64) - start.max(k as f64)).max(0.0) / step) as f32;
            (first, (first..last).map(share).collect())
        })
        .collect()
}

/// The pixel under each target pixel's centre.
pub(super) fn nearest(source: &[u8], from: [u32; 2], to: [u32; 2]) -> Vec<u8> {
    if from == to {
        return source.to_vec();
    }
    let at = |i: u32, from: u32, to: u32| {
        ((2 * u64::from(i) + 1) * u64::from(from) / (2 * u64::from(to))) as usize
    };
    let columns: Vec<usize> = (0..to[0]).map(|x| at(x, from[0], to[0])).collect();
    (0..to[1])
        .flat_map(|y| {
            let row = at(y, from[1], to[1]) * from[0] as usize;
            columns.iter().map(move |x| source[row + x])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_four_pixels() {
        let source = [10, 20, 100, 100, 30, 40, 100, 100];
        assert_eq!(area(&source, [4, 2], 1, [2, 1]), [25, 100]);
    }

    #[test]
    fn a_constant_picture_stays_constant_at_any_size() {
        let source = [77u8; 13 * 11 * 3];
        for to in [[12, 10], [5, 3], [1, 1], [13, 2]] {
            assert!(area(&source, [13, 11], 3, to).iter().all(|&v| v == 77), "{to:?}");
        }
    }

    #[test]
    fn the_mean_is_kept() {
        let source: Vec<u8> = (0..90 * 60).map(|i| (i * 7919 % 251) as u8).collect();
        let mean = |v: &[u8]| v.iter().map(|&x| f64::from(x)).sum::<f64>() / v.len() as f64;
        let small = area(&source, [90, 60], 1, [37, 25]);
        assert!((mean(&source) - mean(&small)).abs() < 0.2);
    }

    #[test]
    fn sizes_go_down_only_and_keep_their_shape() {
        assert_eq!(target([512, 256], Some(128)), [128, 64]);
        assert_eq!(target([100, 50], Some(512)), [100, 50]);
        assert_eq!(target([100, 50], None), [100, 50]);
        assert_eq!(target([4000, 1], Some(10)), [10, 1]);
    }

    #[test]
    fn labels_are_taken_and_not_mixed() {
        assert_eq!(nearest(&[1, 2, 4, 8], [4, 1], [2, 1]), [2, 8]);
        assert_eq!(nearest(&[1, 2, 4], [3, 1], [1, 1]), [2]);
    }
}
