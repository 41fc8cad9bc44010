// Which blocks of 8×4 pixels each splat of a tile's list was drawn on: for every 32 places of the list eight words, one
// for each block, a bit for each place. The lists of tiles start in new words.
fn drawn_at(range: Range, tile: u32, place: u32, block: u32) -> u32 {
    return 8u * (range.start / 32u + tile + place / 32u) + block;
}
