//! Clothes before the head. Collar and neck do not move as one: where the filmed frame shows clothes, they hide whatever of
//! the neck was drawn there.

use data_utils::dataset::{FramePixels, Label};

/// How much each pixel's clothes stand before the head, 0..1, `[rows, columns]`: all of what is labelled torso, less along
/// its edge, where a filmed pixel shows both.
pub fn before_head(frame: &FramePixels) -> Vec<f32> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let clothes = |x: usize, y: usize| frame.labels[y * width + x] & Label::TORSO != 0;
    let around = |at: usize, side: usize| at.saturating_sub(1)..(at + 2).min(side);
    (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            if !clothes(x, y) {
                return 0.0;
            }
            let (rows, columns) = (around(y, height), around(x, width));
            let seen = rows.len() * columns.len();
            let dressed =
                rows.flat_map(|v| columns.clone().map(move |u| (u, v))).filter(|(u, v)| clothes(*u, *v));
            dressed.count() as f32 / seen as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clothes_hide_the_head_where_they_were_filmed_and_softly_along_their_edge() {
        // Four rows of neck above three of clothes.
        let labels =
            [[Label::NECK; 5]; 4].concat().into_iter().chain([[Label::TORSO; 5]; 3].concat()).collect();
        let frame = FramePixels { width: 5, height: 7, rgb: vec![0; 105], labels };
        let before = before_head(&frame);
        for (row, expected) in [0.0, 0.0, 0.0, 0.0, 2.0 / 3.0, 1.0, 1.0].into_iter().enumerate() {
            assert!(
                before[5 * row..5 * row + 5].iter().all(|v| (v - expected).abs() < 1e-6),
                "row {row}: {before:?}"
            );
        }
    }
}
