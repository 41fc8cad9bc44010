//! The pose of the head in every frame: a face model is fitted to the landmarks of the whole clip, then the poses are
//! stabilized by following the picture.
//!
//! World: metres, origin inside the head, x to the right of the image, y up, z out of the face. Poses are
//! camera-from-world, x right, y down, z forward; pixel coordinates in this module are counted from the image's edge (the first pixel's centre is at 0.5).

pub mod bfm;
mod depth;
pub mod fit;
pub mod flow;
mod gaussian_process;
pub mod ict;
mod math;
pub mod mobility;
pub mod model;
mod model_folder;
pub mod pose;
pub mod reprojection;
pub mod stabilise;
pub mod surface;
mod temporal;

pub use depth::Mesh;
pub use fit::{Fit, FitErrors, FitOptions, FrameLandmarks, fit};
pub use model::FaceModel;
pub use model_folder::{model_files, open_model};
pub use pose::{Lens, Pose};
pub use stabilise::{
    FlowTracker, Head, Jitter, Pictures, ResidualMotion, StabiliseOptions, Stabilization, stabilise,
};
