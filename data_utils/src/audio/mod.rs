//! Voices: from sound to what drives a face, streaming first; a file is a stream that ends.
//!
//! [`resample`] gives mono samples at 16 kHz, [`mel`] their spectrogram, [`ave`] the audio-visual encoder over it, [`speech`] a
//! network for speech, [`stream`] one row of features per video frame from any of them, [`window`] the rows that the network
//! sees for a frame.
//! Each stage takes samples as they come, needs a constant number of them beyond the time it is asked about (its look
//! ahead), and gives the same whether a voice comes whole or in pieces. [`features`] holds the rows of a whole voice,
//! [`load`] decodes files. Time in video frames is at [`FRAME_RATE`]; frame `i` covers the samples of
//! `[i / 25, (i + 1) / 25)` seconds.

#[cfg(feature = "native")]
pub mod align;
pub mod ave;
#[cfg(feature = "native")]
mod decode;
#[cfg(feature = "native")]
mod error;
#[cfg(feature = "native")]
mod feature_files;
pub mod features;
#[cfg(feature = "native")]
mod film;
mod kind;
#[cfg(feature = "native")]
pub mod listen;
pub mod mel;
mod mel_windows;
#[cfg(feature = "native")]
mod mp4_edits;
#[cfg(feature = "native")]
mod native;
pub mod resample;
mod sound;
#[cfg(feature = "native")]
mod source;
pub mod speech;
pub mod stream;
#[cfg(feature = "native")]
mod wav;
pub mod window;

#[cfg(feature = "native")]
pub use decode::{load, load_native, load_with_notes};
#[cfg(feature = "native")]
pub use film::load_film;
pub use kind::AudioKind;
pub use sound::{FRAME_RATE, LONGEST, SAMPLE_RATE, SAMPLES_PER_FRAME, SILENCE_DB, Sound, video_frames};
#[cfg(feature = "native")]
pub use wav::write_wav;
