// One tile's pairs, and whose turn it is: longest lists are drawn first, so that no device waits for a last long one.
struct Range {
    start: u32,
    end: u32,
    // Tile (frame × tiles + tile) that comes as many-th as this element is.
    turn: u32,
}
