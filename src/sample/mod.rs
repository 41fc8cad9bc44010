//! The sample talker: a made-up person who can say sentences, so that everything can be shown, tested and scored
//! without footage of anybody.
//!
//! A head of surfels ([`Talker`]) takes the parameters of a frame ([`Params`]); a [`SampleClip`] makes them from
//! sentences: a formant synthesiser speaks, the same phonemes move the mouth, and seeded
//! processes of their own blink, raise brows, look around and turn the head. [`write_dataset`] leaves a complete
//! dataset behind, and because the talker can say anything, there is ground truth for sentences that no training
//! clip holds.
//!
//! Everything is a function of seeds: the same seed, the same bytes, whatever the number of threads. The head
//! stands still in the world (metres, x right, y up, z out of the face) and cameras move around it, as the field
//! treats heads; the shoulders are still before the camera.
//!
//! Sources: Klatt 1980 (formant synthesis), Cohen & Massaro 1993 (coarticulation), Kajiya & Kay 1989 (hair).

mod anatomy;
mod clip;
mod curve;
mod dataset;
mod element;
mod landmarks;
mod light;
mod measure;
mod numbers;
mod params;
mod phonemes;
mod pose;
mod pronounce;
mod render;
mod rules;
mod say;
mod scene;
mod sentences;
mod speech;
mod trained;
mod voice;
mod warp;

pub use clip::{SampleClip, speak};
pub use dataset::{truth, write_dataset};
pub use element::{Label, Side};
pub use landmarks::{landmarks, mouth_opening};
pub use measure::{MouthRegion, measure_mouth_opening};
pub use params::{FacePose, HeadPose, MouthPose, Params};
pub use phonemes::PHONEMES;
pub use render::{Region, TalkerFrame, backdrop, render_frame};
pub use say::say;
pub use scene::{DISTANCE, Talker, TalkerSurfels, camera};
pub use sentences::{HELD_OUT, Sentence, Spoken, TRAINING, lexicon, training};
pub use trained::{TRAINED, trained};
