// Inclusive prefix sum over the 256 threads of a workgroup (Hillis and Steele 1986). Every thread must call it.
var<workgroup> scan_sums: array<u32, 256>;

fn scan_inclusive(thread: u32, value: u32) -> u32 {
    var sum = value;
    for (var step = 1u; step < 256u; step = step << 1u) {
        workgroupBarrier();
        scan_sums[thread] = sum;
        workgroupBarrier();
        if thread >= step { sum += scan_sums[thread - step]; }
    }
    workgroupBarrier();
    scan_sums[thread] = sum;
    workgroupBarrier();
    return sum;
}
