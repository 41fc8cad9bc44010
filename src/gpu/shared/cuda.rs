//! Vulkan memory that CUDA sees: exported as a file descriptor, imported by the driver (VK_KHR_external_memory_fd and
//! cuImportExternalMemory). Copies between it and CUDA's own memory never leave the device.
//!
//! Neither side waits for the other by itself. [`CudaRows::write`] returns when CUDA has written, so that what is
//! submitted to wgpu after it reads the new rows; [`CudaRows::read`] is called when wgpu has been waited for.

#![allow(unsafe_code, reason = "memory that two drivers share is beyond what the compiler can see")]

use super::SharedRows;
use crate::gpu::Gpu;
use ash::vk;
use cudarc::driver::{CudaSlice, CudaStream, CudaView, DevicePtr, DriverError, MappedBuffer};
use std::fmt::Display;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::sync::Arc;

/// Rows and their gradient in memory that wgpu and CUDA share.
pub struct CudaRows {
    /// wgpu's side.
    rows: SharedRows,
    /// CUDA's side.
    values: Imported,
    gradients: Imported,
    stream: Arc<CudaStream>,
}

/// Memory of another driver's as a slice of CUDA's.
struct Imported {
    /// Lent from `memory`, which frees it.
    slice: Option<CudaSlice<f32>>,
    /// Outlives the slice.
    _memory: MappedBuffer,
}

impl Drop for Imported {
    fn drop(&mut self) {
        // The slice must not free what is not its own.
        if let Some(slice) = self.slice.take() {
            slice.leak();
        }
    }
}

/// Why memory cannot be had, in words.
pub(super) type Outcome<T> = Result<T, String>;

pub(super) fn failed(what: &str) -> impl Fn(&dyn Display) -> String + '_ {
    move |error| format!("{what}: {error}")
}

impl CudaRows {
    /// Shared memory for `numbers` rows' numbers and as many gradients.
    ///
    /// # Errors
    /// In words, why the two drivers cannot share memory.
    pub fn new(gpu: &Gpu, stream: &Arc<CudaStream>, numbers: usize) -> Outcome<Self> {
        let bytes = (numbers as u64 * 4).max(4);
        if bytes > gpu.binding_limit() {
            return Err(format!("{bytes} bytes are more than a kernel uses whole"));
        }
        same_device(gpu, stream)?;
        let share = || -> Outcome<(wgpu::Buffer, Imported)> {
            let (buffer, file, size) = export(gpu, bytes)?;
            Ok((buffer, import(stream, file, size, bytes, numbers)?))
        };
        let ((values, values_there), (gradients, gradients_there)) = (share()?, share()?);
        let rows = SharedRows { values, gradients, numbers: numbers as u64 };
        let stream = stream.clone();
        Ok(CudaRows { rows, values: values_there, gradients: gradients_there, stream })
    }

    /// wgpu's side.
    pub fn rows(&self) -> &SharedRows {
        &self.rows
    }

    /// Numbers of the rows.
    pub fn len(&self) -> usize {
        self.rows.numbers as usize
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.numbers == 0
    }

    /// Copies rows into the shared memory and waits until they are there.
    ///
    /// # Errors
    /// When CUDA fails, or `values` is longer than the rows.
    pub fn write(&mut self, values: &CudaView<'_, f32>) -> Result<(), String> {
        Self::copy(&self.stream, values, &mut self.values)?;
        self.stream.synchronize().map_err(|e| failed("waiting for CUDA")(&e))
    }

    /// The gradient, which wgpu has finished writing, in CUDA's own memory.
    ///
    /// # Errors
    /// When CUDA fails.
    pub fn read(&mut self) -> Result<CudaSlice<f32>, String> {
        let missing = || "shared memory that is not there".to_owned();
        let source = self.gradients.slice.as_ref().ok_or_else(missing)?;
        let mut out = self.stream.alloc_zeros::<f32>(self.len()).map_err(|e| failed("memory")(&e))?;
        self.stream.memcpy_dtod(source, &mut out).map_err(|e| failed("copying")(&e))?;
        Ok(out)
    }

    fn copy(stream: &Arc<CudaStream>, values: &CudaView<'_, f32>, to: &mut Imported) -> Result<(), String> {
        match &mut to.slice {
            Some(slice) if slice.len() >= values.len() => {
                stream.memcpy_dtod(values, slice).map_err(|e| failed("copying")(&e))
            }
            _ => Err("more rows than shared memory".to_owned()),
        }
    }
}

