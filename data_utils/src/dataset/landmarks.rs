//! 68 face landmarks of a frame (`ori_imgs/*.lms`, iBUG order) and the rectangles cut by them.

use crate::media::files;
use std::path::Path;

/// A rectangle of pixels: rows `row0..row1`, columns `col0..col1`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First row.
    pub row0: usize,
    /// Row after the last.
    pub row1: usize,
    /// First column.
    pub col0: usize,
    /// Column after the last.
    pub col1: usize,
}

/// Landmarks as columns and rows, pixels.
pub type Points68 = [[f32; 2]; 68];

/// Reads `"x y"` lines; what is wrong is said in a few words.
pub(super) fn read(path: &Path) -> std::result::Result<Points68, String> {
    let bytes = files::read_bounded(path, 64 << 10)
        .map_err(|_| "a file that is too large or unreadable".to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let numbers: Option<Vec<f32>> = text.split_whitespace().map(|t| t.parse::<f32>().ok()).collect();
    match numbers {
        None => Err("text that is no number".into()),
        Some(n) if n.iter().any(|v| !v.is_finite()) => Err("numbers that are not finite".into()),
        Some(n) if n.len() != 136 => Err(format!("{} numbers", n.len())),
        Some(n) => Ok(std::array::from_fn(|i| [n[2 * i], n[2 * i + 1]])),
    }
}

/// Bounds of the landmarks in `range`, on a picture of `size` (width, height).
pub(super) fn bounds(points: &Points68, range: std::ops::Range<usize>, size: [u32; 2]) -> Option<Rect> {
    let [c0, c1, r0, r1] = extremes(points, range);
    clip([r0, r1, c0, c1], size)
}

/// The lips: their bounds made square around the centre and clipped (SyncTalk's `lips_rect`).
pub(super) fn lips(points: &Points68, size: [u32; 2]) -> Option<Rect> {
    let [c0, c1, r0, r1] = extremes(points, 48..60);
    let half = (r1 - r0).max(c1 - c0) / 2;
    let (row, col) = ((r0 + r1) / 2, (c0 + c1) / 2);
    clip([row - half, row + half, col - half, col + half], size)
}

/// Eyes and brows: their bounds, a quarter of the height taller at the top, where brows rise to, and a tenth at the
/// bottom.
pub(super) fn eyes(points: &Points68, size: [u32; 2]) -> Option<Rect> {
    let [brows, eyes] = [extremes(points, 17..27), extremes(points, 36..48)];
    let (row0, row1) = (brows[2].min(eyes[2]), brows[3].max(eyes[3]));
    let height = row1 - row0;
    clip([row0 - height / 4, row1 + height / 10, brows[0].min(eyes[0]), brows[1].max(eyes[1])], size)
}

/// Smallest and largest column, smallest and largest row, whole pixels.
fn extremes(points: &Points68, range: std::ops::Range<usize>) -> [i64; 4] {
    let of = |axis: usize| points[range.clone()].iter().map(move |p| p[axis]);
    // A float beyond any picture saturates, and is clipped afterwards.
    let whole = |v: f32| (v as i64).clamp(-1 << 20, 1 << 20);
    [
        whole(of(0).fold(f32::INFINITY, f32::min)),
        whole(of(0).fold(f32::NEG_INFINITY, f32::max)),
        whole(of(1).fold(f32::INFINITY, f32::min)),
        whole(of(1).fold(f32::NEG_INFINITY, f32::max)),
    ]
}

fn clip([row0, row1, col0, col1]: [i64; 4], [width, height]: [u32; 2]) -> Option<Rect> {
    let within = |v: i64, most: u32| v.clamp(0, i64::from(most)) as usize;
    let rect = Rect {
        row0: within(row0, height),
        row1: within(row1, height),
        col0: within(col0, width),
        col1: within(col1, width),
    };
    (rect.row0 < rect.row1 && rect.col0 < rect.col1).then_some(rect)
}

/// Pixels inside the face as the landmarks outline it: the convex hull of jaw and brows, with the brows moved up
/// by a third of the distance from chin to nose bridge for the forehead. `[height, width]`.
pub(super) fn face_region(points: &Points68, [width, height]: [u32; 2]) -> Vec<bool> {
    let up = [0, 1].map(|k| (points[27][k] - points[8][k]) * 0.35);
    let mut outline: Vec<[f32; 2]> = points[..27].to_vec();
    outline.extend(points[17..27].iter().map(|p| [p[0] + up[0], p[1] + up[1]]));
    let hull = convex_hull(outline);
    let (w, h) = (width as usize, height as usize);
    let mut inside = vec![false; w * h];
    for row in 0..h {
        if let Some((from, to)) = crossing(&hull, row as f32) {
            let from = from.ceil().clamp(0.0, w as f32) as usize;
            let to = (to.floor() + 1.0).clamp(0.0, w as f32) as usize;
            (from..to).for_each(|column| inside[row * w + column] = true);
        }
    }
    inside
}

/// Andrew's monotone chain.
fn convex_hull(mut points: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let turn =
        |o: [f32; 2], a: [f32; 2], b: [f32; 2]| (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut chain: Vec<[f32; 2]> = Vec::new();
        for p in points {
            while chain.len() > 1 && turn(chain[chain.len() - 2], chain[chain.len() - 1], p) <= 0.0 {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

/// Where a row enters and leaves a convex polygon.
fn crossing(hull: &[[f32; 2]], row: f32) -> Option<(f32, f32)> {
    let mut span: Option<(f32, f32)> = None;
    for (i, a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        if (a[1] <= row) != (b[1] <= row) {
            let x = a[0] + (row - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
            span = Some(span.map_or((x, x), |(low, high)| (low.min(x), high.max(x))));
        }
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Landmarks all at one place but for those given.
    fn points(moved: &[(usize, [f32; 2])]) -> Points68 {
        let mut p = [[50.0, 50.0]; 68];
        moved.iter().for_each(|(i, at)| p[*i] = *at);
        p
    }

    #[test]
    fn lips_are_squared_and_clipped() {
        let p = points(&[(48, [40.9, 90.0]), (54, [60.2, 90.0]), (51, [50.0, 86.0]), (57, [50.0, 95.5])]);
        let p = std::array::from_fn(|i| {
            if (48..60).contains(&i) && p[i] == [50.0, 50.0] { [50.0, 90.0] } else { p[i] }
        });
        // Columns 40..60, rows 86..95: half 10, centre (90, 50).
        assert_eq!(lips(&p, [128, 128]), Some(Rect { row0: 80, row1: 100, col0: 40, col1: 60 }));
        assert_eq!(lips(&p, [128, 96]), Some(Rect { row0: 80, row1: 96, col0: 40, col1: 60 }));
        assert_eq!(lips(&p, [30, 30]), None);
    }

    #[test]
    fn eyes_and_face_are_bounds() {
        let p = points(&[(36, [10.0, 20.0]), (47, [90.0, 64.0]), (8, [50.0, 120.0]), (0, [3.0, 50.0])]);
        assert_eq!(bounds(&p, 36..48, [128, 128]), Some(Rect { row0: 20, row1: 64, col0: 10, col1: 90 }));
        assert_eq!(bounds(&p, 0..68, [128, 128]), Some(Rect { row0: 20, row1: 120, col0: 3, col1: 90 }));
    }

    #[test]
    fn landmarks_beyond_any_picture_do_no_harm() {
        let p = points(&[(48, [-1e30, 1e30]), (54, [1e30, -1e30])]);
        let all = Rect { row0: 0, row1: 20, col0: 0, col1: 30 };
        assert_eq!(lips(&p, [30, 20]), Some(all));
        assert_eq!(face_region(&p, [30, 20]).len(), 600);
    }

    #[test]
    fn the_outline_of_a_diamond_holds_its_middle_and_not_its_corners() {
        let p = points(&[(0, [10.0, 50.0]), (16, [90.0, 50.0]), (8, [50.0, 90.0]), (19, [50.0, 10.0])]);
        let inside = face_region(&p, [100, 100]);
        assert!(
            inside[50 * 100 + 50]
                && inside[80 * 100 + 50]
                && !inside[85 * 100 + 85]
                && !inside[85 * 100 + 15]
        );
    }

    #[test]
    fn anything_but_68_finite_pairs_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("0.lms");
        let good: String = (0..68).map(|i| format!("{i}.5 {}\n", 2 * i)).collect();
        for (text, said) in [
            (good.clone(), None),
            (good.replacen("3.5", "nan", 1), Some("finite")),
            (good.replacen("3.5", "x", 1), Some("no number")),
            (good.replacen("3.5 6\n", "", 1), Some("134")),
            (String::new(), Some("0 numbers")),
        ] {
            std::fs::write(&path, text).expect("written");
            match (read(&path), said) {
                (Ok(p), None) => assert_eq!(p[5], [5.5, 10.0]),
                (Err(found), Some(said)) => assert!(found.contains(said), "{found}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
