//! From a voice to a talking head, frame by frame.
//!
//! ```text
//! sound ─▶ voice_input ─▶ voice_match ─▶ audio rows ─┐
//!                                       pose_source ─┴▶ driver ─▶ frame_renderer ─▶ RenderedFrame
//!                                      plate_source ──────────────────────┘
//! ```
//!
//! * [`performance`] the whole chain for one voice: sound is pushed, frames are taken
//! * [`driver`] what each frame is drawn from; [`split`] the same for the dataset's own frames
//! * [`pose_source`] where the motion of the head comes from; [`generated_motion`] from the sound; [`smooth`] a steadier camera path; [`start_time`] `--ss`
//! * [`voice_match`] a new voice brought to the levels of the one a head was trained with
//! * [`frame_renderer`] field, rasterizer and composition, with plates decoded ahead; [`plate_source`] where plates come from
//! * `torso_branch` a torso that follows any pose of the head
//! * [`portrait`] a face laid into the original video's frames; `seam_color` the frame's colours along its edge
//! * [`background`] what is behind the head; [`crate::composite`] puts the head over it
//! * [`attention`] the attention channels as pictures and videos

pub mod attention;
pub mod background;
pub mod driver;
#[cfg(test)]
mod driver_tests;
pub mod frame_renderer;
pub mod generated_motion;
mod kept_hair;
pub mod performance;
pub mod plate_source;
pub mod portrait;
pub mod portrait_frame;
mod portrait_mask;
pub mod pose_source;
mod seam_color;
pub mod smooth;
pub mod split;
pub mod start_time;
pub mod stopwatch;
mod torso_branch;
mod voice_input;
pub mod voice_match;
