// Sums over the pixels of a tile, for adapters with subgroups: each subgroup adds in registers, and its sums wait in
// workgroup memory until the batch is done. The order of every sum is fixed.
override SUBGROUPS: u32 = 32u;
// Splats of a batch.
override BATCH: u32 = 4u;
override PARTIALS: u32 = SUBGROUPS * BATCH * SLOT_MAX;

struct Ids {
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<workgroup> partials: array<f32, PARTIALS>;
// Subgroups that drew the splat, as bits.
var<workgroup> touched: array<atomic<u32>, 16>;

fn clear_touched(thread: u32) {
    if thread < 16u { atomicStore(&touched[thread], 0u); }
}

// Adds number k over the subgroup.
fn add_up(to: u32, k: u32, first: bool, value: f32) {
    let sum = subgroupAdd(value);
    if first { partials[to + k] = sum; }
}

// Spelled out: software adapters end a shader after 65,535 turns of its loops, all counted together.
fn contribute(ids: Ids, j: u32, drawn: bool, width: u32, values: ptr<function, array<f32, 25>>) {
    if !subgroupAny(drawn) { return; }
    let first = ids.lane == 0u;
    let to = (j * SUBGROUPS + ids.subgroup) * SLOT_MAX;
    add_up(to, 0u, first, (*values)[0]);
    add_up(to, 1u, first, (*values)[1]);
    add_up(to, 2u, first, (*values)[2]);
    add_up(to, 3u, first, (*values)[3]);
    add_up(to, 4u, first, (*values)[4]);
    add_up(to, 5u, first, (*values)[5]);
    add_up(to, 6u, first, (*values)[6]);
    add_up(to, 7u, first, (*values)[7]);
    add_up(to, 8u, first, (*values)[8]);
    add_up(to, 9u, first, (*values)[9]);
    add_up(to, 10u, first, (*values)[10]);
    add_up(to, 11u, first, (*values)[11]);
    add_up(to, 12u, first, (*values)[12]);
    add_up(to, 13u, first, (*values)[13]);
    add_up(to, 14u, first, (*values)[14]);
    if width > 15u {
        add_up(to, 15u, first, (*values)[15]);
        add_up(to, 16u, first, (*values)[16]);
        add_up(to, 17u, first, (*values)[17]);
        add_up(to, 18u, first, (*values)[18]);
    }
    if width > 19u {
        add_up(to, 19u, first, (*values)[19]);
        add_up(to, 20u, first, (*values)[20]);
        add_up(to, 21u, first, (*values)[21]);
        add_up(to, 22u, first, (*values)[22]);
        add_up(to, 23u, first, (*values)[23]);
        add_up(to, 24u, first, (*values)[24]);
    }
    if first { atomicOr(&touched[j], 1u << ids.subgroup); }
}

fn one(bits: u32, subgroup: u32, at: u32) -> f32 {
    if (bits & (1u << subgroup)) == 0u { return 0.0; }
    return partials[at + subgroup * SLOT_MAX];
}

fn four(bits: u32, first: u32, at: u32) -> f32 {
    return one(bits, first, at) + one(bits, first + 1u, at) + one(bits, first + 2u, at) + one(bits, first + 3u, at);
}

fn total(j: u32, k: u32) -> f32 {
    let bits = atomicLoad(&touched[j]);
    let at = j * SUBGROUPS * SLOT_MAX + k;
    var sum = four(bits, 0u, at);
    if SUBGROUPS > 4u { sum += four(bits, 4u, at); }
    if SUBGROUPS > 8u { sum += four(bits, 8u, at) + four(bits, 12u, at); }
    if SUBGROUPS > 16u {
        sum += four(bits, 16u, at) + four(bits, 20u, at) + four(bits, 24u, at) + four(bits, 28u, at);
    }
    return sum;
}
