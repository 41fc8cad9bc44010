//! A head that speaks on a canvas.

use super::canvas::Canvas;
use crate::composite::gpu::TextureTarget;
use crate::head::Head;
use crate::head::backend::{Backend, GpuBackend, PendingImages};
use crate::live::background::{Backdrop, BackgroundType};
use crate::live::frame_renderer::FrameOptions;
use crate::live::generated_motion::GeneratedMotion;
use crate::live::performance::{Performance, PerformanceOptions};
use crate::live::pose_source::PoseSource;
use crate::{Error, Result};
use data_utils::audio::SAMPLES_PER_FRAME;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;

/// Largest head file that a page opens, bytes.
const MOST_BYTES: usize = 512 << 20;

/// A head on a canvas of the page. Sound is pushed in, and frame `j` is to be shown while sample `640·j` of it, at 16 kHz, is heard.
#[wasm_bindgen]
pub struct SpeakingHead {
    performance: Performance,
    canvas: Canvas,
    /// What was drawn, until it is known how much room the frame took.
    pending: Vec<PendingImages>,
    size: [u32; 2],
    frames: u32,
}

#[wasm_bindgen]
impl SpeakingHead {
    /// Opens the bytes of a head file on `canvas`, which becomes as large as the clip's frames.
    /// `background` is `room`, `transparent`, or a colour such as `#00ff00`.
    ///
    /// # Errors
    /// When the browser has no WebGPU, or the bytes are no head: a sentence for the page.
    #[wasm_bindgen]
    pub async fn open(
        bytes: Vec<u8>,
        canvas: HtmlCanvasElement,
        background: &str,
    ) -> std::result::Result<SpeakingHead, JsError> {
        let backdrop = backdrop(background)?;
        let head = head_of(&bytes)?;
        let size = head.clip.as_ref().map(|clip| clip.size);
        let size = size.ok_or_else(|| {
            let remedy = "train it with a newer version";
            Error::input("the head", "the clip it was trained on", "none", remedy)
        })?;
        let canvas = Canvas::open(canvas, size, backdrop == Backdrop::Transparent).await?;
        let performance = performance(&Arc::new(head), &canvas, backdrop)?;
        Ok(SpeakingHead { performance, canvas, pending: Vec::new(), size, frames: 0 })
    }

    /// Adds the next samples of the voice, mono, full scale ±1, at `rate` Hz. A head that waits is given silence.
    ///
    /// # Errors
    /// For a rate that cannot be resampled or that changes.
    #[wasm_bindgen(js_name = pushAudio)]
    pub fn push_audio(&mut self, samples: &[f32], rate: u32) -> std::result::Result<(), JsError> {
        Ok(self.performance.push_audio(samples, rate)?)
    }

    /// Forgets the sound that no frame was made for yet, and gives the number of the frame that the next sample is heard in.
    ///
    /// # Errors
    /// As `pushAudio`.
    #[wasm_bindgen]
    pub fn restart(&mut self) -> std::result::Result<usize, JsError> {
        Ok(self.performance.restart_voice()?)
    }

    /// Draws the next frame onto the canvas and says whether it did: not while more sound is needed, nor while the canvas is not
    /// seen.
    ///
    /// # Errors
    /// When drawing fails; `isLost` then says whether the device went away.
    #[wasm_bindgen]
    pub fn draw(&mut self) -> std::result::Result<bool, JsError> {
        self.pending.retain_mut(|images| images.try_take().is_none());
        let performance = &mut self.performance;
        let drawn =
            self.canvas.draw(|view, format| performance.draw_next_on(TextureTarget { view, format }))?;
        self.frames += u32::from(drawn.is_some());
        let is_drawn = drawn.is_some();
        self.pending.extend(drawn);
        Ok(is_drawn)
    }

    /// Turns the head in the frames that follow: to the viewer's right and downwards, radians.
    #[wasm_bindgen]
    pub fn turn(&mut self, yaw: f64, pitch: f64) {
        if yaw.is_finite() && pitch.is_finite() {
            self.performance.turn_head(yaw, pitch);
        }
    }

    /// Passes over the next frame and says whether it did: a late picture is left out.
    #[wasm_bindgen]
    pub fn skip(&mut self) -> bool {
        let skipped = self.performance.skip_frame();
        self.frames += u32::from(skipped);
        skipped
    }

    /// Frames drawn or passed over so far.
    #[wasm_bindgen(getter)]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Frames whose drawing has not ended on the device.
    #[wasm_bindgen(getter)]
    pub fn pending(&mut self) -> usize {
        self.pending.retain_mut(|images| images.try_take().is_none());
        self.pending.len()
    }

    /// Samples at 16 kHz that a frame waits for beyond its beginning.
    #[wasm_bindgen(getter, js_name = lookAhead)]
    pub fn look_ahead(&self) -> usize {
        Performance::LOOK_AHEAD
    }

    /// Samples at 16 kHz of a frame.
    #[wasm_bindgen(getter, js_name = samplesPerFrame)]
    pub fn samples_per_frame(&self) -> usize {
        SAMPLES_PER_FRAME
    }

    /// Width of the pictures, pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.size[0]
    }

    /// Height of the pictures, pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.size[1]
    }

    /// Whether the device went away; open the head once more.
    #[wasm_bindgen(getter, js_name = isLost)]
    pub fn is_lost(&self) -> bool {
        self.canvas.is_lost()
    }
}

fn head_of(bytes: &[u8]) -> Result<Head> {
    if bytes.len() > MOST_BYTES {
        let found = format!("{} MB", bytes.len() >> 20);
        let remedy = "export it from a model with fewer frames";
        return Err(Error::input("the head", "less than 512 MB", found, remedy));
    }
    Head::from_bytes(bytes)
}

fn performance(head: &Arc<Head>, canvas: &Canvas, backdrop: Backdrop) -> Result<Performance> {
    let backend = || Box::new(GpuBackend::new(canvas.gpu.clone())) as Box<dyn Backend>;
    let has_torso = BackgroundType::DrawnTorso.torso_of(head).is_ok();
    let background = if has_torso { BackgroundType::DrawnTorso } else { BackgroundType::BgWithTorso };
    let branch = head.first()?;
    let motion =
        head.clip.as_ref().filter(|_| has_torso).and_then(|clip| {
            GeneratedMotion::new(clip.motion.clone()?, &clip.frames, branch.settings.audio, 0)
        });
    let options = PerformanceOptions {
        frames: FrameOptions { batch: 1, background, backdrop, ..FrameOptions::default() },
        torso_backend: has_torso.then(backend),
        poses: motion.map(|motion| Box::new(motion) as Box<dyn PoseSource>),
        ..PerformanceOptions::default()
    };
    Performance::new(head, backend(), options)
}

fn backdrop(name: &str) -> Result<Backdrop> {
    let wrong = || {
        let expected = "room, transparent, or a colour such as #00ff00";
        Error::input("the background", expected, name, "choose one of them")
    };
    match name.strip_prefix('#') {
        None if name == "room" => Ok(Backdrop::Own),
        None if name == "transparent" => Ok(Backdrop::Transparent),
        Some(digits) if digits.len() == 6 => {
            let color = u32::from_str_radix(digits, 16).map_err(|_| wrong())?.to_be_bytes();
            Ok(Backdrop::Color([color[1], color[2], color[3]]))
        }
        _ => Err(wrong()),
    }
}
