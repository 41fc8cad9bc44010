// Stage `sum_pairs`: the gradients of an instance's pairs, added tile after tile. One thread per instance and number.
//#import params
//#import rect

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rects: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> first_pairs: array<u32>;
@group(0) @binding(3) var<storage, read> slots: array<f32>;
// [instances, slot_width]; zero before the first section.
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn sum_pairs(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.instances * params.slot_width { return; }
    let instance = i / params.slot_width;
    let k = i % params.slot_width;
    let count = tiles_in(rects[instance]);
    if count == 0u { return; }
    let first = max(first_pairs[instance], params.slot_first);
    let end = min(first_pairs[instance] + count, params.slot_first + params.slot_count);
    var sum = sums[i];
    for (var pair = first; pair < end; pair++) {
        sum += slots[(pair - params.slot_first) * params.slot_width + k];
    }
    sums[i] = sum;
}
