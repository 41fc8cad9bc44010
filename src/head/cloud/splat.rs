//! The cloud as a `.splat` file, 32 bytes a surfel, as antimatter15's viewer reads it and many after it: position and standard
//! deviations as f32, red, green, blue and opacity as bytes, and the quaternion (w, x, y, z) as bytes around 128. Colours are those
//! of band 0 of the harmonics; what the surfels show from other sides is lost.

use super::quaternion;
use super::surfels::Cloud;
use crate::Result;
use data_utils::media::files;
use std::path::Path;

/// Band 0 of the harmonics (3DGS, Kerbl et al. 2023).
const BAND_0: f32 = 0.282_094_8;
/// Standard deviation across a disc.
const THICKNESS: f32 = 1e-6;

/// Writes `cloud` to `path` as a whole or not at all; what is largest and most opaque comes first, since viewers show a file
/// while it loads.
///
/// # Errors
/// [`crate::Error::Input`] when the place cannot be written to.
pub fn write(path: &Path, cloud: &Cloud) -> Result<()> {
    let weight = |k: usize| {
        let [u, v] = [0, 1].map(|axis| cloud.log_scales[2 * k + axis]);
        opacity(cloud.opacity_logits[k]) * (u + v).exp()
    };
    let mut order: Vec<usize> = (0..cloud.len()).collect();
    order.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)).then(a.cmp(b)));
    files::write_atomic(path, |out| order.iter().try_for_each(|k| out.write_all(&record(cloud, *k))))
}

fn record(cloud: &Cloud, k: usize) -> [u8; 32] {
    let mut record = [0; 32];
    let scales = [cloud.log_scales[2 * k].exp(), cloud.log_scales[2 * k + 1].exp(), THICKNESS];
    let numbers = cloud.positions[3 * k..3 * k + 3].iter().chain(&scales);
    for (bytes, value) in record.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *bytes = value.to_le_bytes();
    }
    let first = 3 * cloud.bands() * k;
    let byte = |share: f32| (255.0 * share.clamp(0.0, 1.0)).round() as u8;
    (0..3).for_each(|c| record[24 + c] = byte(0.5 + BAND_0 * cloud.harmonics[first + c]));
    record[27] = byte(opacity(cloud.opacity_logits[k]));
    let q = quaternion::normalized(std::array::from_fn(|c| cloud.rotations[4 * k + c]));
    (0..4).for_each(|c| record[28 + c] = (128.0 + 128.0 * q[c]).round().clamp(0.0, 255.0) as u8);
    record
}

fn opacity(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surfel_is_32_bytes_and_the_largest_comes_first() {
        let cloud = Cloud {
            positions: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            rotations: vec![0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
            log_scales: vec![-3.0, -3.0, 0.0, -1.0],
            opacity_logits: vec![0.0, 20.0],
            harmonics: vec![0.0, 0.0, 0.0, 9.0, -9.0, 0.5 / BAND_0],
            embedding: vec![0.0; 64],
            ..Cloud::default()
        };
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.splat");
        write(&path, &cloud).expect("written");
        let bytes = std::fs::read(&path).expect("bytes");
        assert_eq!(bytes.len(), 64);
        let float = |at: usize| f32::from_le_bytes(std::array::from_fn(|k| bytes[at + k]));
        assert_eq!([0, 4, 8].map(float), [4.0, 5.0, 6.0]);
        assert_eq!([12, 16, 20].map(float), [1.0, (-1f32).exp(), THICKNESS]);
        assert_eq!(bytes[24..32], [255, 0, 255, 255, 255, 128, 128, 128]);
        assert_eq!([32, 36, 40].map(float), [1.0, 2.0, 3.0]);
        assert_eq!(bytes[56..64], [128, 128, 128, 128, 128, 255, 128, 128]);
    }
}
