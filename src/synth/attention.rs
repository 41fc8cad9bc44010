//! The four attention channels as pictures: who listens to what. White is a weight of one.

use super::compose::to_bytes;
use super::video::VideoWriter;
use crate::{Error, Result};
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
    let plane = |k: usize| to_bytes(&attention[k * pixels..(k + 1) * pixels]);
    Ok(std::array::from_fn(|k| plane(k).into_iter().flat_map(|v| [v; 3]).collect()))
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
    pub fn create(
        dir: &Path,
        size: [u32; 2],
        fps: u32,
        sound: Option<&data_utils::audio::Sound>,
    ) -> Result<Self> {
        let start = |name: &&str| VideoWriter::create(&dir.join(format!("{name}.mp4")), size, fps, sound);
        let writers = CHANNELS.iter().map(start).collect::<Result<_>>()?;
        Ok(AttentionVideos { size: size.map(|side| side as usize), writers })
    }

    /// Adds a frame, `[4, rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for another size; as [`VideoWriter::push`].
    pub fn push(&mut self, attention: &[f32]) -> Result<()> {
        let pictures = pictures(attention, self.size)?;
        self.writers.iter_mut().zip(pictures).try_for_each(|(writer, picture)| writer.push(&picture))
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
    fn another_size_is_an_error() {
        assert!(pictures(&[0.0; 7], [2, 1]).is_err());
    }
}
