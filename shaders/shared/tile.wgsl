// Pixel of a thread inside its tile. Neighbouring threads form compact blocks of 4×2, 4×4, 8×4, 8×8 pixels, so that
// a subgroup of any size sees few discs that miss most of it.
fn pixel_of(thread: u32) -> vec2<u32> {
    let x = (thread & 3u) | ((thread >> 2u) & 4u) | ((thread >> 3u) & 8u);
    let y = ((thread >> 2u) & 1u) | ((thread >> 2u) & 2u) | ((thread >> 3u) & 4u) | ((thread >> 4u) & 8u);
    return vec2(x, y);
}
