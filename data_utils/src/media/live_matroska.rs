//! A stream of JPEGs and samples as Matroska (RFC 9559) that is written while it goes on: one picture and its sound after the
//! other, so that a program takes both from one pipe.

use ebml::{element, float, integer, text};

/// A size that is not known yet.
const UNKNOWN: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// What comes first: pictures of `size` pixels at `fps` a second, and samples of 16 bits, mono, at `rate` Hz.
pub(super) fn header(size: [u32; 2], fps: u32, rate: u32) -> Vec<u8> {
    let ebml = [
        integer(&[0x42, 0x86], 1),
        integer(&[0x42, 0xf7], 1),
        integer(&[0x42, 0xf2], 4),
        integer(&[0x42, 0xf3], 8),
        text(&[0x42, 0x82], "matroska"),
        integer(&[0x42, 0x87], 4),
        integer(&[0x42, 0x85], 2),
    ];
    // Times are milliseconds.
    let information = [
        integer(&[0x2a, 0xd7, 0xb1], 1_000_000),
        text(&[0x4d, 0x80], "surfeltalk"),
        text(&[0x57, 0x41], "surfeltalk"),
    ];
    let video = [integer(&[0xb0], size[0].into()), integer(&[0xba], size[1].into())].concat();
    let picture = [
        integer(&[0xd7], 1),
        integer(&[0x73, 0xc5], 1),
        integer(&[0x83], 1),
        integer(&[0x9c], 0),
        text(&[0x86], "V_MJPEG"),
        integer(&[0x23, 0xe3, 0x83], 1_000_000_000 / u64::from(fps)),
        element(&[0xe0], &video),
    ];
    let audio = [float(&[0xb5], f64::from(rate)), integer(&[0x9f], 1), integer(&[0x62, 0x64], 16)].concat();
    let sound = [
        integer(&[0xd7], 2),
        integer(&[0x73, 0xc5], 2),
        integer(&[0x83], 2),
        integer(&[0x9c], 0),
        text(&[0x86], "A_PCM/INT/LIT"),
        element(&[0xe1], &audio),
    ];
    let tracks = [element(&[0xae], &picture.concat()), element(&[0xae], &sound.concat())].concat();
    [
        element(&[0x1a, 0x45, 0xdf, 0xa3], &ebml.concat()),
        vec![0x18, 0x53, 0x80, 0x67],
        UNKNOWN.to_vec(),
        element(&[0x15, 0x49, 0xa9, 0x66], &information.concat()),
        element(&[0x16, 0x54, 0xae, 0x6b], &tracks),
    ]
    .concat()
}

/// A picture and the sound that is heard with it, `milliseconds` after the beginning.
pub(super) fn cluster(milliseconds: u64, jpeg: &[u8], samples: &[u8]) -> Vec<u8> {
    // The track, no time after the cluster's, and that it stands alone.
    let block = |track: u8, data: &[u8]| element(&[0xa3], &[&[0x80 | track, 0, 0, 0x80], data].concat());
    let parts = [integer(&[0xe7], milliseconds), block(2, samples), block(1, jpeg)];
    element(&[0x1f, 0x43, 0xb6, 0x75], &parts.concat())
}

/// Elements of EBML (RFC 8794).
mod ebml {
    /// An element with its size in eight bytes.
    pub(super) fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
        let mut size = (data.len() as u64).to_be_bytes();
        size[0] = 1;
        [id, &size, data].concat()
    }

    pub(super) fn integer(id: &[u8], value: u64) -> Vec<u8> {
        element(id, &value.to_be_bytes())
    }

    pub(super) fn float(id: &[u8], value: f64) -> Vec<u8> {
        element(id, &value.to_be_bytes())
    }

    pub(super) fn text(id: &[u8], text: &str) -> Vec<u8> {
        element(id, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Ffmpeg;
    use std::process::Command;

    #[test]
    fn elements_have_their_size() {
        assert_eq!(element(&[0xa3], &[7, 8]), [0xa3, 1, 0, 0, 0, 0, 0, 0, 2, 7, 8]);
        assert!(header([64, 48], 25, 16_000).starts_with(&[0x1a, 0x45, 0xdf, 0xa3]));
    }

    #[test]
    fn ffmpeg_reads_picture_and_sound_of_one_length() {
        let Ok(ffmpeg) = Ffmpeg::find_with_probe() else { return };
        let mut jpeg = Vec::new();
        let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([200, 100, 50]));
        picture.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
        let mut bytes = header([64, 48], 25, 16_000);
        for k in 0..50 {
            bytes.extend(cluster(40 * k, &jpeg, &[1; 1280]));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream.mkv");
        std::fs::write(&path, bytes).unwrap();
        let probe = Command::new(&ffmpeg.probe)
            .args(["-v", "error", "-count_packets", "-show_entries"])
            .args(["stream=codec_name,nb_read_packets,sample_rate,width", "-of", "csv=p=0"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&probe.stdout);
        assert_eq!(said.lines().collect::<Vec<_>>(), ["mjpeg,64,50", "pcm_s16le,16000,50"], "{said}");
    }
}
