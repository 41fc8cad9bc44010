// Stage `radix_scan`: for each digit, how many of it lie in earlier blocks, and how many there are. One workgroup per
// digit.
//#import params
//#import work
//#import radix

@group(0) @binding(0) var<uniform> radix: Pass;
@group(0) @binding(1) var<storage, read> work: Work;
@group(0) @binding(2) var<storage, read_write> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> totals: array<u32>;

//#import workgroup_scan

@compute @workgroup_size(256)
fn radix_scan(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = select(radix.count, work.pairs, radix.counted != 0u);
    let blocks = (n + BLOCK - 1u) / BLOCK;
    let row = workgroup.x * radix.blocks_max;
    var before = 0u;
    for (var first = 0u; first < blocks; first += 256u) {
        let i = first + thread;
        var own = 0u;
        if i < blocks { own = table[row + i]; }
        let sum = scan_inclusive(thread, own);
        if i < blocks { table[row + i] = before + sum - own; }
        before += scan_sums[255];
    }
    if thread == 0u { totals[workgroup.x] = before; }
}
