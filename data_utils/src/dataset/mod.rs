//! The dataset folder of SyncTalk, GaussianTalker, TalkingGaussian and their kin: one schema, one reader, one writer.
//!
//! [`Dataset::open`] checks everything once and names every problem it finds; pictures are decoded when they are
//! asked for and kept within a budget of bytes. What a dataset lacks is replaced where a replacement makes sense,
//! and each replacement is one line of [`Dataset::notes`].
//!
//! | file | needed | in its place |
//! |---|---|---|
//! | `transforms_train.json` | yes | |
//! | `transforms_val.json` | no | the last 1/11 of the training frames |
//! | `ori_imgs/{i}.jpg` or `.png` | yes | `gt_imgs/{i}.jpg`; with labels, the original holds all that `gt_imgs` has |
//! | `parsing/{i}.png` | yes | a frame without it is left out |
//! | `parsing/{i}_face.png` | no | outline of the landmarks, else the head without hair |
//! | `teeth_mask/{i}.npy` | no | |
//! | `ori_imgs/{i}.lms` | no | no rectangles for that frame |
//! | `torso_imgs/{i}.png` | no | no torso for that frame |
//! | `bc.jpg` | no | black |
//! | `bs.npy` | no | `au.csv`, else zeros |
//! | `source.json` | no | no portrait mode |
//! | `fused.ply` | no | `points3d.ply`, else points inside the masks of all cameras |
//! | `aud_ave.npy`, `aud_ds.npy`, `aud_hu.npy`, `aud.wav` | one | as asked by [`AudioChoice`] |
//!
//! `face_mask` is written but not read: SyncTalk means the head by it and SyncGaussianTalker the face.
//! Metres and decimetres are both fine, so long as cameras and cloud agree.

#[cfg(feature = "native")]
mod audio;
#[cfg(feature = "native")]
mod cache;
#[cfg(feature = "native")]
mod check;
#[cfg(feature = "native")]
mod expression;
#[cfg(feature = "native")]
mod folder;
#[cfg(feature = "native")]
mod landmarks;
mod masks;
#[cfg(feature = "native")]
mod open;
#[cfg(feature = "native")]
mod pixels;
#[cfg(feature = "native")]
mod points;
#[cfg(feature = "native")]
mod readable;
mod rows;
#[cfg(feature = "native")]
mod scale;
#[cfg(feature = "native")]
mod source_video;
#[cfg(feature = "native")]
mod torso;
#[cfg(feature = "native")]
mod transforms;
#[cfg(feature = "native")]
pub mod write;

#[cfg(feature = "native")]
pub use audio::{AudioChoice, find_ave_weights};
#[cfg(feature = "native")]
pub use expression::{
    COLUMNS as EXPRESSION_COLUMNS, ExpressionSource, is_derived as is_derived_units,
    units_of_blendshapes as expression_units,
};
#[cfg(feature = "native")]
pub use folder::{Dataset, FrameMeta, OpenOptions, Split};
#[cfg(feature = "native")]
pub use landmarks::{Points68, Rect};
pub use masks::{Label, Part, grow, part_mask};
#[cfg(feature = "native")]
pub use pixels::FramePixels;
#[cfg(feature = "native")]
pub use source_video::{FILE as SOURCE_VIDEO, SourceVideo};
