//! Speech features: the first layers of a small convolutional network that was trained on the speech of very many people
//! (speech embedding, Lin et al. 2020, arXiv 2002.01322). What lips learn from them on one voice holds for others.
//!
//! `spectrum` makes 100 rows of 32 mel bands a second, `level` brings them to one loudness, `trunk` turns four of them into
//! one row of 192 values, `lips` tells curves of the lips from those, `stream` sets both on the video frames. Everything is on plain slices and depends on earlier
//! sound alone beyond the stated look-ahead, so a voice that is still coming gives the same rows, to the bit, as the whole.

mod layers;
mod level;
mod lips;
mod spectrum;
mod stream;
mod trunk;
mod weights;

pub use lips::CURVES;
pub use stream::{LOOK_AHEAD, SpeechStream};

/// Values of a row: 192 of the network, then the curves of the lips.
pub const FEATURES: usize = trunk::FEATURES + CURVES;
