//! A head performs a drive: conditions in batches through field and rasterizer, pictures composed, videos with
//! sound written.

use super::attention::AttentionVideos;
use super::background::{BackgroundType, Plates};
use super::compose::{Layers, compose};
use super::drive::{Drive, DriveFrame, FPS};
use super::feather::Seam;
use super::video::VideoWriter;
use crate::head::{Branch, Laid, clothes_mask};
use crate::metrics::planes::part_mask;
use crate::raster::{Outputs, RasterSettings, Rasterizer};
use crate::{Camera, Result};
use data_utils::audio::Sound;
use data_utils::dataset::{Dataset, Part};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How frames are drawn and put together.
#[derive(Debug, Clone)]
pub struct PerformOptions {
    /// Frames the field works on at once.
    pub batch: usize,
    /// What stands behind the head.
    pub background: BackgroundType,
    /// How the edge is softened.
    pub seam: Seam,
    /// Cut the head by the dataset's mask of its part.
    pub use_gt_mask: bool,
    /// Also write the four attention videos.
    pub attention: bool,
    /// Seed of the random background.
    pub seed: u64,
}

/// One finished frame.
pub struct Finished<'a> {
    /// Number of the frame, from 0.
    pub number: usize,
    /// What drove it.
    pub frame: &'a DriveFrame,
    /// Width and height.
    pub size: [usize; 2],
    /// The composed picture, RGB, `[rows, columns, 3]`.
    pub picture: &'a [u8],
    /// The head alone on black, `[3, rows, columns]`.
    pub color: &'a [f32],
    /// Its alpha, `[rows, columns]`.
    pub alpha: &'a [f32],
}

/// What a performance made.
#[derive(Debug, Clone)]
pub struct Performed {
    /// Frames drawn.
    pub frames: usize,
    /// Time in field and rasterizer alone.
    pub inference: Duration,
    /// The video with its sound.
    pub video: PathBuf,
    /// The attention videos, when they were asked for.
    pub attention: Vec<PathBuf>,
}

/// A head on its stage: what every performance of it shares.
pub struct Performer<'a> {
    /// Who performs.
    pub head: &'a Branch,
    /// Whose backgrounds, torsos and masks are used.
    pub dataset: &'a Dataset,
    /// What draws.
    pub rasterizer: &'a dyn Rasterizer,
    /// How frames are put together.
    pub options: PerformOptions,
}

impl Performer<'_> {
    /// Draws every frame of `drive` and writes `renders.mp4` (`.avi` without ffmpeg) into `dir`; `each` sees every
    /// finished frame and may end the work early by returning false, which leaves no video behind.
    ///
    /// # Errors
    /// Those of reading the source frames, of drawing, and of writing the videos.
    pub fn perform(
        &self,
        drive: Drive,
        sound: Option<&Sound>,
        dir: &Path,
        each: &mut dyn FnMut(&Finished<'_>) -> Result<bool>,
    ) -> Result<Option<Performed>> {
        let Performer { head, dataset, rasterizer, options } = self;
        let size = dataset.size;
        let [width, height] = size.map(|side| side as usize);
        let pixels = width * height;
        let scene = if options.background.needs_scene() { Some(dataset.background()?) } else { None };
        let mut writer = VideoWriter::create(&dir.join("renders.mp4"), size, FPS, sound)?;
        let mut attention = match options.attention {
            true => Some(AttentionVideos::create(dir, size, FPS, sound)?),
            false => None,
        };
        let settings = RasterSettings {
            outputs: Outputs { attention: options.attention, ..Outputs::default() },
            ..RasterSettings::default()
        };
        let mut laid = Laid::new(head, *rasterizer, options.batch.max(1))?;
        let (mut inference, mut number) = (Duration::ZERO, 0);
        let mut drive = drive.fuse();
        loop {
            let frames: Vec<DriveFrame> = drive.by_ref().take(options.batch.max(1)).collect();
            if frames.is_empty() {
                break;
            }
            let conditions: Vec<_> = frames.iter().map(|f| f.conditions.clone()).collect();
            let cameras: Vec<Camera> = frames.iter().map(|f| f.camera).collect();
            let start = Instant::now();
            let rendered = laid.draw(&conditions, &cameras, &settings)?;
            inference += start.elapsed();
            for (k, frame) in frames.iter().enumerate() {
                let color = &rendered.color[k * 3 * pixels..][..3 * pixels];
                let alpha = &rendered.alpha[k * pixels..][..pixels];
                let torso = match options.background.needs_torso() {
                    true => Some(dataset.torso(frame.source)?),
                    false => None,
                };
                // A head that has learned its clothes hides those of the background.
                let dressed = options.background.shows_clothes() && head.settings.part != Part::All;
                let source = match options.use_gt_mask || options.background.needs_original() || dressed {
                    true => Some(dataset.pixels(frame.source)?),
                    false => None,
                };
                let plates = Plates {
                    scene: scene.as_ref().map(|image| image.as_raw().as_slice()),
                    torso: torso.as_ref().map(|image| image.as_raw().as_slice()),
                    original: source.as_ref().map(|pixels| pixels.rgb.as_slice()),
                };
                let background =
                    options.background.paint([width, height], &plates, number as u64, options.seed)?;
                let mask: Option<Vec<f32>> = match (options.use_gt_mask, &source) {
                    (true, Some(source)) => Some(part_mask(source, head.settings.part)),
                    _ => None,
                };
                let before = source.as_ref().filter(|_| dressed).map(|source| clothes_mask(source));
                let layers = Layers {
                    size: [width, height],
                    color,
                    alpha,
                    mask: mask.as_deref(),
                    before: before.as_deref(),
                    background: &background,
                };
                let picture = compose(&layers, options.seam)?;
                writer.push(&picture)?;
                if let Some(videos) = &mut attention {
                    videos.push(&rendered.attention[k * 4 * pixels..][..4 * pixels])?;
                }
                if !each(&Finished { number, frame, size: [width, height], picture: &picture, color, alpha })?
                {
                    return Ok(None);
                }
                number += 1;
            }
        }
        let attention = attention.map_or(Ok(Vec::new()), AttentionVideos::finish)?;
        Ok(Some(Performed { frames: number, inference, video: writer.finish()?, attention }))
    }
}
