//! An adapter, its device and what went wrong on it.

use super::buffers::Pool;
use super::kernels::Kernels;
use crate::{Error, Result};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Which adapters will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A GPU in hardware.
    Hardware,
    /// A GPU in hardware before one in software.
    Any,
}

/// What a device is asked for beyond its adapter's own abilities; for tests of what lesser adapters do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restrictions {
    /// No subgroup operations.
    pub without_subgroups: bool,
    /// The limits that every WebGPU implementation has.
    pub default_limits: bool,
    /// Bytes of the largest buffer that a kernel uses whole.
    pub binding_bytes: Option<u64>,
}

/// What went wrong, the first fault kept.
#[derive(Debug, Clone, Default)]
struct Faults(Arc<Mutex<Option<Fault>>>);

#[derive(Debug, Clone)]
enum Fault {
    /// The device is gone or out of memory.
    Lost(String),
    /// We asked for something invalid.
    Invalid(String),
}

impl Faults {
    fn record(&self, fault: Fault) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lost device explains everything that follows and whatever preceded it.
        if slot.is_none() || matches!(fault, Fault::Lost(_)) && !matches!(*slot, Some(Fault::Lost(_))) {
            *slot = Some(fault);
        }
    }
}

/// A device with its kernels and buffers. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// wgpu's device.
    pub(crate) device: wgpu::Device,
    /// wgpu's queue.
    pub(crate) queue: wgpu::Queue,
    /// The adapter's limits, as granted.
    pub(crate) limits: wgpu::Limits,
    /// Least threads of a subgroup; nothing where there are no subgroup operations.
    pub(crate) subgroup: Option<u32>,
    /// Whether stages can be timed.
    pub(crate) timestamps: bool,
    /// Buffers that wait for their next use.
    pub(crate) pool: Pool,
    /// Pipelines made so far.
    pub(crate) kernels: Kernels,
    info: wgpu::AdapterInfo,
    faults: Faults,
}

impl Gpu {
    /// The best adapter that will do, or nothing where there is none.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when an adapter is there but yields no device.
    pub fn open(choice: Choice) -> Result<Option<Gpu>> {
        Self::restricted(choice, Restrictions::default())
    }

    /// As [`Gpu::open`], without some of the adapter's abilities.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn restricted(choice: Choice, restrictions: Restrictions) -> Result<Option<Gpu>> {
        // OpenGL is left out: its devices lack what training needs.
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters = wait(instance.enumerate_adapters(backends));
        adapters.sort_by_key(|a| rank(a.get_info().device_type));
        let suits = |a: &wgpu::Adapter| choice == Choice::Any || rank(a.get_info().device_type) < SOFTWARE;
        match adapters.into_iter().find(suits) {
            Some(adapter) => Self::on(&adapter, restrictions).map(Some),
            None => Ok(None),
        }
    }

    fn on(adapter: &wgpu::Adapter, restrictions: Restrictions) -> Result<Gpu> {
        let info = adapter.get_info();
        let mut wanted = wgpu::Features::TIMESTAMP_QUERY;
        if !restrictions.without_subgroups {
            wanted |= wgpu::Features::SUBGROUP;
        }
        let required_features = adapter.features() & wanted;
        let mut limits = if restrictions.default_limits { wgpu::Limits::default() } else { adapter.limits() };
        if let Some(bytes) = restrictions.binding_bytes {
            limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(bytes);
        }
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("surfeltalk"),
            required_features,
            required_limits: limits,
            ..Default::default()
        });
        let (device, queue) = wait(request).map_err(|e| Error::DeviceLost(format!("{}: {e}", info.name)))?;
        let faults = Faults::default();
        let on_error = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            on_error.record(match error {
                wgpu::Error::Validation { description, .. } => Fault::Invalid(description),
                other => Fault::Lost(other.to_string()),
            });
        }));
        let on_loss = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            on_loss.record(Fault::Lost(format!("{reason:?}: {message}")));
        });
        let limits = device.limits();
        let subgroups = required_features.contains(wgpu::Features::SUBGROUP);
        // Sums of at most 32 subgroups are kept apart, so smaller ones are as good as none.
        let subgroup = (subgroups && info.subgroup_min_size >= 8).then_some(info.subgroup_min_size);
        Ok(Gpu {
            pool: Pool::new(device.clone()),
            kernels: Kernels::new(device.clone()),
            timestamps: required_features.contains(wgpu::Features::TIMESTAMP_QUERY),
            device,
            queue,
            limits,
            subgroup,
            info,
            faults,
        })
    }

    /// The adapter and what drives it: "NVIDIA H200, Vulkan".
    pub fn name(&self) -> String {
        format!("{}, {:?}", self.info.name, self.info.backend)
    }

    /// Whether the adapter is a program on the processor.
    pub fn is_software(&self) -> bool {
        rank(self.info.device_type) >= SOFTWARE
    }

    /// Buffers made so far; in the steady state of a run none is.
    pub fn buffers_made(&self) -> u64 {
        self.pool.made()
    }

    /// Bytes of buffers that wait for their next use.
    pub fn idle_bytes(&self) -> u64 {
        self.pool.idle_bytes()
    }

    /// What went wrong since the device was made.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when it is gone or out of memory, [`Error::Internal`] when it was asked for nonsense.
    pub(crate) fn check(&self) -> Result<()> {
        let fault = || self.faults.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Fault::Invalid(_)) = fault() {
            // Whatever is asked of a device that is gone is invalid too; that it is gone is only said to who waits, and
            // is then the fault that is kept.
            let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        }
        match fault() {
            None => Ok(()),
            Some(Fault::Lost(message)) => Err(Error::DeviceLost(message)),
            Some(Fault::Invalid(message)) => Err(Error::Internal(message)),
        }
    }

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when it is gone or out of memory, [`Error::Internal`] when it was asked for nonsense.
    pub fn finish(&self) -> Result<()> {
        self.wait_for(None)
    }

    /// Waits until `submission` is done, and what was submitted before it; everything, where it is nothing.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    pub(crate) fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let outcome = self.device.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        self.check()?;
        outcome.map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
    }

    /// Bytes of the largest buffer that a kernel can use whole.
    pub(crate) fn binding_limit(&self) -> u64 {
        let binding = self.limits.max_storage_buffer_binding_size;
        // Numbers are counted in u32; half of their range is far from wrapping.
        binding.min(self.limits.max_buffer_size).min(1 << 33)
    }

    /// Learns what is done by now, without waiting.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    pub(crate) fn look(&self) -> Result<()> {
        let outcome = self.device.poll(wgpu::PollType::Poll);
        self.check()?;
        outcome.map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
    }

    /// Gives the device up, as if it had been unplugged; for tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

/// Rank of software adapters.
const SOFTWARE: u8 = 3;

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::VirtualGpu => 1,
        wgpu::DeviceType::IntegratedGpu => 2,
        wgpu::DeviceType::Cpu => SOFTWARE,
        wgpu::DeviceType::Other => SOFTWARE + 1,
    }
}

/// Runs a future of wgpu's; on the platforms built for they are ready at once.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
