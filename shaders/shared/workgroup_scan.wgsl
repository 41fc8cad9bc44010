// Inclusive prefix sum over the 256 threads of a workgroup (Hillis and Steele 1986). Every thread must call it. A sum
// that cannot be counted stays at the largest number, so that it does not look like a small one.
var<workgroup> scan_sums: array<u32, 256>;

fn saturating_add(a: u32, b: u32) -> u32 {
    return select(a + b, 0xffffffffu, a > 0xffffffffu - b);
}

fn scan_inclusive(thread: u32, value: u32) -> u32 {
    var sum = value;
    for (var step = 1u; step < 256u; step = step << 1u) {
        workgroupBarrier();
        scan_sums[thread] = sum;
        workgroupBarrier();
        if thread >= step { sum = saturating_add(sum, scan_sums[thread - step]); }
    }
    workgroupBarrier();
    scan_sums[thread] = sum;
    workgroupBarrier();
    return sum;
}
