//! How alike two series of numbers are: concordance, lag, amplitude, ranks. Correlation is [`super::landmarks::correlation`].

use super::landmarks::correlation;
use crate::Result;

/// Mean and standard deviation.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// The value that a share of all values does not exceed; none without values.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((share.clamp(0.0, 1.0) * last as f64).round() as usize).copied()
}

/// Concordance of two series, `2σ_xy / (σ_x² + σ_y² + (μ_x − μ_y)²)` (Lin 1989): a correlation that also falls with a wrong
/// amplitude and a wrong mean. `None` when neither changes, or without values.
///
/// # Errors
/// [`crate::Error::Internal`] when they are of different lengths.
pub fn concordance(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    let r = correlation(a, b)?;
    let ((mean_a, deviation_a), (mean_b, deviation_b)) = (moments(a), moments(b));
    let scale = deviation_a.powi(2) + deviation_b.powi(2) + (mean_a - mean_b).powi(2);
    Ok((scale > 0.0).then(|| 2.0 * r.unwrap_or(0.0) * deviation_a * deviation_b / scale))
}

/// Where two series fit best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// By how many values the first comes after the second, between values by a parabola.
    pub values: f64,
    /// Their correlation there, at the whole number of values next to it.
    pub correlation: f64,
}

/// The lag of `a` behind `b` up to `most` values either way at which they correlate best; `None` when nothing correlates.
///
/// # Errors
/// [`crate::Error::Internal`] when they are of different lengths.
pub fn best_lag(a: &[f64], b: &[f64], most: usize) -> Result<Option<Lag>> {
    let most = most as i64;
    let at = |lag: i64| -> Result<Option<f64>> {
        let by = lag.unsigned_abs() as usize;
        let (Some(late), Some(early)) = (a.get(by..), b.get(by..)) else { return Ok(None) };
        match lag >= 0 {
            true => correlation(late, &b[..b.len() - by]),
            false => correlation(&a[..a.len() - by], early),
        }
    };
    // With equal lengths both slices exist or neither does; this says so where they differ.
    correlation(a, b)?;
    let all = (-most..=most).map(at).collect::<Result<Vec<_>>>()?;
    let score = |k: usize| all.get(k).copied().flatten();
    // The lag nearest to none wins among equals.
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|k| (*k as i64 - most).abs());
    let mut best: Option<(usize, f64)> = None;
    for k in order {
        if let Some(r) = score(k)
            && best.is_none_or(|(_, found)| r > found)
        {
            best = Some((k, r));
        }
    }
    Ok(best.map(|(k, r)| {
        let beside = k.checked_sub(1).and_then(score).zip(score(k + 1));
        let offset = beside.map_or(0.0, |(before, after)| {
            let bend = before - 2.0 * r + after;
            if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 }
        });
        Lag { values: (k as i64 - most) as f64 + offset, correlation: r }
    }))
}

/// The share of pairs of one marked and one unmarked value in which the marked one is the smaller, equal ones counting half:
/// the area under the ROC curve. `None` when all or none are marked.
pub fn smaller_share(values: &[f64], is_marked: &[bool]) -> Option<f64> {
    let part = |marked: bool| -> Vec<f64> {
        let mut part: Vec<f64> =
            values.iter().zip(is_marked).filter(|(_, m)| **m == marked).map(|(v, _)| *v).collect();
        part.sort_by(f64::total_cmp);
        part
    };
    let (marked, others) = (part(true), part(false));
    if marked.is_empty() || others.is_empty() {
        return None;
    }
    let wins: f64 = marked
        .iter()
        .map(|v| {
            let below = others.partition_point(|o| o < v);
            let equal = others.partition_point(|o| o <= v) - below;
            (others.len() - below - equal) as f64 + 0.5 * equal as f64
        })
        .sum();
    Some(wins / (marked.len() * others.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, by: f64) -> Vec<f64> {
        (0..count).map(|i| ((i as f64 - by) * 0.37).sin() + 0.5 * ((i as f64 - by) * 0.11).cos()).collect()
    }

    #[test]
    fn concordance_is_one_for_equals_and_falls_with_amplitude_and_mean() {
        let a = wave(200, 0.0);
        let with = |f: fn(f64) -> f64| {
            let b: Vec<f64> = a.iter().map(|v| f(*v)).collect();
            concordance(&b, &a).expect("same lengths").expect("a number")
        };
        assert!((with(|v| v) - 1.0).abs() < 1e-12);
        assert!(with(|v| 1.5 * v) < 0.95 && with(|v| v + 1.0) < 0.8);
        assert!((with(|v| -v) + 1.0).abs() < 0.05);
        assert_eq!(concordance(&[1.0; 4], &[1.0; 4]).expect("same lengths"), None);
        assert_eq!(concordance(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]).expect("same lengths"), Some(0.0));
        assert!(concordance(&a, &a[1..]).is_err());
    }

    #[test]
    fn a_series_that_comes_later_has_that_lag() {
        let lag =
            |by: f64| best_lag(&wave(300, by), &wave(300, 0.0), 12).expect("same lengths").expect("a lag");
        for by in [-7.0, -2.0, 0.0, 3.0, 2.5, 11.0] {
            let found = lag(by);
            assert!((found.values - by).abs() < 0.1 && found.correlation > 0.98, "{by}: {found:?}");
        }
        assert_eq!(best_lag(&[1.0; 30], &wave(30, 0.0), 12).expect("same lengths"), None);
        assert_eq!(best_lag(&[], &[], 12).expect("same lengths"), None);
        assert!(best_lag(&[1.0], &[1.0, 2.0], 12).is_err());
    }

    #[test]
    fn ranks_of_marked_values() {
        assert_eq!(smaller_share(&[1.0, 2.0, 3.0, 4.0], &[true, true, false, false]), Some(1.0));
        assert_eq!(smaller_share(&[1.0, 2.0, 3.0, 4.0], &[false, false, true, true]), Some(0.0));
        assert_eq!(smaller_share(&[1.0; 4], &[true, false, true, false]), Some(0.5));
        assert_eq!(smaller_share(&[1.0, 3.0, 2.0], &[true, true, false]), Some(0.5));
        assert_eq!(smaller_share(&[1.0], &[true]), None);
    }

    #[test]
    fn quantiles_lie_among_the_values() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&values, q)), [Some(1.0), Some(3.0), Some(5.0)]);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
