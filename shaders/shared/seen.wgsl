//#import rect
// What `project` finds out about an instance (frame × surfels + surfel) beside its splat, and what follows from it.
struct Seen {
    // Tiles that can show it, as in `rect`.
    rect: vec2<u32>,
    // Bits of the depth.
    depth: u32,
    // Its first (surfel, tile) pair; those of its other tiles follow, row by row.
    first_pair: u32,
}

// The pair of an instance and a tile of its rectangle.
fn pair_of(seen: Seen, tile: vec2<u32>) -> u32 {
    let first = unpack_tile(seen.rect.x);
    return seen.first_pair + (tile.y - first.y) * ((seen.rect.y & 0xffffu) - first.x) + tile.x - first.x;
}
