//! Drawing: one thread owns every session's head, makes each frame when it is due, and hands it on.
//!
//! * [`Drawing`] the handle that opens sessions; `thread` the thread, `open_session` what it keeps of each
//! * `places` who is let in, by what [`costs`] have been measured; [`Figures`] what was counted
//! * `shared` what handle and thread both see

pub mod costs;
mod figures;
mod handle;
mod open_session;
mod options;
mod places;
mod shared;
#[cfg(test)]
mod tests;
mod thread;

pub use figures::Figures;
pub use handle::Drawing;
pub use options::{Admission, Pace, SessionOptions};
