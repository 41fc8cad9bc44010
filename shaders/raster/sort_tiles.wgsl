// Stage `sort_tiles`: every tile's list, nearest first, equal depths by instance. One workgroup per tile sorts in
// workgroup memory; a list too long for that is sorted there in parts, which are then merged in device memory.
//
// The network is Batcher's (1968) bitonic one in the form whose comparators all put the larger key at the larger place,
// so that a list of any length is sorted as if the largest of keys followed it. In workgroup memory a thread takes
// eight keys through three steps at a time.
//#import params
//#import range

// Pairs that workgroup memory holds, a power of two, at least 8; and the places they take.
override CAPACITY: u32 = 1024u;
override PLACES: u32 = CAPACITY + CAPACITY / 8u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ranges: array<Range>;
// Bits of the depth, and instance, of each pair.
@group(0) @binding(2) var<storage, read_write> keys: array<vec2<u32>>;
// Instance of each pair, in order.
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;

const THREADS: u32 = 256u;
const LAST: vec2<u32> = vec2(0xffffffffu, 0xffffffffu);

// Every ninth place is left out, so that neighbouring threads meet in few memory banks.
var<workgroup> part: array<vec2<u32>, PLACES>;

fn place(i: u32) -> u32 {
    return i + (i >> 3u);
}

fn is_after(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y > b.y);
}

fn lower(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return select(a, b, is_after(a, b));
}

fn upper(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return select(b, a, is_after(a, b));
}

// Eight keys in registers, at places that ascend.
struct Keys {
    a: vec2<u32>, b: vec2<u32>, c: vec2<u32>, d: vec2<u32>,
    e: vec2<u32>, f: vec2<u32>, g: vec2<u32>, h: vec2<u32>,
}

fn four_apart(k: Keys) -> Keys {
    return Keys(
        lower(k.a, k.e), lower(k.b, k.f), lower(k.c, k.g), lower(k.d, k.h),
        upper(k.a, k.e), upper(k.b, k.f), upper(k.c, k.g), upper(k.d, k.h),
    );
}

fn two_apart(k: Keys) -> Keys {
    return Keys(
        lower(k.a, k.c), lower(k.b, k.d), upper(k.a, k.c), upper(k.b, k.d),
        lower(k.e, k.g), lower(k.f, k.h), upper(k.e, k.g), upper(k.f, k.h),
    );
}

fn one_apart(k: Keys) -> Keys {
    return Keys(
        lower(k.a, k.b), upper(k.a, k.b), lower(k.c, k.d), upper(k.c, k.d),
        lower(k.e, k.f), upper(k.e, k.f), lower(k.g, k.h), upper(k.g, k.h),
    );
}

fn mirrored_in_four(k: Keys) -> Keys {
    return Keys(
        lower(k.a, k.d), lower(k.b, k.c), upper(k.b, k.c), upper(k.a, k.d),
        lower(k.e, k.h), lower(k.f, k.g), upper(k.f, k.g), upper(k.e, k.h),
    );
}

fn mirrored(k: Keys) -> Keys {
    return Keys(
        lower(k.a, k.h), lower(k.b, k.g), lower(k.c, k.f), lower(k.d, k.e),
        upper(k.d, k.e), upper(k.c, k.f), upper(k.b, k.g), upper(k.a, k.h),
    );
}

// The keys at four places `apart` from `low` on, and four from `high` on.
fn fetch(low: u32, high: u32, apart: u32) -> Keys {
    return Keys(
        part[place(low)], part[place(low + apart)], part[place(low + 2u * apart)], part[place(low + 3u * apart)],
        part[place(high)], part[place(high + apart)], part[place(high + 2u * apart)], part[place(high + 3u * apart)],
    );
}

fn put(low: u32, high: u32, apart: u32, k: Keys) {
    part[place(low)] = k.a;
    part[place(low + apart)] = k.b;
    part[place(low + 2u * apart)] = k.c;
    part[place(low + 3u * apart)] = k.d;
    part[place(high)] = k.e;
    part[place(high + apart)] = k.f;
    part[place(high + 2u * apart)] = k.g;
    part[place(high + 3u * apart)] = k.h;
}

// Sorts every eight neighbours.
fn sort_eights(thread: u32, size: u32) {
    for (var t = thread; t < size / 8u; t += THREADS) {
        let k = one_apart(mirrored_in_four(one_apart(fetch(8u * t, 8u * t + 4u, 1u))));
        put(8u * t, 8u * t + 4u, 1u, one_apart(two_apart(mirrored(k))));
    }
    workgroupBarrier();
}

