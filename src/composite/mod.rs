//! One finished picture: the drawn head over its background, its edge softened, in the bytes that a screen or an encoder
//! takes.
//!
//! ```text
//! behind  = torso over (plate | filmed frame | one colour | nothing)
//! inside  = mask · (1 − occlusion)
//! picture = inside · colour + (1 − inside · alpha) · behind         then the seam, then bytes
//! ```
//!
//! The rasterizer draws on black, so its colour already carries its alpha (premultiplied) and the head is put over what is
//! behind it by "over" (Porter & Duff 1984). With a mask, colour and alpha are both cut by it. (SyncGaussianTalker blends
//! the drawn colour with the mask in place of alpha; where the head is not quite opaque that leaves a dark edge.)
//! How much of the picture is covered is counted along: 1 wherever there is a background, and over nothing
//! torso, then inside · alpha + (1 − inside · alpha) · torso. Colours stay premultiplied, also through the seam, and are
//! divided by the coverage when they become bytes.
//!
//! * `cpu` on the host, by rows; the product's path where there is no GPU
//! * `gpu` the same by `shaders/composite/`, from the rasterizer's images on the device
//! * [`torso_layer`] the torso of a branch as a layer; [`seam`] the softened edge; [`picture`] formats and their bytes
//!
//! Drawn images are planar `[3, rows, columns]` f32 as [`crate::raster::Rendered`] has them; all layers are bytes,
//! `[rows, columns, channels]`, 0..255.

pub mod cpu;
mod device_images;
pub mod gpu;
pub mod picture;
pub mod seam;
pub mod torso_layer;

pub use picture::{Picture, PixelFormat};
pub use seam::Seam;
pub use torso_layer::DeviceTorso;

use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the frames of one request are put together from.
#[derive(Debug, Clone, Copy)]
pub struct Composition<'a> {
    /// The layers of each frame.
    pub frames: &'a [Layers<'a>],
    /// How the edge of the head is softened.
    pub seam: Seam,
    /// The bytes that come out.
    pub format: PixelFormat,
    /// The torsos of all frames, where they were drawn on the device that composes; then no frame has one of its own.
    pub torso: Option<&'a DeviceTorso>,
}

/// What one frame is put together from, beside the head.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// What stands behind all.
    pub background: Background<'a>,
    /// The torso before it, RGBA with straight alpha.
    pub torso: Option<Patch<'a>>,
    /// How much of what is behind hides the head, one byte a pixel: clothes before the neck.
    pub occlusion: Option<Patch<'a>>,
    /// Where the head may show (`--use_gt_mask`), `[rows, columns]`.
    pub mask: Option<&'a [u8]>,
}

/// What stands behind the head.
#[derive(Debug, Clone, Copy)]
pub enum Background<'a> {
    /// One colour, 0..1.
    Color([f32; 3]),
    /// The same picture behind many frames; a GPU keeps it.
    Plate(&'a BackgroundPlate),
    /// A picture of this frame alone, RGB, `[rows, columns, 3]`.
    Frame(&'a [u8]),
    /// Nothing: the picture has an alpha of its own, straight in [`PixelFormat::Rgba8`]; the other formats show black.
    Transparent,
}

/// A rectangle of a picture; outside it all is 0.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// Column and row of its upper left corner in the picture.
    pub corner: [u32; 2],
    /// Width and height, pixels; 0 where there is nothing.
    pub size: [u32; 2],
    /// `[rows, columns, channels]` of the rectangle.
    pub bytes: &'a [u8],
}

impl<'a> Patch<'a> {
    /// A whole picture of `size` = [width, height].
    pub fn whole(size: [usize; 2], bytes: &'a [u8]) -> Self {
        Patch { corner: [0; 2], size: size.map(|side| side as u32), bytes }
    }

    /// Pixels of the rectangle.
    fn pixels(&self) -> usize {
        self.size[0] as usize * self.size[1] as usize
    }

    /// The bytes of picture row `y`, and the column they begin at.
    fn row(&self, y: usize, channels: usize) -> (usize, &'a [u8]) {
        let [left, top] = self.corner.map(|at| at as usize);
        let [width, height] = self.size.map(|side| side as usize);
        match y.checked_sub(top).filter(|row| *row < height) {
            Some(row) => (left, &self.bytes[row * width * channels..][..width * channels]),
            None => (0, &[]),
        }
    }

    /// # Errors
    /// [`Error::Internal`] when it sticks out of a picture of `size` = [width, height], or its bytes are not its size's.
    fn check(&self, name: &str, size: [usize; 2], channels: usize) -> Result<()> {
        let inside = (0..2).all(|k| u64::from(self.corner[k]) + u64::from(self.size[k]) <= size[k] as u64);
        if inside && self.bytes.len() == channels * self.pixels() {
            return Ok(());
        }
        let Patch { corner, size: own, bytes } = self;
        Err(Error::Internal(format!(
            "the {name} has {} bytes for {own:?} pixels at {corner:?} of a frame of {size:?}",
            bytes.len()
        )))
    }
}

/// A background picture that many frames share, RGB, `[rows, columns, 3]`. Cheap to clone; clones are the same plate.
#[derive(Debug, Clone)]
pub struct BackgroundPlate {
    rgb: Arc<[u8]>,
    /// Another number for each plate that is made.
    id: u64,
}

impl BackgroundPlate {
    /// A plate of these pixels.
    pub fn new(rgb: impl Into<Arc<[u8]>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        BackgroundPlate { rgb: rgb.into(), id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// By which a device that keeps plates knows this one again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// RGB, `[rows, columns, 3]`.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl Layers<'_> {
    /// Nothing but a background.
    pub fn on(background: Background<'_>) -> Layers<'_> {
        Layers { background, torso: None, occlusion: None, mask: None }
    }

    /// # Errors
    /// [`Error::Internal`] when a layer is not of `size` = [width, height].
    fn check(&self, size: [usize; 2]) -> Result<()> {
        let pixels = size[0] * size[1];
        let background = match self.background {
            Background::Color(_) | Background::Transparent => None,
            Background::Plate(plate) => Some(plate.rgb()),
            Background::Frame(rgb) => Some(rgb),
        };
        self.torso.map_or(Ok(()), |torso| torso.check("torso", size, 4))?;
        self.occlusion.map_or(Ok(()), |patch| patch.check("occlusion", size, 1))?;
        for (name, layer, channels) in [("background", background, 3), ("mask", self.mask, 1)] {
            let found = layer.map_or(channels * pixels, <[u8]>::len);
            if found != channels * pixels {
                return Err(Error::Internal(format!(
                    "the {name} has {found} bytes, a frame of {size:?} takes {}",
                    channels * pixels
                )));
            }
        }
        Ok(())
    }
}
