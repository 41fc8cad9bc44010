//! The GPU: a device that is opened or borrowed, its buffers, its pipelines.
//!
//! ```text
//! device     a device, its queue and limits     pool           buffers that are used again and again
//! upload     from the host, in chunks           readback_ring  to the host without a wait
//! download   to the host by a wait              map            a buffer's mapping as a future
//! shaders    sources put together               pipelines      made when first used
//! recorder   the recording of stages            uniforms       structs of constants
//! ```
//!
//! Work is recorded into one [`Recorder`] and submitted once. What goes wrong afterwards, also the loss of the device,
//! surfaces as an [`crate::Error`] at the next read-back. Only `download`, [`Gpu::open`] and [`Gpu::wait_idle`] wait.

mod device;
mod download;
mod faults;
mod host_bytes;
mod map;
mod pipelines;
mod pool;
mod readback_ring;
mod recorder;
pub mod shaders;
pub(crate) mod uniforms;
mod upload;

pub use device::{Choice, Gpu, Restrictions};
pub(crate) use host_bytes::append;
pub(crate) use pipelines::Constants;
pub use pool::PooledBuffer;
pub(crate) use pool::size_class;
pub use readback_ring::{PendingReadback, ReadbackRing};
pub use recorder::{HOST, Recorder, StageTime, Timing};
pub use upload::StagingWriter;
