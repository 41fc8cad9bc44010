//! The bytes of sound and pictures on the network.

use crate::serve::picture::FramePicture;
use crate::serve::speaker::SpokenFrame;
use crate::serve::speech::pcm_bytes;
use crate::{Error, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use jpeg_encoder::{ColorType, Encoder};
use std::sync::Arc;

/// JPEG quality of live pictures.
pub(super) const QUALITY: u8 = 85;
/// First byte of a binary message: samples of 16 bits, little-endian, mono.
pub(super) const SOUND: u8 = 0;
/// The same: a JPEG, or a PNG where it is transparent.
pub(super) const PICTURE: u8 = 1;

/// Side of the square that marks sound, pixels, and from which amplitude on there is some.
const MARK: usize = 16;
const HEARD: f32 = 0.1;

/// Marks the upper left corner of a picture: white where sound is heard with it, else black. So a client can measure how far
/// sound and picture are apart.
pub(super) fn mark_sound(frame: &mut SpokenFrame) {
    let value = if frame.sound.iter().any(|sample| sample.abs() > HEARD) { 255 } else { 0 };
    let Some(picture) = frame.picture.as_mut().map(Arc::make_mut) else { return };
    let width = picture.size[0];
    let channels = picture.pixels.len() / (width * picture.size[1]).max(1);
    for row in picture.pixels.chunks_exact_mut((channels * width).max(1)).take(MARK) {
        for pixel in row.chunks_exact_mut(channels).take(MARK) {
            pixel.fill(255);
            pixel[..3].fill(value);
        }
    }
}

/// A picture as the network carries it: a PNG where it is transparent, else a JPEG of the usual quality.
///
/// # Errors
/// [`Error::Internal`] for a picture that is none.
pub(super) fn encoded(picture: &FramePicture) -> Result<Vec<u8>> {
    if !picture.has_alpha() {
        return jpeg(picture, QUALITY);
    }
    let [width, height] = picture.size.map(|side| side as u32);
    let mut bytes = Vec::with_capacity(picture.pixels.len() / 4);
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up);
    let written = encoder.write_image(&picture.pixels, width, height, ExtendedColorType::Rgba8);
    written.map_err(|e| Error::Internal(format!("a PNG: {e}")))?;
    Ok(bytes)
}

/// A picture as JPEG; a transparent one over black.
///
/// # Errors
/// [`Error::Internal`] for a picture that is none.
pub(super) fn jpeg(picture: &FramePicture, quality: u8) -> Result<Vec<u8>> {
    let fail = |text: String| Error::Internal(format!("a JPEG: {text}"));
    let side =
        |k: usize| u16::try_from(picture.size[k]).map_err(|_| fail(format!("{:?} pixels", picture.size)));
    let mut bytes = Vec::with_capacity(picture.pixels.len() / 8);
    let encoder = Encoder::new(&mut bytes, quality);
    encoder.encode(&picture.rgb(), side(0)?, side(1)?, ColorType::Rgb).map_err(|e| fail(e.to_string()))?;
    Ok(bytes)
}

/// A binary message of a WebSocket: its kind, the sample it belongs to (modulo 2³²), the payload.
pub(super) fn message(kind: u8, position: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind);
    bytes.extend_from_slice(&(position as u32).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The message of a frame's sound.
pub(super) fn sound_message(position: u64, samples: &[f32]) -> Vec<u8> {
    message(SOUND, position, &pcm_bytes(samples).collect::<Vec<u8>>())
}

/// A part of an MJPEG stream.
pub(super) fn mjpeg_part(jpeg: &[u8]) -> Vec<u8> {
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    [head.as_bytes(), jpeg, b"\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_becomes_a_jpeg_of_its_size() {
        let picture = FramePicture { size: [16, 8], pixels: [200, 100, 50].repeat(128) };
        let bytes = jpeg(&picture, QUALITY).expect("a JPEG");
        let back = image::load_from_memory(&bytes).expect("a picture").into_rgb8();
        assert_eq!(back.dimensions(), (16, 8));
        assert!(back.get_pixel(3, 3).0.iter().zip([200_u8, 100, 50]).all(|(a, b)| a.abs_diff(b) < 6));
        assert!(jpeg(&FramePicture { size: [16, 9], pixels: vec![0; 3] }, QUALITY).is_err());
    }

    #[test]
    fn a_transparent_picture_becomes_a_png_of_the_same_pixels() {
        let pixels: Vec<u8> = (0..4 * 128).map(|k| (k * 7 % 256) as u8).collect();
        let picture = FramePicture { size: [16, 8], pixels: pixels.clone() };
        let bytes = encoded(&picture).expect("a PNG");
        assert!(bytes.starts_with(b"\x89PNG"));
        assert_eq!(image::load_from_memory(&bytes).expect("a picture").into_rgba8().into_raw(), pixels);
    }

    #[test]
    fn a_mark_says_whether_there_is_sound() {
        let picture = FramePicture { size: [20, 18], pixels: vec![7; 1080] };
        let mut frame =
            SpokenFrame { picture: Some(Arc::new(picture)), sound: vec![0.0; 640], ..SpokenFrame::default() };
        for (sample, value) in [(0.5, 255), (0.0, 0)] {
            frame.sound[600] = sample;
            mark_sound(&mut frame);
            let rgb = &frame.picture.as_ref().expect("a picture").pixels;
            assert_eq!(
                [rgb[0], rgb[3 * (15 * 20 + 15)], rgb[3 * 16], rgb[3 * 16 * 20]],
                [value, value, 7, 7]
            );
        }
    }

    #[test]
    fn a_message_says_its_kind_and_its_sample() {
        assert_eq!(message(PICTURE, 640, &[9]), [1, 0x80, 2, 0, 0, 9]);
        assert_eq!(sound_message(0, &[0.5, -1.0]), [0, 0, 0, 0, 0, 0, 0x40, 0, 0x80]);
    }
}
