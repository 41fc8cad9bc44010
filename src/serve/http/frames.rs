//! The bytes of sound and pictures on the network.

use crate::serve::speaker::FramePicture;
use crate::serve::speech::pcm_bytes;
use crate::{Error, Result};
use jpeg_encoder::{ColorType, Encoder};

/// JPEG quality of live pictures.
pub(super) const QUALITY: u8 = 85;
/// First byte of a binary message: samples of 16 bits, little-endian, mono.
pub(super) const SOUND: u8 = 0;
/// The same: a JPEG.
pub(super) const PICTURE: u8 = 1;

/// A picture as JPEG.
///
/// # Errors
/// [`Error::Internal`] for a picture that is none.
pub(super) fn jpeg(picture: &FramePicture, quality: u8) -> Result<Vec<u8>> {
    let fail = |text: String| Error::Internal(format!("a JPEG: {text}"));
    let side =
        |k: usize| u16::try_from(picture.size[k]).map_err(|_| fail(format!("{:?} pixels", picture.size)));
    let mut bytes = Vec::with_capacity(picture.rgb.len() / 8);
    let encoder = Encoder::new(&mut bytes, quality);
    encoder.encode(&picture.rgb, side(0)?, side(1)?, ColorType::Rgb).map_err(|e| fail(e.to_string()))?;
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
        let picture = FramePicture { size: [16, 8], rgb: [200, 100, 50].repeat(128) };
        let bytes = jpeg(&picture, QUALITY).expect("a JPEG");
        let back = image::load_from_memory(&bytes).expect("a picture").into_rgb8();
        assert_eq!(back.dimensions(), (16, 8));
        assert!(back.get_pixel(3, 3).0.iter().zip([200_u8, 100, 50]).all(|(a, b)| a.abs_diff(b) < 6));
        assert!(jpeg(&FramePicture { size: [16, 9], rgb: vec![0; 3] }, QUALITY).is_err());
    }

    #[test]
    fn a_message_says_its_kind_and_its_sample() {
        assert_eq!(message(PICTURE, 640, &[9]), [1, 0x80, 2, 0, 0, 9]);
        assert_eq!(sound_message(0, &[0.5, -1.0]), [0, 0, 0, 0, 0, 0, 0x40, 0, 0x80]);
    }
}
