//! Stage `tile_ranges`: where each tile's list starts in the list of pairs.

/// Prefix sum of the counts: tile `t` owns pairs `starts[t]..starts[t + 1]`.
pub(super) fn tile_ranges(counts: &[Vec<u32>]) -> Vec<usize> {
    let mut starts = Vec::with_capacity(counts.iter().map(Vec::len).sum::<usize>() + 1);
    let mut sum = 0;
    starts.push(sum);
    for &count in counts.iter().flatten() {
        sum += count as usize;
        starts.push(sum);
    }
    starts
}
