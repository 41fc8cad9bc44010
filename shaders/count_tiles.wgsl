// Stage `count_tiles`: how many (surfel, tile) pairs each block of 256 ranks has, in depth order.
//#import params

@group(0) @binding(0) var<uniform> params: Params;
// Depth bits and instance, nearest first.
@group(0) @binding(1) var<storage, read> order: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> rects: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> blocks: array<u32>;

//#import rect
//#import workgroup_scan

@compute @workgroup_size(256)
fn count_tiles(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let rank = block * 256u + thread;
    var count = 0u;
    if rank < params.instances { count = tiles_in(rects[order[rank].y]); }
    let sum = scan_inclusive(thread, count);
    if thread == 255u && block * 256u < params.instances { blocks[block] = sum; }
}