// Merges sorted halves of blocks of eight times `apart`: the mirrored step and two more.
fn merge_halves(thread: u32, size: u32, apart: u32) {
    for (var t = thread; t < size / 8u; t += THREADS) {
        let within = t & (apart - 1u);
        let low = 8u * (t - within) + within;
        let high = 8u * (t - within) + 5u * apart - 1u - within;
        put(low, high, apart, one_apart(two_apart(mirrored(fetch(low, high, apart)))));
    }
    workgroupBarrier();
}

// The steps that compare keys four, two and one times `apart` from each other.
fn three_steps(thread: u32, size: u32, apart: u32) {
    for (var t = thread; t < size / 8u; t += THREADS) {
        let within = t & (apart - 1u);
        let low = 8u * (t - within) + within;
        let high = low + 4u * apart;
        put(low, high, apart, one_apart(two_apart(four_apart(fetch(low, high, apart)))));
    }
    workgroupBarrier();
}

// The last two steps, or only the last.
fn last_steps(thread: u32, size: u32, both: bool) {
    for (var t = thread; t < size / 8u; t += THREADS) {
        var k = fetch(8u * t, 8u * t + 4u, 1u);
        if both { k = two_apart(k); }
        put(8u * t, 8u * t + 4u, 1u, one_apart(k));
    }
    workgroupBarrier();
}

// All steps from keys `first` apart down to neighbours.
fn remaining_steps(thread: u32, size: u32, first: u32) {
    var apart = first;
    while apart >= 4u {
        three_steps(thread, size, apart / 4u);
        apart = apart >> 3u;
    }
    if apart > 0u { last_steps(thread, size, apart == 2u); }
}

fn sort_part(thread: u32, size: u32) {
    sort_eights(thread, size);
    for (var apart = 2u; 8u * apart <= size; apart = apart << 1u) {
        merge_halves(thread, size, apart);
        remaining_steps(thread, size, apart >> 1u);
    }
}

// Keys of the list behind its end are the last of all.
fn load_part(thread: u32, first: u32, count: u32, size: u32) {
    for (var i = thread; i < size; i += THREADS) {
        var key = LAST;
        if i < count { key = keys[first + i]; }
        part[place(i)] = key;
    }
    workgroupBarrier();
}

fn store_part(thread: u32, first: u32, count: u32, done: bool) {
    for (var i = thread; i < count; i += THREADS) {
        let key = part[place(i)];
        if done { lists[first + i] = key.y; } else { keys[first + i] = key; }
    }
    workgroupBarrier();
    storageBarrier();
}

// One step on the `count` keys from `first` in device memory: those `half` apart, or mirrored in blocks of two halves.
fn step_list(thread: u32, first: u32, count: u32, half: u32, is_mirrored: bool) {
    for (var t = thread; t < power_over(count) / 2u; t += THREADS) {
        let within = t & (half - 1u);
        let low = 2u * (t - within) + within;
        let high = select(low + half, low + 2u * (half - within) - 1u, is_mirrored);
        if high < count {
            let a = keys[first + low];
            let b = keys[first + high];
            if is_after(a, b) {
                keys[first + low] = b;
                keys[first + high] = a;
            }
        }
    }
    storageBarrier();
}

// The smallest power of two that is no less than n, and no less than 8.
fn power_over(n: u32) -> u32 {
    return 1u << (32u - countLeadingZeros(max(n, 8u) - 1u));
}

@compute @workgroup_size(256)
fn sort_tiles(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let turn = flat_workgroup(workgroup, workgroups);
    if turn >= params.frames * params.tiles_x * params.tiles_y { return; }
    let range = ranges[ranges[turn].turn];
    let count = range.end - range.start;
    if count == 0u { return; }
    let single = count <= CAPACITY;
    for (var first = 0u; first < count; first += CAPACITY) {
        let here = min(CAPACITY, count - first);
        load_part(thread, range.start + first, here, power_over(here));
        sort_part(thread, power_over(here));
        store_part(thread, range.start + first, here, single);
    }
    if single { return; }
    let size = power_over(count);
    for (var half = CAPACITY; half < size; half = half << 1u) {
        step_list(thread, range.start, count, half, true);
        for (var apart = half >> 1u; apart >= CAPACITY; apart = apart >> 1u) {
            step_list(thread, range.start, count, apart, false);
        }
        for (var first = 0u; first < count; first += CAPACITY) {
            let here = min(CAPACITY, count - first);
            load_part(thread, range.start + first, here, CAPACITY);
            remaining_steps(thread, CAPACITY, CAPACITY >> 1u);
            store_part(thread, range.start + first, here, 2u * half == size);
        }
    }
}
