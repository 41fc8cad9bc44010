// What the device found out about a batch and what follows from it.
struct Work {
    // Pairs there should be, and those there are room for.
    pairs_wanted: u32,
    pairs: u32,
    // Workgroups of the sort of pairs, 1024 pairs each.
    sort_x: u32,
    sort_y: u32,
    sort_z: u32,
    // Workgroups of stages over pairs, 256 each.
    pairs_x: u32,
    pairs_y: u32,
    pairs_z: u32,
}
