//! A head that speaks: sound is pushed in, frames come out. It knows neither files nor clocks nor datasets; a program that
//! writes a video, a live session and a browser run the same loop.

use super::driver::{Driver, FrameInputs, Turn};
use super::frame_renderer::{FrameOptions, FrameRenderer, RenderedFrame};
use super::plate_source::{ClipPlates, PlateSource};
use super::pose_source::{ClipPoses, PoseSource};
use super::stopwatch::FrameTimes;
use super::voice_input::VoiceInput;
use super::voice_match::VoiceMatch;
use crate::composite::gpu::TextureTarget;
use crate::head::backend::{Backend, PendingImages};
use crate::head::{Clip, Head, VoiceStatistics};
use crate::{Error, Result};
use data_utils::audio::ave::AveEncoder;
use data_utils::audio::features::AudioKind;
use data_utils::audio::window::WindowShape;
use std::sync::Arc;

/// How a head speaks. What is `None` comes from the clip in the head file.
pub struct PerformanceOptions {
    /// How frames are drawn and put together.
    pub frames: FrameOptions,
    /// What draws the head's torso branch, where [`BackgroundType::DrawnTorso`](super::background::BackgroundType) is asked for.
    pub torso_backend: Option<Box<dyn Backend>>,
    /// Where the head's motion comes from; the clip's poses from its first frame on, smoothed over one neighbour on both
    /// sides, when not given.
    pub poses: Option<Box<dyn PoseSource>>,
    /// Where torso and background come from; the clip's when not given.
    pub plates: Option<Arc<dyn PlateSource>>,
    /// Levels of the voice that the head was trained with; the clip's when not given.
    pub trained_voice: Option<VoiceStatistics>,
    /// Levels of the new voice and the number of rows they were measured over, when they are known beforehand; else they are
    /// measured while it is spoken.
    pub known_voice: Option<(VoiceStatistics, usize)>,
    /// Weights of the audio-visual encoder, for heads that listen to it.
    pub encoder: Option<AveEncoder>,
    /// Part of the way that the camera goes to its pose in each frame, 0 to 1; 1 for no lag. Taken as 1 where the static
    /// background is shown, since the head would slide over it.
    pub smooth_coef: f64,
    /// Ends the performance after so many frames; one for each row of audio when not given.
    pub frame_count: Option<usize>,
}

impl Default for PerformanceOptions {
    fn default() -> Self {
        PerformanceOptions {
            frames: FrameOptions::default(),
            torso_backend: None,
            poses: None,
            plates: None,
            trained_voice: None,
            known_voice: None,
            encoder: None,
            smooth_coef: 1.0,
            frame_count: None,
        }
    }
}

/// A head that speaks. Must not be driven from inside a rayon task: it waits for work that rayon's threads do.
pub struct Performance {
    voice: VoiceInput,
    driver: Driver,
    renderer: FrameRenderer,
    /// The middle of the head.
    middle: [f64; 3],
}

impl Performance {
    /// Samples at 16 kHz (257.5 ms) of sound that a frame waits for beyond its beginning: frame `j`, which is shown while
    /// sample `640·j` is heard, can be drawn once sample `640·j + LOOK_AHEAD` was pushed. The most that any audio feature needs;
    /// [`data_utils::audio::stream::look_ahead`] has that of each (252 ms for speech). Sound at other rates takes up to 20 ms
    /// more to be resampled.
    pub const LOOK_AHEAD: usize = 4120;

    /// Prepares a head to speak.
    ///
    /// # Errors
    /// [`Error::Input`] when the head has no clip and the options do not name what is missing, or for options out of range;
    /// those of the device.
    pub fn new(head: &Arc<Head>, backend: Box<dyn Backend>, options: PerformanceOptions) -> Result<Self> {
        let branch = head.first()?;
        let clip = head.clip.as_ref();
        let plates: Arc<dyn PlateSource> = match options.plates {
            Some(plates) => plates,
            None => Arc::new(ClipPlates::new(Arc::clone(head))?),
        };
        let poses = match (options.poses, clip) {
            (Some(poses), _) => poses,
            (None, Some(Clip { frames, .. })) => {
                Box::new(ClipPoses::new(frames, 0, 1)?) as Box<dyn PoseSource>
            }
            (None, None) => {
                return Err(Error::Internal("plates without poses for a head without a clip".into()));
            }
        };
        let kind = branch.settings.audio;
        let trained = options.trained_voice.or_else(|| clip.and_then(|clip| clip.voice.clone()));
        let matching = trained.filter(|_| kind == AudioKind::Mel).map(|trained| match options.known_voice {
            Some((voice, rows)) => VoiceMatch::known(trained, kind.width(), voice, rows),
            None => VoiceMatch::running(trained, kind.width()),
        });
        let voice = VoiceInput::new(kind, options.encoder, matching)?;
        let FrameOptions { background, backdrop, .. } = options.frames;
        let smooth_coef = if backdrop.allows_lag(background) { options.smooth_coef } else { 1.0 };
        let window = WindowShape::of(kind);
        let driver = Driver::new(poses, voice.row_len(), window, smooth_coef, options.frame_count)?;
        let mut renderer = FrameRenderer::new(branch, backend, plates, options.frames)?;
        if options.frames.background.draws_torso() {
            let torso = options.frames.background.torso_of(head)?;
            let none = || Error::Internal("a torso without a backend that draws it".into());
            renderer = renderer.with_torso(torso, options.torso_backend.ok_or_else(none)?)?;
        }
        Ok(Performance { voice, driver, renderer, middle: branch.cloud.middle() })
    }

