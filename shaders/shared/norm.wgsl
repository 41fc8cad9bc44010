//#import grid
// Layer norm (Ba et al. 2016) by workgroups of 16 rows, 16 threads a row.
struct NormParams {
    // Rows of all frames, and their width.
    rows: u32,
    width: u32,
    // Where scale and shift lie in the weights.
    scale: u32,
    shift: u32,
    // Whether negative numbers are cut off in the end.
    relu: u32,
}

const LANES: u32 = 16u;
// Added to the variance of a row before it is divided by.
const NORM_EPSILON: f32 = 1e-5;

// What a thread sees to of a row: every LANES-th number from `lane` on; none where there is no such row.
struct Share {
    row: u32,
    lane: u32,
    width: u32,
    start: u32,
}

fn share_of(group: u32, thread: u32, rows: u32, width: u32) -> Share {
    let row = group * (256u / LANES) + thread / LANES;
    return Share(row, thread % LANES, select(0u, width, row < rows), row * width);
}

var<workgroup> shares: array<vec2<f32>, 256>;

// Sums over the threads of a row; to be called by all.
fn sum_row(thread: u32, share: vec2<f32>) -> vec2<f32> {
    shares[thread] = share;
    workgroupBarrier();
    let lane = thread % LANES;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if lane < step { shares[thread] += shares[thread + step]; }
        workgroupBarrier();
    }
    let sum = shares[thread - lane];
    workgroupBarrier();
    return sum;
}
