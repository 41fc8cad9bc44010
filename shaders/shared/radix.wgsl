// Radix sort of (key, value) pairs, least significant digit first, eight bits a pass, stable.
// A block is 1024 pairs. A pass counts each block's digits (radix_count), sums the counts over blocks (radix_scan)
// and moves the pairs (radix_scatter). Nothing depends on which workgroup runs first.
struct Pass {
    // Bits below the digit.
    shift: u32,
    // Number of pairs, where it is not read from `work`.
    count: u32,
    // 1 where the number of pairs is `work.pairs`.
    counted: u32,
    // Blocks there is room for: the stride of the table.
    blocks_max: u32,
}

const BLOCK: u32 = 1024u;
