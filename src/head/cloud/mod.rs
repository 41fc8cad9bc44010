//! The canonical cloud: its parameters, how it starts, how it grows and shrinks, and the files that hold it.

pub mod activate;
pub mod delta_layout;
pub mod density;
pub mod init;
pub mod model_dir;
pub mod ply;
pub mod posed;
pub mod quaternion;
pub mod splat;
pub mod surfels;
pub mod viewer_frame;

pub use surfels::{Cloud, Mouth};
pub use viewer_frame::ViewerFrame;
