// Stage `emit_pairs`: every tile's list of instances, in no order yet; `sort_tiles` gives it one.
//#import params

@group(0) @binding(0) var<uniform> params: Params;
// The first pair is made to count from the first of all.
@group(0) @binding(1) var<storage, read_write> seen: array<Seen>;
// Where the next pair of each tile goes; then where each block of 256 instances starts.
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
// Bits of the depth, and instance, of each pair.
@group(0) @binding(3) var<storage, read_write> keys: array<vec2<u32>>;

//#import seen
//#import block_pairs

var<workgroup> block_depths: array<u32, 256>;

@compute @workgroup_size(256)
fn emit_pairs(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let instance = block * 256u + thread;
    let tiles = params.tiles_x * params.tiles_y;
    var own = Seen(vec2(0u), 0u, 0u);
    if instance < params.instances {
        own = seen[instance];
        seen[instance].first_pair = own.first_pair + atomicLoad(&counts[params.frames * tiles + block]);
    }
    block_rects[thread] = own.rect;
    block_ends[thread] = own.first_pair + tiles_in(own.rect);
    block_depths[thread] = own.depth;
    workgroupBarrier();
    // The last block may not be full.
    let valid = min(256u, max(params.instances, block * 256u) - block * 256u);
    if valid == 0u { return; }
    let total = block_ends[valid - 1u];
    if instance >= params.instances { block_ends[thread] = total; }
    workgroupBarrier();
    for (var p = thread; p < total; p += 256u) {
        let pair = block_pair(p);
        let owner = block * 256u + pair.owner;
        let tile = owner / params.surfels * tiles + pair.tile.y * params.tiles_x + pair.tile.x;
        let place = atomicAdd(&counts[tile], 1u);
        if place < params.pairs_max { keys[place] = vec2(block_depths[pair.owner], owner); }
    }
}
