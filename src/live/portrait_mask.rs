//! Where a drawn face is laid into the frame it was filmed in: softly over the filmed face, and as far below it as the jaw opens
//! in the clip. What lies there is all drawn by the model: a jaw that is lower than the filmed one, and the neck below one that
//! is higher.

use data_utils::dataset::{FrameMeta, FramePixels, Label};

/// Side that the lengths below are for, pixels.
const SIDE: f32 = 512.0;
/// Half the window of the blur on the edge and its deviation, pixels: SyncTalk's blur of the face mask. The filmed face is marked
/// as far from its edge, so that the whole of the soft edge lies on skin.
const BLUR: (f32, f32) = (4.0, 4.0);
/// The jaw may open farther than in nearly all of the clip by so much, pixels.
const MARGIN: f32 = 3.0;
/// How far the jaw opens where there are no landmarks, as a share of the face's height.
const USUAL_DROP: f32 = 0.08;
/// The share of the clip's frames whose jaw is not lower than is provided for.
const NEARLY_ALL: f32 = 0.98;
/// Landmarks (iBUG 68): below the nose, the chin, the outer corners of the eyes.
const NOSE: usize = 33;
const CHIN: usize = 8;
const EYES: [usize; 2] = [36, 45];

/// How far the jaw opens in a clip.
#[derive(Debug, Clone, Copy, Default)]
pub struct JawRange {
    /// Distance of chin and nose over that of the eyes, in the frames with the lowest jaw.
    lowest: Option<f32>,
}

impl JawRange {
    /// Of a clip's frames.
    pub fn of(frames: &[FrameMeta]) -> Self {
        let mut drops: Vec<f32> = frames.iter().filter_map(|f| Some(drop_of(f)?.0)).collect();
        drops.sort_by(f32::total_cmp);
        let at = (NEARLY_ALL * drops.len().saturating_sub(1) as f32) as usize;
        JawRange { lowest: drops.get(at).copied() }
    }

    /// How much lower than in this frame the jaw may be, pixels.
    fn below(self, frame: &FrameMeta, face_height: usize, scale: f32) -> usize {
        let more = match (self.lowest, drop_of(frame)) {
            (Some(lowest), Some((drop, eyes))) => ((lowest - drop) * eyes).max(0.0),
            _ => USUAL_DROP * face_height as f32,
        };
        (more + MARGIN * scale).round() as usize
    }
}

/// Distance of chin and nose over that of the eyes, and the latter in pixels.
fn drop_of(frame: &FrameMeta) -> Option<(f32, f32)> {
    let points = frame.landmarks.as_ref()?;
    let distance = |a: usize, b: usize| (points[a][0] - points[b][0]).hypot(points[a][1] - points[b][1]);
    let eyes = distance(EYES[0], EYES[1]);
    (eyes > 1.0).then(|| (distance(NOSE, CHIN) / eyes, eyes))
}

/// The soft mask of a frame, 0..1, `[rows, columns]` of the dataset's size; exactly 0 where the frame is kept.
pub fn portrait_mask(frame: &FrameMeta, pixels: &FramePixels, jaw: JawRange) -> Vec<f32> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let scale = width.max(height) as f32 / SIDE;
    let is = |at: usize, bits: u8| pixels.labels[at] & bits != 0;
    let mut inside: Vec<bool> = (0..width * height).map(|at| is(at, Label::FACE)).collect();
    let rows: Vec<usize> = (0..height).filter(|y| inside[y * width..][..width].contains(&true)).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return vec![0.0; width * height] };
    // The face is marked so far from its edge.
    let below = jaw.below(frame, last - first, scale) + (BLUR.0 * scale).round() as usize;
    for x in 0..width {
        let Some(lowest) = (0..height).rev().find(|y| inside[y * width + x]) else { continue };
        for y in lowest + 1..(lowest + 1 + below).min(height) {
            // Clothes are before the neck, and stay.
            if is(y * width + x, Label::TORSO) {
                break;
            }
            inside[y * width + x] = true;
        }
    }
    let soft: Vec<f32> = inside.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let radius = (BLUR.0 * scale).round().max(1.0) as isize;
    blur(&soft, width, radius, BLUR.1 * scale)
}

