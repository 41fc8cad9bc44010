//#import splat
//#import tile
//#import intersect
// Splats of a tile in workgroup memory, STAGED at a time, at most 128. Needs `splats`.

// Vectors of splat j: from SPLAT_VECTORS × j.
var<workgroup> staged: array<vec4<u32>, STAGED_VECTORS>;
// Block of 8×4 pixels of a thread, as `pixel_of` numbers them.
fn block_of(thread: u32) -> u32 {
    return thread >> 5u;
}

fn staged_splat(j: u32) -> Splat {
    let at = SPLAT_VECTORS * j;
    return unpack_splat(staged[at], staged[at + 1u], staged[at + 2u], staged[at + 3u]);
}

// Vector k of what it is drawn with.
fn staged_channels(j: u32, k: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(staged[SPLAT_VECTORS * j + 4u + k]);
}

// Where the ray of a pixel meets splat j.
fn hit_of(j: u32, pixel: vec2<f32>) -> Hit {
    let splat = staged_splat(j);
    return intersect(splat, pixel - splat.anchor);
}
