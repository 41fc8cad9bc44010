//! The four attention channels as pictures: who listens to what. White is a weight of one.

use crate::composite::picture::to_byte;
use crate::{Error, Result};
use data_utils::audio::Sound;
use data_utils::media::{Encoder, VideoFormat, VideoWriter};
use std::path::{Path, PathBuf};

/// Names of the channels in their order; SyncGaussianTalker calls them audio, eye, cam and null.
pub const CHANNELS: [&str; 4] = ["audio", "expression", "camera", "frame"];

/// Grey pictures of the channels of one frame, each RGB `[rows, columns, 3]`, from `[4, rows, columns]`.
///
/// # Errors
/// [`Error::Internal`] when `attention` is not four planes of `size` = [width, height].
pub fn pictures(attention: &[f32], size: [usize; 2]) -> Result<[Vec<u8>; 4]> {
    let pixels = size[0] * size[1];
    if attention.len() != 4 * pixels {
        return Err(Error::Internal(format!(
            "attention has {} values for 4 images of {size:?}",
            attention.len()
        )));
    }
    let plane = |k: usize| attention[k * pixels..(k + 1) * pixels].iter();
    Ok(std::array::from_fn(|k| plane(k).flat_map(|v| [to_byte(*v); 3]).collect()))
}

/// Four videos in one folder, one per channel, each with the sound.
#[derive(Debug)]
pub struct AttentionVideos {
    size: [usize; 2],
    writers: Vec<VideoWriter>,
}

impl AttentionVideos {
    /// Starts `audio.mp4`, `expression.mp4`, `camera.mp4` and `frame.mp4` in `dir`; see [`VideoWriter::create`].
    ///
    /// # Errors
    /// As [`VideoWriter::create`].
    pub fn create(encoder: &Encoder, dir: &Path, format: VideoFormat, sound: Option<&Sound>) -> Result<Self> {
        let samples = sound.map(Sound::samples);
        let start = |name: &&str| VideoWriter::create(encoder, &dir.join(name), format, samples);
        let writers = CHANNELS.iter().map(start).collect::<Result<_>>()?;
        Ok(AttentionVideos { size: format.size.map(|side| side as usize), writers })
    }

    /// Adds a frame, `[4, rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for another size; as [`VideoWriter::push`].
    pub fn push(&mut self, attention: &[f32]) -> Result<()> {
        let pictures = pictures(attention, self.size)?;
        self.writers.iter_mut().zip(pictures).try_for_each(|(writer, picture)| writer.push(picture))
    }

    /// Ends the videos and gives their paths in the order of [`CHANNELS`].
    ///
    /// # Errors
    /// As [`VideoWriter::finish`].
    pub fn finish(self) -> Result<Vec<PathBuf>> {
        self.writers.into_iter().map(VideoWriter::finish).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::media::PixelFormat;

    #[test]
    fn each_channel_becomes_its_own_grey_picture() {
        let attention = [0.0, 0.2, 1.0, 1.0, 0.5, 0.5, 2.0, -1.0];
        let pictures = pictures(&attention, [2, 1]).unwrap();
        assert_eq!(pictures[0], [0, 0, 0, 51, 51, 51]);
        assert_eq!(pictures[1], [255; 6]);
        assert_eq!(pictures[2], [128; 6]);
        assert_eq!(pictures[3], [255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn four_videos_are_named_after_their_channels() {
        let dir = tempfile::tempdir().unwrap();
        let sound = Sound { samples: vec![0.1; 640], rate: 16000 };
        let encoder = Encoder::Embedded("a test".into());
        let format = VideoFormat { size: [2, 2], fps: 25, pixels: PixelFormat::Rgb24 };
        let mut videos = AttentionVideos::create(&encoder, dir.path(), format, Some(&sound)).unwrap();
        videos.push(&[0.5; 16]).unwrap();
        assert!(videos.push(&[0.5; 15]).is_err());
        let paths = videos.finish().unwrap();
        assert_eq!(paths, CHANNELS.map(|name| dir.path().join(format!("{name}.avi"))));
        assert!(paths.iter().all(|path| path.is_file()));
    }

    #[test]
    fn another_size_is_an_error() {
        assert!(pictures(&[0.0; 7], [2, 1]).is_err());
    }
}
