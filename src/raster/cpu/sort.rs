//! Stage `sort`: nearest surfel first, equal depths in the order of their indices.
//!
//! Surfels are sorted once, before they are handed to tiles; emitting them in this order leaves every tile's list
//! sorted, with a fifth of the keys that sorting (tile, depth) pairs would move.

const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Surfels by ascending key, of pairs (key, surfel); equal keys keep their order (radix sort, least significant digit
/// first).
pub(super) fn sort(keys: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
    let mut from: Vec<u64> = keys.map(|(key, surfel)| u64::from(key) << 32 | u64::from(surfel)).collect();
    let mut to = vec![0; from.len()];
    for pass in 0..u32::BITS.div_ceil(DIGIT_BITS) {
        let digit = |entry: u64| (entry >> (32 + pass * DIGIT_BITS)) as usize & (DIGITS - 1);
        let mut starts = [0_usize; DIGITS];
        for &entry in &from {
            starts[digit(entry)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &entry in &from {
            let start = &mut starts[digit(entry)];
            to[*start] = entry;
            *start += 1;
        }
        std::mem::swap(&mut from, &mut to);
    }
    from.into_iter().map(|entry| entry as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn depths_ascend_and_ties_keep_their_order() {
        let depths: Vec<f32> = (0..5000).map(|i| 0.2 + ((i * 7919) % 613) as f32 * 0.37).collect();
        let order = sort(depths.iter().enumerate().map(|(i, d)| (d.to_bits(), i as u32)));
        let mut expected: Vec<u32> = (0..5000).collect();
        expected.sort_by(|&a, &b| depths[a as usize].total_cmp(&depths[b as usize]));
        assert_eq!(order, expected);
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert!(sort(std::iter::empty()).is_empty());
    }
}
