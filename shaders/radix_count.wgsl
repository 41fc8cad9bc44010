// Stage `radix_count`: how often each digit occurs in each block.
//#import params
//#import work
//#import radix

@group(0) @binding(0) var<uniform> radix: Pass;
@group(0) @binding(1) var<storage, read> work: Work;
@group(0) @binding(2) var<storage, read> source: array<vec2<u32>>;
// [digit, block].
@group(0) @binding(3) var<storage, read_write> table: array<u32>;

var<workgroup> counts: array<atomic<u32>, 256>;

@compute @workgroup_size(128)
fn radix_count(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let n = select(radix.count, work.pairs, radix.counted != 0u);
    atomicStore(&counts[thread], 0u);
    atomicStore(&counts[thread + 128u], 0u);
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) {
        let i = block * BLOCK + k * 128u + thread;
        if i < n { atomicAdd(&counts[(source[i].x >> radix.shift) & 255u], 1u); }
    }
    workgroupBarrier();
    if block < radix.blocks_max {
        table[thread * radix.blocks_max + block] = atomicLoad(&counts[thread]);
        table[(thread + 128u) * radix.blocks_max + block] = atomicLoad(&counts[thread + 128u]);
    }
}
