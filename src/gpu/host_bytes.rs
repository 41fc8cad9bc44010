//! Bytes that were read back as numbers of the host.

use rayon::prelude::*;

/// Four-byte numbers that one thread copies at a time.
const WORDS: usize = 1 << 15;

/// Adds what was read back to the end of `to`, with all threads and without writing zeros first.
pub(crate) fn append<T: Word>(to: &mut Vec<T>, data: &[u8]) {
    let (words, _) = data.as_chunks::<4>();
    to.par_extend(words.par_iter().with_min_len(WORDS).map(|b| T::of_le(*b)));
}

/// What four bytes can stand for.
pub(crate) trait Word: Send {
    /// From bytes, the lowest first.
    fn of_le(bytes: [u8; 4]) -> Self;
}

impl Word for f32 {
    fn of_le(bytes: [u8; 4]) -> Self {
        f32::from_le_bytes(bytes)
    }
}

impl Word for u32 {
    fn of_le(bytes: [u8; 4]) -> Self {
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_read_is_appended_in_its_order() {
        let values: Vec<f32> = (0..3 * super::WORDS + 7).map(|i| i as f32).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let mut read = vec![-1.0_f32];
        super::append(&mut read, bytes);
        assert_eq!(read[0], -1.0);
        assert_eq!(read[1..], values);
        let mut words: Vec<u32> = Vec::new();
        super::append(&mut words, bytes);
        assert!(words.iter().zip(&values).all(|(a, b)| *a == b.to_bits()) && words.len() == values.len());
    }
}
