// Sums over the pixels of a tile, for adapters with subgroups of eight or more threads: each subgroup adds in
// registers, and its sums wait in workgroup memory until the batch is done. The order of every sum is fixed.
//
// Eight neighbouring threads first share the numbers out: in each of three steps a thread gives away the half that the
// other keeps, so that 20 numbers take 10 + 5 + 3 exchanges and not 60; what is left is added over groups of eight.
override SUBGROUPS: u32 = 32u;
override PARTIALS: u32 = SUBGROUPS * STAGED * SLOT_WIDTH;

struct Ids {
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
}

// [splat, subgroup, number].
var<workgroup> partials: array<f32, PARTIALS>;
// Subgroups that drew the splat, as bits.
var<workgroup> touched: array<atomic<u32>, 32>;

fn clear_touched(thread: u32) {
    if thread < 32u { atomicStore(&touched[thread], 0u); }
}

// Whether it holds for any thread of the subgroup.
fn any_of(condition: bool) -> bool {
    return subgroupAny(condition);
}

// Splats that any thread of the subgroup visits, as bits.
fn visited(mask: u32, count: u32) -> u32 {
    return subgroupOr(mask);
}

fn fold2(low: vec2<f32>, high: vec2<f32>, upper: bool) -> vec2<f32> {
    return select(low, high, upper) + subgroupShuffleXor(select(high, low, upper), 4u);
}

fn fold3(low: vec3<f32>, high: vec3<f32>, upper: bool, lanes: u32) -> vec3<f32> {
    return select(low, high, upper) + subgroupShuffleXor(select(high, low, upper), lanes);
}

// Over groups of eight.
fn add_groups(value: vec3<f32>, size: u32) -> vec3<f32> {
    var sum = value;
    if size > 8u { sum += subgroupShuffleXor(sum, 8u); }
    if size > 16u { sum += subgroupShuffleXor(sum, 16u); }
    if size > 32u { sum += subgroupShuffleXor(sum, 32u); }
    if size > 64u { sum += subgroupShuffleXor(sum, 64u); }
    return sum;
}

fn add_groups_of_one(value: f32, size: u32) -> f32 {
    var sum = value;
    if size > 8u { sum += subgroupShuffleXor(sum, 8u); }
    if size > 16u { sum += subgroupShuffleXor(sum, 16u); }
    if size > 32u { sum += subgroupShuffleXor(sum, 32u); }
    if size > 64u { sum += subgroupShuffleXor(sum, 64u); }
    return sum;
}

fn contribute(ids: Ids, j: u32, v: Slot) {
    let upper = (ids.lane & 4u) != 0u;
    let odd = (ids.lane & 2u) != 0u;
    let last = (ids.lane & 1u) != 0u;
    // Numbers 2i and 2i + 1 below, 10 + 2i and 11 + 2i above.
    let r0 = fold2(v.a.xy, vec2(v.center.y, v.opacity), upper);
    let r1 = fold2(vec2(v.a.z, v.b.x), v.color.xy, upper);
    let r2 = fold2(v.b.yz, vec2(v.color.z, v.attention.x), upper);
    let r3 = fold2(v.c.xy, v.attention.yz, upper);
    let r4 = fold2(vec2(v.c.z, v.center.x), vec2(v.attention.w, 0.0), upper);
    let even3 = vec3(r0.x, r1.x, r2.x);
    let odd3 = vec3(r0.y, r1.y, r2.y);
    let s012 = fold3(even3, odd3, odd, 2u);
    let s34 = select(vec2(r3.x, r4.x), vec2(r3.y, r4.y), odd)
        + subgroupShuffleXor(select(vec2(r3.y, r4.y), vec2(r3.x, r4.x), odd), 2u);
    let sum = add_groups(fold3(s012, vec3(s34, 0.0), last, 1u), ids.size);
    let to = (j * SUBGROUPS + ids.subgroup) * SLOT_WIDTH;
    if ids.lane < 8u {
        let first = select(0u, 10u, upper) + select(0u, 1u, odd) + select(0u, 6u, last);
        partials[to + first] = sum.x;
        // The last two of the twenty places, 19 and beyond, hold nothing.
        if first + 2u < SLOT_PLAIN { partials[to + first + 2u] = sum.y; }
        if !last { partials[to + first + 4u] = sum.z; }
    }
    if SLOT_WIDTH > SLOT_PLAIN {
        let u = fold3(v.tw, v.normal, upper, 4u);
        let w = select(u.xy, vec2(u.z, 0.0), odd)
            + subgroupShuffleXor(select(vec2(u.z, 0.0), u.xy, odd), 2u);
        let x = select(w.x, w.y, last) + subgroupShuffleXor(select(w.y, w.x, last), 1u);
        let all_groups = add_groups_of_one(x, ids.size);
        let number = select(0u, 2u, odd) + select(0u, 1u, last);
        if ids.lane < 8u && number < 3u {
            partials[to + SLOT_TW + select(0u, 3u, upper) + number] = all_groups;
        }
    }
    if ids.lane == 0u { atomicOr(&touched[j], 1u << ids.subgroup); }
}

fn one(bits: u32, subgroup: u32, at: u32) -> f32 {
    if (bits & (1u << subgroup)) == 0u { return 0.0; }
    return partials[at + subgroup * SLOT_WIDTH];
}

fn four(bits: u32, first: u32, at: u32) -> f32 {
    return one(bits, first, at) + one(bits, first + 1u, at) + one(bits, first + 2u, at) + one(bits, first + 3u, at);
}

fn total(j: u32, k: u32) -> f32 {
    let bits = atomicLoad(&touched[j]);
    let at = j * SUBGROUPS * SLOT_WIDTH + k;
    var sum = four(bits, 0u, at);
    if SUBGROUPS > 4u { sum += four(bits, 4u, at); }
    if SUBGROUPS > 8u { sum += four(bits, 8u, at) + four(bits, 12u, at); }
    if SUBGROUPS > 16u {
        sum += four(bits, 16u, at) + four(bits, 20u, at) + four(bits, 24u, at) + four(bits, 28u, at);
    }
    return sum;
}
