//! What memory the sizes of a configuration will need, before any is taken.

use super::config::TrainConfig;
use crate::{Error, Result};
use data_utils::memory;

/// Numbers kept for each parameter: itself, its gradient, two moments of Adam; and while a checkpoint is written a copy of
/// all but the gradient, and the bytes of the file.
const NUMBERS: u64 = 4 + 3 + 3;
/// Bytes of a number.
const BYTES: u64 = 4;
/// Numbers kept for each surfel and frame of a batch: deltas, what is drawn, and their gradients.
const WORKING: u64 = 160;

/// Memory that a configuration needs, beside pictures and programs, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The field's planes.
    pub planes: u64,
    /// The surfels.
    pub surfels: u64,
}

impl MemoryPlan {
    /// The memory of a configuration; its numbers are in their ranges.
    pub fn of(config: &TrainConfig) -> Self {
        let field = &config.field;
        let places: u64 = field.plane_resolutions.iter().map(|&side| 3 * (side * side) as u64).sum();
        let bands = (config.sh_degree as u64 + 1).pow(2);
        // Position, rotation, scales, opacity, colours, embedding.
        let surfel = 3 + 4 + 2 + 1 + 3 * bands + field.embedding as u64;
        MemoryPlan {
            planes: places * field.plane_channels as u64 * NUMBERS * BYTES,
            surfels: config.max_points as u64
                * (surfel * NUMBERS + WORKING * config.batch_size as u64)
                * BYTES,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.planes + self.surfels
    }

    /// Refuses a configuration that needs more memory than the machine can give.
    ///
    /// # Errors
    /// [`Error::Input`] with both sizes, naming the settings that need most.
    pub fn check(&self) -> Result<()> {
        self.check_against(memory::available())
    }

    fn check_against(&self, available: Option<u64>) -> Result<()> {
        let Some(available) = available.filter(|available| self.total() > *available) else { return Ok(()) };
        let keys = match self.planes > self.surfels {
            true => "field.plane_resolutions, field.plane_channels",
            false => "max_points, batch_size",
        };
        Err(Error::input(
            keys,
            format!("sizes that fit into the {} of memory that are free", gigabytes(available)),
            format!("sizes that need about {}", gigabytes(self.total())),
            "choose smaller ones, or end other programs",
        ))
    }
}

impl std::fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [total, planes, surfels] = [self.total(), self.planes, self.surfels].map(gigabytes);
        write!(
            f,
            "about {total} of memory beside the pictures ({planes} for the planes, {surfels} for the surfels)"
        )
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beyond_the_memory_are_refused_by_name_before_any_is_taken() {
        let small = MemoryPlan::of(&TrainConfig::default());
        assert!(small.total() < 1_000_000_000, "{small}");
        assert!(small.check_against(Some(8 << 30)).is_ok() && small.check_against(None).is_ok());
        let mut config = TrainConfig::default();
        config.field.plane_resolutions = vec![1024];
        config.field.plane_channels = 128;
        let large = MemoryPlan::of(&config);
        // 14.3 GB were measured with nine numbers for each parameter.
        assert!((14e9..18e9).contains(&(large.planes as f64)), "{large}");
        let text = large.check_against(Some(6 << 30)).expect_err("refused").to_string();
        assert!(text.contains("plane_channels") && text.contains("6.4 GB") && text.contains("16."), "{text}");
        let many = MemoryPlan::of(&TrainConfig { max_points: 10_000_000, ..TrainConfig::default() });
        assert!(
            many.check_against(Some(6 << 30)).expect_err("refused").to_string().starts_with("max_points")
        );
    }
}
