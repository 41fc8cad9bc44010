// What the device found out about a batch.
struct Work {
    // (surfel, tile) pairs there should be, and those there are: as many, or none where there is no room for all.
    pairs_wanted: u32,
    pairs: u32,
    // Pairs of the tile that has most.
    longest: u32,
}
