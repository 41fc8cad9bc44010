//! How well a mouth follows another: landmark distance, opening, correlation. The 68 landmarks are those of
//! iBUG 300-W, (column, row) in pixels; 48..68 is the mouth, 60..68 its inner edge.

use crate::{Error, Result};

/// 68 landmarks of one face, (column, row) in pixels.
pub type Landmarks68 = [[f32; 2]; 68];

/// Landmark distance of the mouth (LMD, Chen et al. 2018, as SyncTalk measures it): both mouths are centred on the
/// mean of their own landmarks; the mean distance of landmark to landmark, pixels.
pub fn mouth_distance(a: &Landmarks68, b: &Landmarks68) -> f64 {
    let centred = |points: &Landmarks68| -> [[f64; 2]; 20] {
        let mouth: [[f64; 2]; 20] = std::array::from_fn(|i| points[48 + i].map(f64::from));
        let mean: [f64; 2] = std::array::from_fn(|k| mouth.iter().map(|p| p[k]).sum::<f64>() / 20.0);
        mouth.map(|p| [p[0] - mean[0], p[1] - mean[1]])
    };
    let (a, b) = (centred(a), centred(b));
    a.iter().zip(&b).map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).sum::<f64>() / 20.0
}

/// Mean distance of the three pairs of landmarks on the inner edges of the lips, as a part of the distance of the
/// outer corners of the eyes, which does not change when the head comes nearer. 0 without a face to measure by.
pub fn mouth_opening(points: &Landmarks68) -> f64 {
    opening(points, &[(61, 67), (62, 66), (63, 65)])
}

/// Mean distance of the four pairs of landmarks on the lids, as a part of the distance of the outer corners of the eyes. 0 without
/// a face to measure by.
pub fn eye_opening(points: &Landmarks68) -> f64 {
    opening(points, &[(37, 41), (38, 40), (43, 47), (44, 46)])
}

/// Mean distance of pairs of landmarks, as a part of the distance of the outer corners of the eyes.
fn opening(points: &Landmarks68, pairs: &[(usize, usize)]) -> f64 {
    let distance = |i: usize, j: usize| {
        let (p, q) = (points[i], points[j]);
        (p[0] as f64 - q[0] as f64).hypot(p[1] as f64 - q[1] as f64)
    };
    let eyes = distance(36, 45);
    let gap = pairs.iter().map(|(i, j)| distance(*i, *j)).sum::<f64>() / pairs.len() as f64;
    if eyes > 0.0 { gap / eyes } else { 0.0 }
}

/// Pearson's correlation of two series. `None` when either does not change, or when there are fewer than two values.
///
/// # Errors
/// [`Error::Internal`] when they are of different lengths.
pub fn correlation(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    if a.len() != b.len() {
        return Err(Error::Internal(format!("correlation of {} values with {}", a.len(), b.len())));
    }
    let n = a.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let moment = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    let (xx, yy, xy) = (moment(&|x, _| x * x), moment(&|_, y| y * y), moment(&|x, y| x * y));
    // A constant series is not exactly constant after its rounded mean is taken away.
    let still = |square: f64, mean: f64| square <= n * (mean * 1e-12).powi(2);
    if a.len() < 2 || still(xx, ma) || still(yy, mb) {
        return Ok(None);
    }
    Ok(Some(xy / (xx * yy).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Landmarks68 {
        std::array::from_fn(|i| [(i * 37 % 61) as f32, (i * 53 % 47) as f32])
    }

    #[test]
    fn a_moved_mouth_is_the_same_mouth() {
        let face = face();
        let moved = face.map(|p| [p[0] + 12.0, p[1] - 7.0]);
        assert!(mouth_distance(&face, &moved) < 1e-9);
    }

    #[test]
    fn one_landmark_off_counts_by_a_twentieth() {
        let face = face();
        let mut other = face;
        other[50][0] += 10.0;
        other[10][0] += 1000.0;
        // Centring moves all twenty by half a pixel: one is off by 9.5, nineteen by 0.5.
        assert!((mouth_distance(&face, &other) - (9.5 + 19.0 * 0.5) / 20.0).abs() < 1e-6);
    }

    #[test]
    fn the_opening_is_a_part_of_the_eyes_distance() {
        let mut face = [[0.0f32; 2]; 68];
        (face[36], face[45]) = ([100.0, 100.0], [200.0, 100.0]);
        for (upper, lower, gap) in [(61, 67, 10.0), (62, 66, 20.0), (63, 65, 30.0)] {
            (face[upper], face[lower]) = ([150.0, 200.0], [150.0, 200.0 + gap]);
        }
        assert!((mouth_opening(&face) - 0.2).abs() < 1e-9);
        let nearer = face.map(|p| p.map(|v| v * 1.5));
        assert!((mouth_opening(&nearer) - 0.2).abs() < 1e-6);
        assert_eq!(mouth_opening(&[[3.0; 2]; 68]), 0.0);
    }

    #[test]
    fn correlation_sees_likeness_and_its_opposite() {
        let a = [0.1, 0.5, 0.2, 0.9, 0.4];
        let same = a.map(|v| 3.0 * v + 1.0);
        let opposite = a.map(|v| -v);
        let value = |b: &[f64]| correlation(&a, b).expect("same lengths");
        assert!((value(&same).expect("a number") - 1.0).abs() < 1e-12);
        assert!((value(&opposite).expect("a number") + 1.0).abs() < 1e-12);
        // numpy.corrcoef([.1, .5, .2, .9, .4], [.3, .1, .4, .8, .2])
        let found = value(&[0.3, 0.1, 0.4, 0.8, 0.2]).expect("a number");
        assert!((found - 0.606_070_127_8).abs() < 1e-9, "{found}");
        assert_eq!(value(&[0.1; 5]), None);
        assert_eq!(correlation(&[], &[]).expect("same lengths"), None);
        assert!(correlation(&a, &a[1..]).is_err());
    }
}
