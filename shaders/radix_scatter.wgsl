// Stage `radix_scatter`: every pair to its place. A block is first sorted by the digit in workgroup memory, in two
// stable counting sorts of four bits, so that pairs of a digit leave together.
//#import params
//#import work
//#import radix

@group(0) @binding(0) var<uniform> radix: Pass;
@group(0) @binding(1) var<storage, read> work: Work;
@group(0) @binding(2) var<storage, read> source: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> to: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> table: array<u32>;
@group(0) @binding(5) var<storage, read> totals: array<u32>;

const THREADS: u32 = 128u;
const ITEMS: u32 = 8u;

var<workgroup> block_pairs: array<vec2<u32>, 1024>;
// Counters of nibble values 2h and 2h + 1 of thread t in the halves of number h × 128 + t: at most 1024 fit.
var<workgroup> counters: array<u32, 1024>;
var<workgroup> sums: array<u32, 128>;
// Where each digit starts: in the sorted block, and overall.
var<workgroup> starts: array<u32, 256>;

// Inclusive sum over the 128 threads.
fn scan_128(thread: u32, value: u32) -> u32 {
    var sum = value;
    for (var step = 1u; step < THREADS; step = step << 1u) {
        workgroupBarrier();
        sums[thread] = sum;
        workgroupBarrier();
        if thread >= step { sum += sums[thread - step]; }
    }
    workgroupBarrier();
    sums[thread] = sum;
    workgroupBarrier();
    return sum;
}

// One stable counting sort by the four bits at `shift` of what the threads hold: ITEMS consecutive pairs each.
fn sort_nibble(thread: u32, shift: u32, items: ptr<function, array<vec2<u32>, 8>>) {
    for (var h = 0u; h < 8u; h++) { counters[h * THREADS + thread] = 0u; }
    for (var k = 0u; k < ITEMS; k++) {
        let nibble = ((*items)[k].x >> shift) & 15u;
        counters[(nibble & 7u) * THREADS + thread] += 1u << (16u * (nibble >> 3u));
    }
    workgroupBarrier();
    // Values 0..8 live in the low halves, 8..16 in the high ones, so one scan of packed numbers ranks both: the high
    // values start after all low ones. Each thread sums eight neighbouring counters.
    var own = 0u;
    for (var k = 0u; k < 8u; k++) { own += counters[thread * 8u + k]; }
    let inclusive = scan_128(thread, own);
    let low_total = sums[THREADS - 1u] & 0xffffu;
    var running = inclusive - own + (low_total << 16u);
    for (var k = 0u; k < 8u; k++) {
        let count = counters[thread * 8u + k];
        counters[thread * 8u + k] = running;
        running += count;
    }
    workgroupBarrier();
    for (var k = 0u; k < ITEMS; k++) {
        let item = (*items)[k];
        let nibble = (item.x >> shift) & 15u;
        let at = (nibble & 7u) * THREADS + thread;
        let half_shift = 16u * (nibble >> 3u);
        let place = (counters[at] >> half_shift) & 0xffffu;
        counters[at] += 1u << half_shift;
        block_pairs[place] = item;
    }
    workgroupBarrier();
}

@compute @workgroup_size(128)
fn radix_scatter(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let n = select(radix.count, work.pairs, radix.counted != 0u);
    let first = block * BLOCK;
    // Threads hold consecutive pairs; what lies beyond the end has the largest key and stays behind all others, since
    // sorting is stable and it comes last.
    var items: array<vec2<u32>, 8>;
    for (var k = 0u; k < ITEMS; k++) {
        let i = first + thread * ITEMS + k;
        items[k] = vec2(0xffffffffu, 0u);
        if i < n { items[k] = source[i]; }
    }
    sort_nibble(thread, radix.shift, &items);
    for (var k = 0u; k < ITEMS; k++) { items[k] = block_pairs[thread * ITEMS + k]; }
    workgroupBarrier();
    sort_nibble(thread, radix.shift + 4u, &items);

    // Where each digit starts overall: two digits a thread.
    let even = totals[2u * thread];
    let odd = totals[2u * thread + 1u];
    let before = scan_128(thread, even + odd) - even - odd;
    let stride = radix.blocks_max;
    if block < stride {
        starts[2u * thread] = before + table[2u * thread * stride + block];
        starts[2u * thread + 1u] = before + even + table[(2u * thread + 1u) * stride + block];
    }
    workgroupBarrier();
    // Less where the digit starts in the sorted block, so that adding the place in the block gives the target.
    for (var k = 0u; k < ITEMS; k++) {
        let place = k * THREADS + thread;
        let digit = (block_pairs[place].x >> radix.shift) & 255u;
        var is_first = place == 0u;
        if !is_first { is_first = ((block_pairs[place - 1u].x >> radix.shift) & 255u) != digit; }
        if is_first { starts[digit] -= place; }
    }
    workgroupBarrier();
    for (var k = 0u; k < ITEMS; k++) {
        let place = k * THREADS + thread;
        if first + place < n {
            let item = block_pairs[place];
            to[starts[(item.x >> radix.shift) & 255u] + place] = item;
        }
    }
}