    /// Adds the next samples of the voice, mono, full scale ±1, at `rate` Hz. Pieces may have any length; the rate must stay.
    ///
    /// # Errors
    /// [`Error::Input`] for a rate that cannot be resampled or that changes, or when the head listens to features that cannot
    /// be computed here; [`Error::Internal`] after [`Performance::finish`].
    pub fn push_audio(&mut self, samples: &[f32], rate: u32) -> Result<()> {
        let rows = self.voice.push(samples, rate)?;
        self.driver.push_rows(&rows)
    }

    /// Adds audio features that were extracted elsewhere, in place of sound: `[rows, channels, width]` of the kind that the
    /// head was trained with.
    ///
    /// # Errors
    /// [`Error::Internal`] for values that are no whole rows, or after [`Performance::finish`].
    pub fn push_features(&mut self, rows: Vec<f32>) -> Result<()> {
        let rows = self.voice.push_rows(rows)?;
        self.driver.push_rows(&rows)
    }

    /// Forgets the sound that no frame was made for yet, and gives the number of the frame that the next sample is heard in:
    /// a live head that is interrupted, or that has only waited in silence, need not play what was pushed ahead.
    ///
    /// # Errors
    /// As [`Performance::push_audio`].
    pub fn restart_voice(&mut self) -> Result<usize> {
        self.voice.restart()?;
        Ok(self.driver.restart_voice())
    }

    /// Passes over the next frame without drawing it, so that a live head keeps up with its sound, and says whether it did:
    /// not while frames are being drawn, nor when more sound is needed.
    pub fn skip_frame(&mut self) -> bool {
        let skipped = self.renderer.is_idle() && self.driver.next_frame().is_some();
        if skipped {
            self.renderer.skip();
        }
        skipped
    }

    /// Turns the head in the frames that follow, beside its own motion: by `yaw` to the viewer's right and by `pitch` downwards, radians.
    /// The torso stays. A head has no back; beyond what was filmed, some tenths of a radian, its sides come apart.
    pub fn turn_head(&mut self, yaw: f64, pitch: f64) {
        self.driver.turn(Turn { pivot: self.middle, yaw, pitch });
    }

    /// Says that the voice has ended; the last frames no longer wait for more sound.
    ///
    /// # Errors
    /// As [`Performance::push_audio`].
    pub fn finish(&mut self) -> Result<()> {
        let rows = self.voice.finish()?;
        self.driver.push_rows(&rows)?;
        self.driver.close();
        Ok(())
    }

    /// The next frame, in their order; `None` when more sound is needed, and after [`Performance::finish`] at the end. Waits
    /// until the frame is drawn.
    ///
    /// # Errors
    /// Those of drawing and of decoding plates.
    pub fn next_frame(&mut self) -> Result<Option<RenderedFrame>> {
        self.submit()?;
        self.renderer.next_frame()
    }

    /// Starts to draw frames, where there is sound enough, so that a GPU works on them while something else is done, and says
    /// whether any is being drawn; [`Performance::next_frame`] takes them.
    ///
    /// # Errors
    /// As [`Performance::next_frame`].
    pub fn start_frame(&mut self) -> Result<bool> {
        self.submit()?;
        self.renderer.start()?;
        Ok(self.is_drawing())
    }

    /// Gives the renderer the frames that it has room for.
    fn submit(&mut self) -> Result<()> {
        while self.renderer.wants_frames() {
            let driver = &mut self.driver;
            let next = std::iter::from_fn(|| driver.next_frame());
            let inputs: Vec<FrameInputs> = next.take(self.renderer.batch()).collect();
            if inputs.is_empty() {
                break;
            }
            self.renderer.submit(inputs)?;
        }
        Ok(())
    }

    /// Draws the next frame onto a texture of the caller's in place of giving it back, and waits for nothing: the texture holds it
    /// once the images, which come back empty, can be taken. `None` as [`Performance::next_frame`]. For browsers, and for
    /// programs with a device of their own.
    ///
    /// # Errors
    /// Those of drawing and of decoding plates; [`Error::Input`] where the backend is no GPU.
    pub fn draw_next_on(&mut self, target: TextureTarget<'_>) -> Result<Option<PendingImages>> {
        let inputs = self.driver.next_frame();
        inputs.map(|inputs| self.renderer.draw_on(inputs, target)).transpose()
    }

    /// What the next frame is drawn from, in place of drawing it, for programs that want the head's surfels instead of pictures;
    /// `None` as [`Performance::next_frame`].
    pub fn next_inputs(&mut self) -> Option<FrameInputs> {
        self.driver.next_frame()
    }

    /// Whether frames are being drawn or wait to be taken.
    pub fn is_drawing(&self) -> bool {
        !self.renderer.is_idle()
    }

    /// Frames in all, once that is known.
    pub fn total_frames(&self) -> Option<usize> {
        self.driver.total()
    }

    /// Whether the last frame was taken.
    pub fn is_finished(&self) -> bool {
        self.driver.is_finished() && self.renderer.is_idle()
    }

    /// Where the time went so far.
    pub fn times(&self) -> FrameTimes {
        self.renderer.times()
    }
}
