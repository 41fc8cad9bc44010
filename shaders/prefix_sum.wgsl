// Stage `prefix_sum`: where each block's pairs start, how many pairs there are, and how many workgroups the stages
// after it need. One workgroup.
//#import params
//#import work

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> blocks: array<u32>;
@group(0) @binding(2) var<storage, read_write> work: Work;

//#import workgroup_scan

@compute @workgroup_size(256)
fn prefix_sum(@builtin(local_invocation_index) thread: u32) {
    let count = (params.instances + 255u) / 256u;
    var before = 0u;
    for (var first = 0u; first < count; first += 256u) {
        let i = first + thread;
        var own = 0u;
        if i < count { own = blocks[i]; }
        let sum = scan_inclusive(thread, own);
        if i < count { blocks[i] = saturating_add(before, sum - own); }
        before = saturating_add(before, scan_sums[255]);
    }
    if thread == 0u {
        let pairs = min(before, params.pairs_max);
        work.pairs_wanted = before;
        work.pairs = pairs;
        // At least one, so that no stage sees an empty dispatch.
        let sort_blocks = max(1u, (pairs + 1023u) / 1024u);
        work.sort_x = min(sort_blocks, 32768u);
        work.sort_y = (sort_blocks + 32767u) / 32768u;
        work.sort_z = 1u;
        let pair_blocks = max(1u, (pairs + 255u) / 256u);
        work.pairs_x = min(pair_blocks, 32768u);
        work.pairs_y = (pair_blocks + 32767u) / 32768u;
        work.pairs_z = 1u;
    }
}

// More pairs than can be counted must not look like few.
fn saturating_add(a: u32, b: u32) -> u32 {
    return select(a + b, 0xffffffffu, a > 0xffffffffu - b);
}