/// Both drivers must mean the same card.
fn same_device(gpu: &Gpu, stream: &Arc<CudaStream>) -> Outcome<()> {
    let theirs = stream.context().uuid().map_err(|e: DriverError| failed("CUDA's device")(&e))?;
    // SAFETY: the handles are only used while the guard lives, and nothing is destroyed through them.
    let ours = unsafe {
        let device = gpu.device.as_hal::<wgpu::hal::api::Vulkan>().ok_or("the adapter is not Vulkan's")?;
        let mut id = vk::PhysicalDeviceIDProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut id);
        let instance = device.shared_instance().raw_instance();
        instance.get_physical_device_properties2(device.raw_physical_device(), &mut properties);
        id.device_uuid
    };
    if theirs.bytes.map(|b| b as u8) == ours {
        Ok(())
    } else {
        Err("CUDA and Vulkan use different cards".into())
    }
}

/// A buffer of wgpu's whose memory can be imported, the handle of that memory, and its size in bytes.
fn export(gpu: &Gpu, bytes: u64) -> Outcome<(wgpu::Buffer, File, u64)> {
    if !gpu.device.features().contains(wgpu::Features::VULKAN_EXTERNAL_MEMORY_FD) {
        return Err("the adapter cannot export memory".into());
    }
    let kind = vk::ExternalMemoryHandleTypeFlags::OPAQUE_FD;
    let usage = vk::BufferUsageFlags::STORAGE_BUFFER
        | vk::BufferUsageFlags::TRANSFER_SRC
        | vk::BufferUsageFlags::TRANSFER_DST;
    // SAFETY: the device outlives the guard; every handle made here is either destroyed again on the way out or handed
    // to wgpu, which destroys it with the buffer; the usage given to wgpu is the one the buffer was made with.
    unsafe {
        let hal = gpu.device.as_hal::<wgpu::hal::api::Vulkan>().ok_or("the adapter is not Vulkan's")?;
        let (device, instance) = (hal.raw_device(), hal.shared_instance().raw_instance());
        let physical = hal.raw_physical_device();
        let asked = vk::PhysicalDeviceExternalBufferInfo::default().usage(usage).handle_type(kind);
        let mut allowed = vk::ExternalBufferProperties::default();
        instance.get_physical_device_external_buffer_properties(physical, &asked, &mut allowed);
        let allowed = allowed.external_memory_properties.external_memory_features;
        if !allowed.contains(vk::ExternalMemoryFeatureFlags::EXPORTABLE)
            || allowed.contains(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY)
        {
            return Err(format!("buffers cannot be exported ({allowed:?})"));
        }
        let mut external = vk::ExternalMemoryBufferCreateInfo::default().handle_types(kind);
        let wanted = vk::BufferCreateInfo::default()
            .size(bytes)
            .usage(usage)
            .sharing_mode(vk::SharingMode::EXCLUSIVE)
            .push_next(&mut external);
        let buffer = device.create_buffer(&wanted, None).map_err(|e| failed("a buffer")(&e))?;
        let needs = device.get_buffer_memory_requirements(buffer);
        let memories = instance.get_physical_device_memory_properties(physical);
        let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
        let fits = |i: &u32| {
            let kind = memories.memory_types.get(*i as usize);
            needs.memory_type_bits & (1 << i) != 0 && kind.is_some_and(|k| k.property_flags.contains(local))
        };
        let Some(index) = (0..memories.memory_type_count).find(fits) else {
            device.destroy_buffer(buffer, None);
            return Err("no memory of the device's own can be exported".into());
        };
        let mut exported = vk::ExportMemoryAllocateInfo::default().handle_types(kind);
        let wanted = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(index)
            .push_next(&mut exported);
        let memory = device.allocate_memory(&wanted, None).map_err(|e| {
            device.destroy_buffer(buffer, None);
            failed("memory to export")(&e)
        })?;
        let undo = |what: &str, error: vk::Result| {
            device.destroy_buffer(buffer, None);
            device.free_memory(memory, None);
            failed(what)(&error)
        };
        device.bind_buffer_memory(buffer, memory, 0).map_err(|e| undo("binding memory", e))?;
        let exporter = ash::khr::external_memory_fd::Device::new(instance, device);
        let handle = vk::MemoryGetFdInfoKHR::default().memory(memory).handle_type(kind);
        let handle = exporter.get_memory_fd(&handle).map_err(|e| undo("a handle of memory", e))?;
        let file = File::from_raw_fd(handle);
        let raw = wgpu::hal::vulkan::Buffer::from_raw_managed(buffer, memory, 0, needs.size);
        drop(hal);
        let description = wgpu::BufferDescriptor {
            label: Some("rows shared with CUDA"),
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let buffer = gpu.device.create_buffer_from_hal::<wgpu::hal::api::Vulkan>(raw, &description);
        Ok((buffer, file, needs.size))
    }
}

/// Memory of `size` bytes as CUDA sees it, its first `bytes` as `numbers` numbers.
fn import(stream: &Arc<CudaStream>, file: File, size: u64, bytes: u64, numbers: usize) -> Outcome<Imported> {
    if bytes > size || numbers as u64 * 4 > bytes {
        return Err(format!("{size} bytes of memory for {numbers} numbers"));
    }
    // SAFETY: the size is that of the allocation the handle belongs to. From here on the driver owns the handle.
    let memory = unsafe { stream.context().import_external_memory(file, size) };
    let memory = memory.map_err(|e| failed("importing memory")(&e))?;
    let memory = memory.map_range(0..bytes as usize).map_err(|e| failed("mapping memory")(&e))?;
    let place = memory.device_ptr(stream).0;
    // SAFETY: the memory is mapped for as many bytes; the slice is leaked before the mapping ends.
    let slice = unsafe { stream.upgrade_device_ptr::<f32>(place, numbers) };
    Ok(Imported { slice: Some(slice), _memory: memory })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gpu::Choice;
    use std::time::Instant;

    /// The two drivers on one card; nothing where there is none.
    pub(in super::super) fn both() -> Option<(Gpu, Arc<CudaStream>)> {
        let gpu = Gpu::open(Choice::Hardware).ok().flatten();
        let device = candle_core::CudaDevice::new_with_stream(0).ok();
        let found = gpu.zip(device.map(|device| device.cuda_stream()));
        if found.is_none() {
            eprintln!("skipped: no card that both CUDA and Vulkan drive");
        }
        found
    }

    pub(in super::super) fn read_back(gpu: &Gpu, buffer: &wgpu::Buffer, numbers: usize) -> Vec<f32> {
        let mut out = Vec::new();
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let sources = [(buffer, 4 * numbers as u64)];
        gpu.submit_and_read(encoder, &sources, |_, data| crate::gpu::buffers::append(&mut out, data))
            .expect("read back");
        out
    }

    #[test]
    fn each_side_reads_what_the_other_wrote() {
        let Some((gpu, stream)) = both() else { return };
        // Rows of four frames of 24,000 surfels, and odd counts.
        for numbers in [4 * 24_000 * 26, 7, 1] {
            let mut rows = CudaRows::new(&gpu, &stream, numbers).expect("shared memory");
            for round in 0..3_u32 {
                let number = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(round) as f32;
                let there: Vec<f32> = (0..numbers).map(number).collect();
                let source = stream.clone_htod(&there).expect("memory of CUDA's");
                rows.write(&source.as_view()).expect("written by CUDA");
                assert!(read_back(&gpu, &rows.rows.values, numbers) == there, "wgpu reads {numbers}");
                let back: Vec<f32> = there.iter().map(|v| -v).collect();
                gpu.queue.write_buffer(&rows.rows.gradients, 0, bytemuck::cast_slice(&back));
                gpu.queue.submit([]);
                gpu.finish().expect("written by wgpu");
                let read = rows.read().expect("a copy");
                assert!(stream.clone_dtoh(&read).expect("read by CUDA") == back, "CUDA reads {numbers}");
            }
            let source = stream.alloc_zeros::<f32>(numbers).expect("memory of CUDA's");
            let (start, times) = (Instant::now(), 50);
            for _ in 0..times {
                rows.write(&source.as_view()).expect("written by CUDA");
            }
            let there = start.elapsed().as_secs_f64() * 1e3 / f64::from(times);
            let start = Instant::now();
            for _ in 0..times {
                drop(rows.read().expect("a copy"));
                stream.synchronize().expect("done");
            }
            let back = start.elapsed().as_secs_f64() * 1e3 / f64::from(times);
            eprintln!("{} bytes: {there:.4} ms to wgpu, {back:.4} ms to CUDA", 4 * numbers);
        }
    }

    #[test]
    fn more_than_a_kernel_uses_whole_is_refused_in_words() {
        let Some((gpu, stream)) = both() else { return };
        let numbers = gpu.limits.max_storage_buffer_binding_size as usize / 4 + 1;
        assert!(CudaRows::new(&gpu, &stream, numbers).is_err_and(|why| why.contains("bytes")));
    }

    #[test]
    fn rows_that_are_too_long_are_refused() {
        let Some((gpu, stream)) = both() else { return };
        let mut rows = CudaRows::new(&gpu, &stream, 10).expect("shared memory");
        let source = stream.alloc_zeros::<f32>(11).expect("memory of CUDA's");
        assert!(rows.write(&source.as_view()).is_err());
    }
}