/// A Gaussian blur of `2 radius + 1` taps, along rows and then along columns; outside the picture there is nothing.
pub(super) fn blur(values: &[f32], width: usize, radius: isize, sigma: f32) -> Vec<f32> {
    let taps: Vec<f32> =
        (-radius..=radius).map(|k| (-0.5 * (k as f32 / sigma.max(0.1)).powi(2)).exp()).collect();
    let sum: f32 = taps.iter().sum();
    let along = |from: &[f32], step: usize, place: &dyn Fn(usize) -> (usize, usize)| -> Vec<f32> {
        let one = |at: usize| {
            let (i, length) = place(at);
            let mut total = 0.0;
            for (k, tap) in (-radius..=radius).zip(&taps) {
                let to = i as isize + k;
                if (0..length as isize).contains(&to) {
                    total += tap * from[(at as isize + k * step as isize) as usize];
                }
            }
            total / sum
        };
        (0..from.len()).map(one).collect()
    };
    let height = values.len() / width.max(1);
    let rows = along(values, 1, &|at| (at % width, width));
    along(&rows, width, &|at| (at / width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::camera::Camera;
    use data_utils::dataset::Split;

    /// A face over a neck over clothes, in one picture of 128 pixels.
    fn frame(chin: f32) -> (FrameMeta, FramePixels) {
        let label = |at: usize| match (at % 128, at / 128) {
            (40..88, 30..70) => Label::HEAD | Label::FACE,
            (36..92, 20..74) => Label::HEAD,
            (50..78, 74..100) => Label::NECK,
            (_, 100..) => Label::TORSO,
            _ => 0,
        };
        let mut landmarks = [[64.0, 40.0]; 68];
        (landmarks[36], landmarks[45]) = ([50.0, 40.0], [78.0, 40.0]);
        (landmarks[NOSE], landmarks[CHIN]) = ([64.0, 50.0], [64.0, chin]);
        let still = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 0.0, 1.0]];
        let camera = Camera::from_opengl(&still, 200.0, 64.0, 64.0, [128, 128]);
        let meta = FrameMeta {
            img_id: 0,
            aud_id: 0,
            split: Split::Train,
            camera,
            expression: [0.0; 22],
            landmarks: Some(landmarks),
        };
        let labels = (0..128 * 128).map(label).collect();
        (meta, FramePixels { width: 128, height: 128, rgb: vec![0; 3 * 128 * 128], labels })
    }

    #[test]
    fn the_mask_covers_the_face_softly_and_the_jaw_as_low_as_it_opens() {
        let ((closed, pixels), (open, _)) = (frame(74.0), frame(90.0));
        let lowest = |mask: &[f32]| (0..128).rev().find(|y| mask[y * 128 + 64] > 0.0).expect("a face");
        let still = portrait_mask(&closed, &pixels, JawRange::of(std::slice::from_ref(&closed)));
        let moving = portrait_mask(&closed, &pixels, JawRange::of(&vec![open; 50]));
        assert_eq!(still[50 * 128 + 64], 1.0);
        assert!((70..80).contains(&lowest(&still)), "{}", lowest(&still));
        assert!(lowest(&moving).abs_diff(lowest(&still) + 16) <= 1, "as much lower as the jaw opens");
        assert!(lowest(&moving) < 100, "clothes stay");
        // Hair, background and shoulders are the frame's own, to the bit.
        for (x, y) in [(64, 22), (10, 50), (20, 110), (30, 60)] {
            assert_eq!(moving[y * 128 + x], 0.0, "{x} {y}");
        }
        let edge: Vec<f32> = (36..46).map(|x| still[50 * 128 + x]).collect();
        assert!(edge.windows(2).all(|pair| pair[1] >= pair[0]) && edge[0] == 0.0, "{edge:?}");
        assert!(edge.iter().filter(|v| (0.1..0.9).contains(*v)).count() >= 2, "{edge:?}");
    }

    #[test]
    fn without_a_face_the_whole_frame_is_kept() {
        let (meta, mut pixels) = frame(74.0);
        pixels.labels.fill(0);
        assert!(portrait_mask(&meta, &pixels, JawRange::default()).iter().all(|v| *v == 0.0));
    }
}
