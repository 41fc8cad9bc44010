//#import staging
// Which blocks of 8×4 pixels the staged splats can show on: a thread visits those of its own block only.
//
// Bit j % 32 of mask (j / 32) × 8 + block belongs to splat j.
var<workgroup> masks: array<atomic<u32>, 32>;

// Barriers must come before and after.
fn clear_masks(thread: u32) {
    if thread < 32u { atomicStore(&masks[thread], 0u); }
}

// Brings splat j from `instance`, with two threads, of which this is number `part`. Spelled out: software adapters end a
// shader after 65,535 turns of its loops, all counted together.
fn stage_splat(j: u32, part: u32, instance: u32, tile: vec2<u32>) {
    stage_vector(j, part, instance, tile);
    stage_vector(j, part + 2u, instance, tile);
    stage_vector(j, part + 4u, instance, tile);
    stage_vector(j, part + 6u, instance, tile);
}

fn stage_vector(j: u32, k: u32, instance: u32, tile: vec2<u32>) {
    if k >= SPLAT_VECTORS { return; }
    let vector = splats[SPLAT_VECTORS * instance + k];
    staged[SPLAT_VECTORS * j + k] = vector;
    if k != 3u { return; }
    let corner = vec2<i32>(tile * TILE);
    // Arithmetic shifts: what lies left of or above the tile is in a block before the first.
    let low = (vec2<i32>(unpack_pixel(vector.z)) - corner) >> vec2(3u, 2u);
    let high = (vec2<i32>(unpack_pixel(vector.w)) - corner) >> vec2(3u, 2u);
    let columns = vec2(low.x <= 0 && high.x >= 0, low.x <= 1 && high.x >= 1);
    mark_row(j, 0u, columns, low.y <= 0 && high.y >= 0);
    mark_row(j, 1u, columns, low.y <= 1 && high.y >= 1);
    mark_row(j, 4u, columns, low.y <= 2 && high.y >= 2);
    mark_row(j, 5u, columns, low.y <= 3 && high.y >= 3);
}

// The two blocks of a row, the left one of which is `block`.
fn mark_row(j: u32, block: u32, columns: vec2<bool>, row: bool) {
    if !row { return; }
    let at = (j >> 5u) * 8u + block;
    let bit = 1u << (j & 31u);
    if columns.x { atomicOr(&masks[at], bit); }
    if columns.y { atomicOr(&masks[at + 2u], bit); }
}
