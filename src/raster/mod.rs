//! Surfels and cameras to images, and image gradients back to surfels (2DGS, Huang et al. 2024).
//!
//! A backend implements [`Rasterizer`]; callers see only the plain types of this file. Arrays are
//! struct-of-arrays, frame-major, then surfel (or channel, row, column), then component. Cameras look along
//! +z, x right, y down, pixel `i` has its centre at coordinate `i`.

pub mod constants;
pub mod cpu;
pub mod gpu;
mod real;

pub use real::Real;

use crate::{Camera, Result};
use std::any::Any;

/// Colours of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Colors<'a, R = f32> {
    /// RGB as it is drawn: `[copies, surfels, 3]`.
    Ready(&'a [R]),
    /// Spherical harmonics of `degree` 0..=3, `[copies, surfels, (degree + 1)², 3]`; the colour drawn is
    /// `max(0, 0.5 + Σ basis · coefficient)` seen from the camera (3DGS, Kerbl et al. 2023).
    Harmonics {
        /// Degree of the harmonics.
        degree: usize,
        /// Coefficients, band 0 first, RGB innermost.
        coefficients: &'a [R],
    },
}

impl<R> Colors<'_, R> {
    /// Numbers per surfel.
    pub fn width(&self) -> usize {
        match self {
            Colors::Ready(_) => 3,
            Colors::Harmonics { degree, .. } => 3 * (degree + 1) * (degree + 1),
        }
    }
}

/// Surfels that are sorted as if they lay farther away than they do, so that they never cover the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// The first of them; they are the last of each copy.
    pub first: usize,
    /// How much farther, units of the world.
    pub offset: f32,
}

/// Activated surfels, one copy for all cameras or one copy for each.
#[derive(Debug, Clone, Copy)]
pub struct SurfelBatch<'a, R = f32> {
    /// Surfels in one copy.
    pub surfels: usize,
    /// Copies: 1 (every camera sees the same), or the number of cameras.
    pub copies: usize,
    /// Centres in the world, `[copies, surfels, 3]`.
    pub positions: &'a [R],
    /// Unit quaternions (w, x, y, z), `[copies, surfels, 4]`; the first two columns of the rotation are the tangents.
    pub rotations: &'a [R],
    /// Standard deviations along the two tangents, `[copies, surfels, 2]`.
    pub scales: &'a [R],
    /// Opacity in 0..1, `[copies, surfels]`.
    pub opacities: &'a [R],
    /// Colours.
    pub colors: Colors<'a, R>,
    /// Attention weights (audio, expression, camera, frame), `[copies, surfels, 4]`, when they are drawn.
    pub attention: Option<&'a [R]>,
    /// Which surfels are drawn behind the others, if any.
    pub behind: Option<Behind>,
}

/// Which images are wanted beside colour and alpha. What nobody asks for costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outputs {
    /// The four attention channels.
    pub attention: bool,
    /// Σ w·z.
    pub depth: bool,
    /// Depth where the transmittance falls to one half.
    pub median: bool,
    /// Σ w·n, view space, facing the camera.
    pub normal: bool,
    /// The distortion of 2DGS, §4.1.
    pub distortion: bool,
}

impl Outputs {
    /// Colour and alpha alone.
    pub const NONE: Self =
        Outputs { attention: false, depth: false, median: false, normal: false, distortion: false };

    /// The images of either.
    pub fn or(self, other: Self) -> Self {
        Outputs {
            attention: self.attention || other.attention,
            depth: self.depth || other.depth,
            median: self.median || other.median,
            normal: self.normal || other.normal,
            distortion: self.distortion || other.distortion,
        }
    }
}

/// How a batch is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RasterSettings<R = f32> {
    /// Background of the colour (0..3) and attention (3..7) channels, one constant each.
    pub background: [R; 7],
    /// Images wanted.
    pub outputs: Outputs,
}

