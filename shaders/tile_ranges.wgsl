// Stage `tile_ranges`: where each tile's pairs start and end once they are sorted, and which instance each shows.
//#import params
//#import work

@group(0) @binding(0) var<storage, read> work: Work;
// Tile and pair, in the order of tiles.
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> instances: array<u32>;
// Zero before.
@group(0) @binding(3) var<storage, read_write> ranges: array<vec2<u32>>;
// Instance and pair, in the order of tiles.
@group(0) @binding(4) var<storage, read_write> pairs: array<vec2<u32>>;

@compute @workgroup_size(256)
fn tile_ranges(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= work.pairs { return; }
    let key = keys[i];
    pairs[i] = vec2(instances[key.y], key.y);
    if i == 0u || keys[i - 1u].x != key.x { ranges[key.x].x = i; }
    if i + 1u == work.pairs || keys[i + 1u].x != key.x { ranges[key.x].y = i + 1u; }
}
