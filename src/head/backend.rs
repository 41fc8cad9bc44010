//! What runs a branch: one trait, one implementation for each kind of device. Each holds surfels, tri-planes, the small
//! networks, and the state of Adam for all of them.

pub mod adam;
pub mod cpu;
pub mod gpu;
mod images;
mod interface;
pub mod moments;
mod open;
pub mod rates;
mod shared;
mod step;

pub use cpu::CpuBackend;
pub use gpu::GpuBackend;
pub use images::{Images, Output, PendingImages, RenderRequest};
pub use interface::Backend;
pub use moments::BranchMoments;
pub use open::{Opened, open};
pub use rates::{CloudRates, FieldRates, Rates};
pub use shared::SharedBackend;
pub use step::{PatchInputs, StepInputs, StepOutputs, StepTargets, StepTimes};
