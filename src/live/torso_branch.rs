//! The torso of a head that has a branch for it, drawn for any pose of the head, in place of the torsos of filmed frames.

use crate::composite::DeviceTorso;
use crate::composite::torso_layer::torso_layer;
use crate::gpu::Gpu;
use crate::head::backend::{Backend, Output, PendingImages, RenderRequest};
use crate::head::field::Conditions;
use crate::head::{Branch, Plate, view};
use crate::raster::Outputs;
use crate::{Camera, Error, Result};
use data_utils::dataset::Part;
use rayon::prelude::*;

/// Torsos of the frames of a batch.
pub(super) enum DrawnTorsos {
    /// As plates of the whole picture.
    Plates(Vec<Plate>),
    /// On the device that also draws the head; the second says when they are whole.
    OnDevice(DeviceTorso, PendingImages),
}

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

    /// The torso of each frame: its colours, and how much of the head its clothes hide. They stay on `composing`, the device that
    /// the pictures are composed on, where they are drawn there too.
    ///
    /// # Errors
    /// Those of drawing.
    pub(super) fn draw(
        &mut self,
        conditions: &[Conditions],
        cameras: &[Camera],
        composing: Option<&Gpu>,
    ) -> Result<DrawnTorsos> {
        let cameras: Vec<Camera> = cameras.iter().map(|camera| view(Part::Torso, camera)).collect();
        let mut request = RenderRequest {
            conditions,
            cameras: &cameras,
            background: [0.0; 7],
            outputs: Outputs { attention: true, ..Outputs::NONE },
            output: Output::Planes,
        };
        let device = self.backend.gpu().filter(|own| composing.is_some_and(|gpu| gpu.device == own.device));
        if let (Some(gpu), Some(camera)) = (device, cameras.first()) {
            let size = [camera.width as usize, camera.height as usize];
            let torso = DeviceTorso::new(gpu, size, cameras.len());
            request.output = Output::Torso(&torso);
            let pending = self.backend.render(&request)?;
            return Ok(DrawnTorsos::OnDevice(torso, pending));
        }
        let images = self.backend.render(&request)?.wait()?.planes;
        let pixels = images.width * images.height;
        let plate = |k: usize| {
            let color = &images.color[3 * pixels * k..][..3 * pixels];
            let alpha = &images.alpha[pixels * k..][..pixels];
            let attention = &images.attention[4 * pixels * k..][..4 * pixels];
            let (torso, occlusion) = torso_layer(color, alpha, attention);
            Plate { corner: [0; 2], size: [images.width as u32, images.height as u32], torso, occlusion }
        };
        Ok(DrawnTorsos::Plates((0..cameras.len()).into_par_iter().map(plate).collect()))
    }
}
