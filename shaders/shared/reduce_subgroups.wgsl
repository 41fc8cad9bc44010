// Sums over the pixels of a tile, for adapters with subgroups: each subgroup adds in registers, and its sums wait in
// workgroup memory until the batch is done. The order of every sum is fixed.
override SUBGROUPS: u32 = 32u;
// Splats of a batch: what fits 128 sums of SLOT_MAX numbers.
override BATCH: u32 = 4u;

struct Ids {
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<workgroup> partials: array<f32, 3200>;
// Subgroups that drew the splat, as bits.
var<workgroup> touched: array<atomic<u32>, 16>;

fn clear_touched(thread: u32) {
    if thread < 16u { atomicStore(&touched[thread], 0u); }
}

fn contribute(ids: Ids, j: u32, drawn: bool, width: u32, values: ptr<function, array<f32, 25>>) {
    if !subgroupAny(drawn) { return; }
    let first = ids.lane == 0u;
    let to = (j * SUBGROUPS + ids.subgroup) * SLOT_MAX;
    for (var k = 0u; k < width; k++) {
        let sum = subgroupAdd((*values)[k]);
        if first { partials[to + k] = sum; }
    }
    if first { atomicOr(&touched[j], 1u << ids.subgroup); }
}

fn total(j: u32, k: u32) -> f32 {
    var sum = 0.0;
    var bits = atomicLoad(&touched[j]);
    while bits != 0u {
        let subgroup = firstTrailingBit(bits);
        bits &= bits - 1u;
        sum += partials[(j * SUBGROUPS + subgroup) * SLOT_MAX + k];
    }
    return sum;
}
