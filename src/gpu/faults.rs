//! What went wrong on a device, kept until somebody asks.

use std::sync::{Arc, Mutex, PoisonError};

/// The first fault of a device. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<GpuFault>>>);

/// A fault that wgpu reported.
#[derive(Debug, Clone)]
pub(super) enum GpuFault {
    /// The device is gone or out of memory.
    Lost(String),
    /// We asked for something invalid.
    Invalid(String),
}

impl Faults {
    /// Collects what `device` reports from now on, in the place of any handler that it had.
    pub(super) fn watch(device: &wgpu::Device) -> Self {
        let faults = Faults::default();
        let on_error = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            on_error.record(match error {
                wgpu::Error::Validation { description, .. } => GpuFault::Invalid(description),
                other => GpuFault::Lost(other.to_string()),
            });
        }));
        let on_loss = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            on_loss.record(GpuFault::Lost(format!("{reason:?}: {message}")));
        });
        faults
    }

    /// The fault so far.
    pub(super) fn get(&self) -> Option<GpuFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, fault: GpuFault) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lost device explains everything that follows and whatever preceded it.
        if slot.is_none() || matches!(fault, GpuFault::Lost(_)) && !matches!(*slot, Some(GpuFault::Lost(_))) {
            *slot = Some(fault);
        }
    }
}
