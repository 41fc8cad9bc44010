//! The clip a head was trained on, as far as a new voice needs it: poses, blendshapes, levels of the voice, background and
//! torsos. It is stored in the head file, so that a head speaks without its dataset.

mod frames;
mod from_dataset;
mod plates;
mod store;

pub use frames::{Clip, ClipFrame};
pub use from_dataset::clothes_mask;
pub use plates::{Plate, Plates};
