// Tiles in a rectangle: first column and row, last column + 1 and row + 1, 16 bits each.
fn tiles_in(rect: vec2<u32>) -> u32 {
    return ((rect.y & 0xffffu) - (rect.x & 0xffffu)) * ((rect.y >> 16u) - (rect.x >> 16u));
}

fn unpack_tile(v: u32) -> vec2<u32> {
    return vec2(v & 0xffffu, v >> 16u);
}
