//! A device, opened or borrowed: its queue, limits, buffers and pipelines.

use super::faults::{Faults, GpuFault};
use super::map::MapRequest;
use super::pipelines::Pipelines;
use super::pool::{BufferUse, Pool, PooledBuffer};
use crate::{Error, Result};

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

/// A device with its pipelines and buffers. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// wgpu's device.
    pub(crate) device: wgpu::Device,
    /// wgpu's queue.
    pub(crate) queue: wgpu::Queue,
    /// The device's limits.
    pub(crate) limits: wgpu::Limits,
    /// Least threads of a subgroup; nothing where there are no subgroup operations.
    pub(crate) subgroup: Option<u32>,
    /// Whether stages can be timed.
    pub(crate) timestamps: bool,
    /// Buffers that wait for their next use.
    pub(crate) pool: Pool,
    /// Pipelines made so far.
    pub(super) pipelines: Pipelines,
    info: wgpu::AdapterInfo,
    faults: Faults,
}

impl Gpu {
    /// The best adapter that will do, or nothing where there is none; waits for the answer. For programs: a browser
    /// cannot wait, and awaits [`Gpu::open_async`].
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when an adapter is there but yields no device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(choice: Choice) -> Result<Option<Gpu>> {
        Self::restricted(choice, Restrictions::default())
    }

