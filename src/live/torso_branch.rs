//! The torso of a head that has a branch for it, drawn for any pose of the head, in place of the torsos of filmed frames.

use crate::head::backend::{Backend, Output, RenderRequest};
use crate::head::field::Conditions;
use crate::head::{Branch, Plate, view};
use crate::raster::Outputs;
use crate::{Camera, Error, Result};
use data_utils::dataset::Part;

/// The attention channel in which the neck, the layer behind the clothes, is seen.
const NECK_CHANNEL: usize = 3;

/// Draws torsos.
pub(super) struct TorsoBranch {
    backend: Box<dyn Backend>,
}

impl TorsoBranch {
    /// Loads the branch into the backend that draws it.
    ///
    /// # Errors
    /// [`Error::Internal`] for a branch of another part; those of the device.
    pub(super) fn new(branch: &Branch, mut backend: Box<dyn Backend>) -> Result<Self> {
        if branch.settings.part != Part::Torso {
            return Err(Error::Internal(format!("a branch of the {} as torso", branch.settings.part)));
        }
        backend.load_state(branch, None)?;
        Ok(TorsoBranch { backend })
    }

    /// The torso of each frame as a plate of the whole picture: its colours, and how much of the head its clothes hide.
    ///
    /// # Errors
    /// Those of drawing.
    pub(super) fn draw(&mut self, conditions: &[Conditions], cameras: &[Camera]) -> Result<Vec<Plate>> {
        let cameras: Vec<Camera> = cameras.iter().map(|camera| view(Part::Torso, camera)).collect();
        let request = RenderRequest {
            conditions,
            cameras: &cameras,
            background: [0.0; 7],
            outputs: Outputs { attention: true, ..Outputs::NONE },
            output: Output::Planes,
        };
        let images = self.backend.render(&request)?.wait()?.planes;
        let pixels = images.width * images.height;
        let each = |k: usize| {
            let color = &images.color[3 * pixels * k..][..3 * pixels];
            let alpha = &images.alpha[pixels * k..][..pixels];
            let neck = &images.attention[4 * pixels * k..][NECK_CHANNEL * pixels..][..pixels];
            plate([images.width as u32, images.height as u32], color, alpha, neck)
        };
        Ok((0..cameras.len()).map(each).collect())
    }
}

/// A plate of the whole picture. `color`, `[3, rows, columns]`, carries its `alpha`; `neck` is how much of the neck is seen.
fn plate(size: [u32; 2], color: &[f32], alpha: &[f32], neck: &[f32]) -> Plate {
    let pixels = alpha.len();
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let straight = |at: usize, channel: usize| byte(color[channel * pixels + at] / alpha[at].max(1e-3));
    let torso = (0..pixels)
        .flat_map(|at| [straight(at, 0), straight(at, 1), straight(at, 2), byte(alpha[at])])
        .collect();
    let occlusion = alpha.iter().zip(neck).map(|(alpha, neck)| byte(alpha - neck)).collect();
    Plate { corner: [0; 2], size, torso, occlusion }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clothes_hide_the_head_and_the_neck_does_not() {
        // Clothes, half clothes, neck, nothing.
        let alpha = [1.0, 0.5, 1.0, 0.0];
        let color: Vec<f32> = (0..3).flat_map(|_| alpha.map(|a| 0.4 * a)).collect();
        let found = plate([4, 1], &color, &alpha, &[0.0, 0.0, 1.0, 0.0]);
        assert_eq!(found.occlusion, [255, 128, 0, 0]);
        let alphas: Vec<u8> = found.torso.chunks_exact(4).map(|rgba| rgba[3]).collect();
        assert_eq!(alphas, [255, 128, 255, 0]);
        assert!(
            found.torso.chunks_exact(4).take(3).all(|rgba| rgba[..3] == [102; 3]),
            "colours are straight"
        );
    }
}
