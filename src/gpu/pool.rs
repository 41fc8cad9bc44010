//! Buffers that are used again and again: a free list by use and size. In the steady state of a run none is made.

use super::map::MapRequest;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BufferUse {
    /// Read and written by kernels.
    Storage,
    /// Constants of a dispatch.
    Uniform,
    /// Read by the host.
    ReadBack,
    /// Written by the host, for the device to copy from.
    Upload,
}

impl BufferUse {
    fn flags(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            BufferUse::Storage => U::STORAGE | U::COPY_DST | U::COPY_SRC,
            BufferUse::Uniform => U::UNIFORM | U::COPY_DST,
            BufferUse::ReadBack => U::MAP_READ | U::COPY_DST,
            BufferUse::Upload => U::MAP_WRITE | U::COPY_SRC,
        }
    }
}

/// A free buffer unused for this many acquisitions is destroyed at the next allocation: about a hundred training steps. A
/// cloud that grows would otherwise leave buffers of all its sizes behind.
const KEPT_FOR: u64 = 4096;

/// A buffer that nobody uses now.
#[derive(Debug)]
struct FreeBuffer {
    buffer: wgpu::Buffer,
    /// Acquisitions when it came back.
    since: u64,
    /// For uploads: the mapping that was asked for when the device got its last copy from it.
    mapping: Option<MapRequest>,
}

/// Buffers that nobody uses now, by use and size.
#[derive(Debug, Default)]
struct FreeList {
    buffers: BTreeMap<(BufferUse, u64), Vec<FreeBuffer>>,
    acquired: u64,
    made: u64,
}

impl FreeList {
    /// Forgets what nobody asked for in a long time.
    fn tidy(&mut self) {
        let acquired = self.acquired;
        self.buffers.retain(|_, buffers| {
            buffers.retain(|free| free.since + KEPT_FOR > acquired);
            !buffers.is_empty()
        });
    }

    fn put(&mut self, key: (BufferUse, u64), buffer: wgpu::Buffer, mapping: Option<MapRequest>) {
        let since = self.acquired;
        self.buffers.entry(key).or_default().push(FreeBuffer { buffer, since, mapping });
    }
}

/// A device's free buffers. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    device: wgpu::Device,
    free: Arc<Mutex<FreeList>>,
}

/// A buffer taken from the pool; dropping it puts it back. Its content is whatever its last user left.
#[derive(Debug)]
pub struct PooledBuffer {
    buffer: Option<wgpu::Buffer>,
    key: (BufferUse, u64),
    free: Arc<Mutex<FreeList>>,
}

impl Pool {
    pub(super) fn new(device: wgpu::Device) -> Self {
        Pool { device, free: Arc::default() }
    }

    /// A buffer of at least `bytes`, for anything but uploads.
    pub(super) fn acquire(&self, usage: BufferUse, bytes: u64) -> PooledBuffer {
        let key = (usage, size_class(bytes));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.acquired += 1;
        // The one that came back last: others grow old.
        let found = free.buffers.get_mut(&key).and_then(Vec::pop).map(|free| free.buffer);
        let buffer = found.unwrap_or_else(|| self.create(&mut free, key, false));
        drop(free);
        PooledBuffer { buffer: Some(buffer), key, free: self.free.clone() }
    }

    /// A mapped buffer of at least `bytes` to be written. Waits for nothing: one that the device still copies from is
    /// left alone, and another made where none is free.
    pub(super) fn acquire_upload(&self, bytes: u64) -> PooledBuffer {
        let key = (BufferUse::Upload, size_class(bytes));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.acquired += 1;
        let mapped =
            |free: &FreeBuffer| matches!(free.mapping.as_ref().and_then(MapRequest::outcome), Some(Ok(())));
        let found = free.buffers.get_mut(&key).and_then(|buffers| {
            let at = buffers.iter().position(mapped)?;
            Some(buffers.remove(at).buffer)
        });
        let buffer = found.unwrap_or_else(|| self.create(&mut free, key, true));
        drop(free);
        PooledBuffer { buffer: Some(buffer), key, free: self.free.clone() }
    }

    fn create(&self, free: &mut FreeList, key: (BufferUse, u64), mapped: bool) -> wgpu::Buffer {
        free.made += 1;
        free.tidy();
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: key.1,
            usage: key.0.flags(),
            mapped_at_creation: mapped,
        })
    }

    /// Buffers made so far.
    pub(super) fn made(&self) -> u64 {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).made
    }

    /// Bytes of the buffers that nobody uses.
    pub(super) fn idle_bytes(&self) -> u64 {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.buffers.iter().map(|((_, bytes), buffers)| bytes * buffers.len() as u64).sum()
    }

    /// Destroys the buffers that nobody uses.
    pub(crate) fn trim(&self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).buffers.clear();
    }
}

/// Sizes come in eighths of a power of two, so that counts which change a little every time find a buffer again.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 16).max(256);
    bytes.div_ceil(step) * step
}

impl PooledBuffer {
    /// Puts an upload buffer back once the device's copies from it are submitted; it is mapped again when they are done.
    pub(super) fn recycle_upload(mut self) {
        if let Some(buffer) = self.buffer.take() {
            let mapping = MapRequest::new(&buffer, wgpu::MapMode::Write, self.key.1);
            self.free.lock().unwrap_or_else(PoisonError::into_inner).put(self.key, buffer, Some(mapping));
        }
    }
}

impl Deref for PooledBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        self.buffer.as_ref().expect("the buffer is there until it is put back")
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        // An upload buffer that comes back this way is in an unknown state, and is destroyed.
        if let Some(buffer) = self.buffer.take().filter(|_| self.key.0 != BufferUse::Upload) {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).put(self.key, buffer, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn a_size_class_holds_what_was_asked_and_little_more() {
        for bytes in [1_u64, 255, 256, 257, 4096, 100_000, 134_217_728, 134_217_729] {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(256));
            assert!(class <= bytes + (bytes / 4).max(256), "{bytes} {class}");
        }
        assert_eq!(size_class(134_217_728), 134_217_728);
    }
}