impl<R: Real> Default for RasterSettings<R> {
    fn default() -> Self {
        RasterSettings { background: [R::ZERO; 7], outputs: Outputs::default() }
    }
}

/// What a forward pass drew. All images are `[frames, channels, rows, columns]`; one that was not asked for is empty.
pub struct Rendered<R = f32> {
    /// Frames drawn, one per camera.
    pub frames: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// RGB with the background behind it, `[frames, 3, rows, columns]`.
    pub color: Vec<R>,
    /// Attention with its background behind it, `[frames, 4, rows, columns]`.
    pub attention: Vec<R>,
    /// 1 − transmittance, `[frames, rows, columns]`.
    pub alpha: Vec<R>,
    /// Σ w·z, `[frames, rows, columns]`; divide by alpha for the expected depth.
    pub depth: Vec<R>,
    /// Median depth, 0 where nothing reaches half, `[frames, rows, columns]`.
    pub median: Vec<R>,
    /// Σ w·n in view space, `[frames, 3, rows, columns]`.
    pub normal: Vec<R>,
    /// Distortion, `[frames, rows, columns]`.
    pub distortion: Vec<R>,
    /// Screen radius of each surfel in pixels, 0 where it is not drawn, `[frames, surfels]`.
    pub radii: Vec<u32>,
    /// What the CPU's backward pass needs.
    pub state: Box<dyn Any + Send + Sync>,
}

impl<R> Default for Rendered<R> {
    /// No frame.
    fn default() -> Self {
        Rendered {
            frames: 0,
            width: 0,
            height: 0,
            color: Vec::new(),
            attention: Vec::new(),
            alpha: Vec::new(),
            depth: Vec::new(),
            median: Vec::new(),
            normal: Vec::new(),
            distortion: Vec::new(),
            radii: Vec::new(),
            state: Box::new(()),
        }
    }
}

/// Gradients of a loss with respect to the images of [`Rendered`], same shapes; an empty one is zero.
#[derive(Debug, Clone, Default)]
pub struct ImageGradients<R = f32> {
    /// With respect to the colour.
    pub color: Vec<R>,
    /// With respect to the attention channels.
    pub attention: Vec<R>,
    /// With respect to alpha.
    pub alpha: Vec<R>,
    /// With respect to Σ w·z.
    pub depth: Vec<R>,
    /// With respect to the median depth.
    pub median: Vec<R>,
    /// With respect to the normals.
    pub normal: Vec<R>,
    /// With respect to the distortion.
    pub distortion: Vec<R>,
}

/// Gradients with respect to the fields of [`SurfelBatch`], same shapes; with one copy they are summed over the cameras.
#[derive(Debug, Clone, Default)]
pub struct SurfelGradients<R = f32> {
    /// With respect to the centres.
    pub positions: Vec<R>,
    /// With respect to the unit quaternions, not projected on the sphere; normalising them outside does that.
    pub rotations: Vec<R>,
    /// With respect to the scales.
    pub scales: Vec<R>,
    /// With respect to the opacities.
    pub opacities: Vec<R>,
    /// With respect to the colours, in the form they were given.
    pub colors: Vec<R>,
    /// With respect to the attention weights; empty when they were not drawn.
    pub attention: Vec<R>,
    /// The densification signal of 2DGS, `[frames, surfels, 2]`: how the loss pulls at the centre on the screen.
    pub screen: Vec<R>,
}

/// A backend that draws surfels.
pub trait Rasterizer<R: Real = f32>: Send + Sync {
    /// Draws every camera. All cameras have the same image size.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when slices and counts disagree, [`crate::Error::DeviceLost`] when the GPU goes away.
    fn forward(
        &self,
        batch: &SurfelBatch<'_, R>,
        cameras: &[Camera],
        settings: &RasterSettings<R>,
    ) -> Result<Rendered<R>>;

    /// What draws: "CPU, 2 threads", or the adapter's name.
    fn name(&self) -> String;
}
