// Stage `prefix_sum`: where each tile's pairs start and where each block of instances' do, how many there are, and in
// which order tiles take their turns. One workgroup, 2048 counts at a time.
//#import params
//#import work
//#import range

@group(0) @binding(0) var<uniform> params: Params;
// Pairs of each tile, then of each block of 256 instances; on the way out, where they start.
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> ranges: array<Range>;
@group(0) @binding(3) var<storage, read_write> work: Work;

//#import workgroup_scan

const ITEMS: u32 = 8u;
var<workgroup> longest: atomic<u32>;
// Tiles by the length of their lists, longest first; which of the same class comes first does not matter.
var<workgroup> classes: array<atomic<u32>, 256>;

// Four classes for each doubling.
fn class_of(length: u32) -> u32 {
    let bits = firstLeadingBit(max(length, 1u));
    let fraction = ((max(length, 1u) << 2u) >> bits) & 3u;
    return 255u - 4u * bits - fraction - select(0u, 4u, length > 0u);
}

// Replaces `count` counts from `first` by the sums of those before each; the sum of all.
fn scan(thread: u32, first: u32, count: u32) -> u32 {
    var before = 0u;
    for (var base = 0u; base < count; base += ITEMS * 256u) {
        let own_first = base + ITEMS * thread;
        var own: array<u32, 8>;
        var sum = 0u;
        var most = 0u;
        for (var k = 0u; k < ITEMS; k++) {
            own[k] = 0u;
            if own_first + k < count { own[k] = counts[first + own_first + k]; }
            most = max(most, own[k]);
            sum = saturating_add(sum, own[k]);
        }
        if first == 0u { atomicMax(&longest, most); }
        let inclusive = scan_inclusive(thread, sum);
        var start = saturating_add(before, inclusive - sum);
        for (var k = 0u; k < ITEMS; k++) {
            if own_first + k < count {
                counts[first + own_first + k] = start;
                if first == 0u {
                    ranges[own_first + k].start = start;
                    ranges[own_first + k].end = saturating_add(start, own[k]);
                    atomicAdd(&classes[class_of(own[k])], 1u);
                }
            }
            start = saturating_add(start, own[k]);
        }
        before = saturating_add(before, scan_sums[255]);
    }
    return before;
}

@compute @workgroup_size(256)
fn prefix_sum(@builtin(local_invocation_index) thread: u32) {
    let tiles = params.frames * params.tiles_x * params.tiles_y;
    let blocks = (params.instances + 255u) / 256u;
    if thread == 0u { atomicStore(&longest, 0u); }
    atomicStore(&classes[thread], 0u);
    workgroupBarrier();
    let wanted = scan(thread, 0u, tiles);
    workgroupBarrier();
    if blocks > 0u { scan(thread, tiles, blocks); }
    let own = atomicLoad(&classes[thread]);
    atomicStore(&classes[thread], scan_inclusive(thread, own) - own);
    workgroupBarrier();
    let fits = wanted <= params.pairs_max;
    for (var base = 0u; base < tiles; base += ITEMS * 256u) {
        for (var k = 0u; k < ITEMS; k++) {
            // As `scan` shares them out, so that each thread reads what it wrote.
            let tile = base + ITEMS * thread + k;
            if tile < tiles {
                let length = ranges[tile].end - ranges[tile].start;
                ranges[atomicAdd(&classes[class_of(length)], 1u)].turn = tile;
                if !fits { ranges[tile].end = ranges[tile].start; }
            }
        }
    }
    if thread == 0u {
        work.pairs_wanted = wanted;
        work.pairs = select(0u, wanted, fits);
        work.longest = atomicLoad(&longest);
    }
}
