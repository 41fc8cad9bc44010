// Stage `sum_pairs`: the gradients of an instance's pairs, added tile after tile. One thread per instance and number.
//#import params
//#import seen
//#import slot

// Numbers of a slot: SLOT_PLAIN, or SLOT_MAX with geometry.
override SLOT_WIDTH: u32 = SLOT_MAX;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seen: array<Seen>;
@group(0) @binding(2) var<storage, read> slots: array<f32>;
// [instances, SLOT_WIDTH], from the second section on; of those that are seen.
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn sum_pairs(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.instances * SLOT_WIDTH { return; }
    let own = seen[i / SLOT_WIDTH];
    let count = tiles_in(own.rect);
    if count == 0u { return; }
    let first = max(own.first_pair, params.slot_first);
    let end = min(own.first_pair + count, params.slot_first + params.slot_count);
    var sum = 0.0;
    if params.slot_first > 0u { sum = sums[i]; }
    for (var pair = first; pair < end; pair++) {
        sum += slots[(pair - params.slot_first) * SLOT_WIDTH + i % SLOT_WIDTH];
    }
    sums[i] = sum;
}
