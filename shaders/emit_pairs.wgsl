// Stage `emit_pairs`: one pair for every tile that a surfel may show on, surfels nearest first.
//#import params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> order: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> rects: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> blocks: array<u32>;
// Tile (frame × tiles + tile) and pair, what the sort by tile starts from.
@group(0) @binding(4) var<storage, read_write> keys: array<vec2<u32>>;
// Instance of each pair.
@group(0) @binding(5) var<storage, read_write> instances: array<u32>;
// First pair of each instance; those of its other tiles follow.
@group(0) @binding(6) var<storage, read_write> first_pairs: array<u32>;

//#import rect
//#import workgroup_scan

@compute @workgroup_size(256)
fn emit_pairs(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let rank = block * 256u + thread;
    var rect = vec2(0u);
    var instance = 0u;
    if rank < params.instances {
        instance = order[rank].y;
        rect = rects[instance];
    }
    let count = tiles_in(rect);
    let sum = scan_inclusive(thread, count);
    if count == 0u { return; }
    var pair = blocks[block] + sum - count;
    first_pairs[instance] = pair;
    let first_tile = instance / params.surfels * params.tiles_x * params.tiles_y;
    let first = vec2(rect.x & 0xffffu, rect.x >> 16u);
    let last = vec2(rect.y & 0xffffu, rect.y >> 16u);
    for (var y = first.y; y < last.y; y++) {
        for (var x = first.x; x < last.x; x++) {
            if pair >= params.pairs_max { return; }
            keys[pair] = vec2(first_tile + y * params.tiles_x + x, pair);
            instances[pair] = instance;
            pair++;
        }
    }
}
