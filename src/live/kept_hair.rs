//! The background `hair` (DEGSTalk): the frame as it was filmed with its face taken out, so that hair, ears and all around the
//! face are the frame's own. A ring of the filmed face stays below the drawn one: the seam falls on skin of the same frame.

use data_utils::dataset::{FramePixels, Label, grow};
use image::{RgbImage, RgbaImage};

/// Pixels of the filmed face that stay along its edge, in a picture of 512 (DEGSTalk erodes by 13 × 13).
const RING: f32 = 6.0;

/// The frame without face, inside of the mouth, neck and clothes; the torso over it; and what then is empty from the `room`.
/// RGB, `[rows, columns, 3]`. All of one size.
pub fn kept_hair(frame: &FramePixels, torso: &RgbaImage, room: &RgbImage) -> Vec<u8> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let ring = (RING * width.max(height) as f32 / 512.0).round().max(1.0) as usize;
    // Eroding the face is growing what is not face.
    let outside: Vec<bool> = frame.labels.iter().map(|l| l & (Label::FACE | Label::MOUTH) == 0).collect();
    let around = grow(&outside, width, ring);
    let mut rgb = frame.rgb.clone();
    for (at, pixel) in rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let label = frame.labels[at];
        let is_taken = !around[at] || label & (Label::MOUTH | Label::NECK | Label::TORSO) != 0;
        let (x, y) = ((at % width) as u32, (at / width) as u32);
        let over = torso.get_pixel_checked(x, y).map_or([0; 4], |p| p.0);
        if is_taken {
            *pixel = room.get_pixel_checked(x, y).map_or([0; 3], |p| p.0);
        } else if label & (Label::HEAD | Label::HAIR) != 0 {
            // Hair before clothes stays before them.
            continue;
        }
        let alpha = u16::from(over[3]);
        for (to, value) in pixel.iter_mut().zip(over) {
            *to = ((u16::from(value) * alpha + u16::from(*to) * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, Rgba};

    #[test]
    fn hair_and_a_ring_of_skin_stay_and_the_face_goes() {
        // Rows of 64: room 4, hair 16, face 24, neck 8, clothes 12.
        let label = |at: usize| match at / 64 {
            0..4 => 0,
            4..20 => Label::HEAD,
            20..44 => Label::HEAD | Label::FACE,
            44..52 => Label::NECK,
            _ => Label::TORSO,
        };
        let frame = FramePixels {
            width: 64,
            height: 64,
            rgb: (0..64 * 64).flat_map(|at| [(at / 64) as u8; 3]).collect(),
            labels: (0..64 * 64).map(label).collect(),
        };
        let torso = RgbaImage::from_fn(64, 64, |_, y| Rgba([200, 0, 0, if y >= 40 { 255 } else { 0 }]));
        let room = RgbImage::from_pixel(64, 64, Rgb([0, 255, 0]));
        let kept = kept_hair(&frame, &torso, &room);
        let row = |y: usize| <[u8; 3]>::try_from(&kept[3 * (y * 64 + 32)..][..3]).expect("a pixel");
        // Room, hair, and one pixel of the face (6 of 512) as filmed.
        for y in [0, 3, 4, 19, 20, 43] {
            assert_eq!(row(y), [y as u8; 3], "row {y}");
        }
        assert_eq!(row(30), [0, 255, 0], "behind the face");
        assert_eq!([row(42), row(46), row(60)], [[200, 0, 0]; 3], "neck and clothes are the torso's");
    }
}