    /// As [`Gpu::open`], without some of the adapter's abilities.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restricted(choice: Choice, restrictions: Restrictions) -> Result<Option<Gpu>> {
        pollster::block_on(Self::open_async(choice, restrictions))
    }

    /// The best adapter that will do, or nothing where there is none.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when an adapter is there but yields no device.
    pub async fn open_async(choice: Choice, restrictions: Restrictions) -> Result<Option<Gpu>> {
        // OpenGL is left out: its devices lack what training needs.
        let backends = if cfg!(target_arch = "wasm32") {
            wgpu::Backends::BROWSER_WEBGPU
        } else {
            wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12
        };
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let suits = |a: &wgpu::Adapter| choice == Choice::Any || rank(a.get_info().device_type) < SOFTWARE;
        let adapter = if cfg!(target_arch = "wasm32") {
            // A browser shows one adapter, and does not say of what kind it is.
            instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.ok()
        } else {
            let mut adapters = instance.enumerate_adapters(backends).await;
            adapters.sort_by_key(|a| rank(a.get_info().device_type));
            adapters.into_iter().find(suits)
        };
        match adapter {
            Some(adapter) => Self::from_adapter(&adapter, restrictions).await.map(Some),
            None => Ok(None),
        }
    }

    async fn from_adapter(adapter: &wgpu::Adapter, restrictions: Restrictions) -> Result<Gpu> {
        let mut wanted = wgpu::Features::TIMESTAMP_QUERY;
        if !restrictions.without_subgroups {
            wanted |= wgpu::Features::SUBGROUP;
        }
        let mut limits = if restrictions.default_limits { wgpu::Limits::default() } else { adapter.limits() };
        if let Some(bytes) = restrictions.binding_bytes {
            limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(bytes);
        }
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("surfeltalk"),
            required_features: adapter.features() & wanted,
            required_limits: limits,
            ..Default::default()
        });
        let lost = |e| Error::DeviceLost(format!("{}: {e}", adapter.get_info().name));
        let (device, queue) = request.await.map_err(lost)?;
        let faults = Faults::watch(&device);
        Ok(Self::with(device, queue, faults))
    }

    /// A device that the caller has made and keeps using, with its queue. Features and limits are the device's own:
    /// WebGPU's default limits are enough, and subgroup operations and timestamp queries are used where they were asked
    /// for. The caller keeps the device's error and loss handlers.
    ///
    /// # Errors
    /// [`Error::Input`] when a limit is below WebGPU's default that our shaders need.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Gpu> {
        let gpu = Self::with(device, queue, Faults::default());
        let (found, needed) = (&gpu.limits, wgpu::Limits::default());
        let limits = [
            (
                "max_storage_buffers_per_shader_stage",
                found.max_storage_buffers_per_shader_stage,
                needed.max_storage_buffers_per_shader_stage,
            ),
            (
                "max_compute_workgroup_storage_size",
                found.max_compute_workgroup_storage_size,
                needed.max_compute_workgroup_storage_size,
            ),
            (
                "max_compute_invocations_per_workgroup",
                found.max_compute_invocations_per_workgroup,
                needed.max_compute_invocations_per_workgroup,
            ),
            (
                "max_compute_workgroup_size_x",
                found.max_compute_workgroup_size_x,
                needed.max_compute_workgroup_size_x,
            ),
        ];
        match limits.into_iter().find(|(_, found, needed)| found < needed) {
            None => Ok(gpu),
            Some((name, found, needed)) => Err(Error::input(
                format!("the device's {name}"),
                format!("at least {needed}"),
                found.to_string(),
                "request the device with wgpu::Limits::default() or more",
            )),
        }
    }

    fn with(device: wgpu::Device, queue: wgpu::Queue, faults: Faults) -> Gpu {
        let (info, features, limits) = (device.adapter_info(), device.features(), device.limits());
        // Sums of at most 32 subgroups are kept apart, so smaller ones are as good as none.
        let subgroups = features.contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size >= 8;
        Gpu {
            pool: Pool::new(device.clone()),
            pipelines: Pipelines::new(device.clone()),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroup: subgroups.then_some(info.subgroup_min_size),
            device,
            queue,
            limits,
            info,
            faults,
        }
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

    /// Bytes of the largest buffer that a kernel can use whole.
    pub(crate) fn binding_limit(&self) -> u64 {
        let binding = self.limits.max_storage_buffer_binding_size;
        // Elements are counted in u32; half of its range is far from wrapping.
        binding.min(self.limits.max_buffer_size).min(1 << 33)
    }

    /// A buffer for kernels; its content is whatever its last user left.
    pub(crate) fn storage(&self, bytes: u64) -> PooledBuffer {
        self.pool.acquire(BufferUse::Storage, bytes)
    }

    /// A buffer of constants.
    pub(crate) fn uniform(&self, words: &[u32]) -> PooledBuffer {
        let buffer = self.pool.acquire(BufferUse::Uniform, 4 * words.len() as u64);
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    /// A buffer of constants on which whole branches of a shader depend. Read as storage: Mesa's lavapipe would compile
    /// the shader anew with the values of a uniform buffer at every dispatch, and keep all that.
    pub(crate) fn uniform_as_storage(&self, words: &[u32]) -> PooledBuffer {
        let buffer = self.storage(4 * words.len() as u64);
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    /// What went wrong since the device was opened. A borrowed device tells its owner instead.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when it is gone or out of memory, [`Error::Internal`] when it was asked for something
    /// invalid.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(GpuFault::Invalid(_)) = self.faults.get() {
            // Whatever is asked of a device that is gone is invalid too. Its loss is reported only by a wait, and is then
            // the fault that is kept.
            let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        }
        match self.faults.get() {
            None => Ok(()),
            Some(GpuFault::Lost(message)) => Err(Error::DeviceLost(message)),
            Some(GpuFault::Invalid(message)) => Err(Error::Internal(message)),
        }
    }

    /// Runs the callbacks of what is done by now, without waiting. A browser does this by itself.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone or out of memory, [`Error::Internal`] when it was asked for something
    /// invalid.
    pub fn poll(&self) -> Result<()> {
        let outcome = self.device.poll(wgpu::PollType::Poll);
        self.check()?;
        outcome.map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
    }

    /// Waits until everything submitted is done. In a browser, where nothing can wait, it returns at once.
    ///
    /// # Errors
    /// As [`Gpu::poll`].
    pub fn wait_idle(&self) -> Result<()> {
        self.wait_for(None)
    }

    /// Waits until `submission` is done, and what was submitted before it; everything, where it is nothing.
    ///
    /// # Errors
    /// As [`Gpu::poll`].
    pub(super) fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let outcome = self.device.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        self.check()?;
        outcome.map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
    }

    /// Waits until a buffer that `submission` uses is mapped. Another thread that polls the device may have taken the answer
    /// along and be about to deliver it when this one has nothing left to wait for; then it is waited for a little longer.
    ///
    /// # Errors
    /// As [`Gpu::poll`]; [`Error::DeviceLost`] when the answer never comes; in a browser [`Error::Internal`] where the mapping
    /// is not done yet.
    pub(super) fn wait_mapped(
        &self,
        request: &MapRequest,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<()> {
        self.poll()?;
        if let Some(outcome) = request.outcome() {
            return outcome;
        }
        if cfg!(target_arch = "wasm32") {
            return Err(Error::Internal(
                "a blocking read-back of the GPU where nothing can wait: use a ring".into(),
            ));
        }
        for _ in 0..MAP_ATTEMPTS {
            self.wait_for(submission.clone())?;
            if let Some(outcome) = request.outcome() {
                return outcome;
            }
            std::thread::sleep(MAP_PAUSE);
        }
        Err(Error::DeviceLost(format!("{} does not answer a request to map a buffer", self.name())))
    }

    /// Gives the device up, as if it had been unplugged; for tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

/// How often, and after which pauses, a mapping is asked after once the work it waits for is done: 30 s in all.
const MAP_ATTEMPTS: u32 = 300_000;
const MAP_PAUSE: std::time::Duration = std::time::Duration::from_micros(100);

/// Rank of software adapters.
const SOFTWARE: u8 = 4;

/// Adapters in the order in which they are taken. A browser's are all of no kind that it tells.
fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::VirtualGpu => 1,
        wgpu::DeviceType::IntegratedGpu => 2,
        wgpu::DeviceType::Other if cfg!(target_arch = "wasm32") => 3,
        wgpu::DeviceType::Cpu => SOFTWARE,
        wgpu::DeviceType::Other => SOFTWARE + 1,
    }
}
