// Stage `embedding_smoothness`: adds the gradient of Σ w · ‖e_i − e_j‖² over pairs of neighbouring surfels to that of the
// embedding; twin of src/loss/terms/embedding_smoothness.rs. One thread per element of the embedding; each workgroup leaves
// its sum of w · (e_i − e_j)² over the pairs of its elements, in which each pair is there from both ends.
//#import grid

// Every member is four bytes wide.
struct NeighborParams {
    // Elements of the embedding: surfels × width.
    count: u32,
    width: u32,
    // Elements of a surfel's row of gradients, and where the embedding's begin.
    row: u32,
    start: u32,
    weight: f32,
}

@group(0) @binding(0) var<storage, read> params: NeighborParams;
// [surfels + 1]: where each surfel's pairs begin.
@group(0) @binding(1) var<storage, read> starts: array<u32>;
// The other surfel of each pair.
@group(0) @binding(2) var<storage, read> neighbors: array<u32>;
@group(0) @binding(3) var<storage, read> pair_weights: array<f32>;
// [surfels, width]
@group(0) @binding(4) var<storage, read> embedding: array<f32>;
// [surfels, row]
@group(0) @binding(5) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn embedding_smoothness(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = flat_workgroup(workgroup, workgroups);
    let at = group * 256u + thread;
    shares[thread] = 0.0;
    if at < params.count {
        let surfel = at / params.width;
        let channel = at % params.width;
        let own = embedding[at];
        var sum = 0.0;
        var gradient = 0.0;
        for (var pair = starts[surfel]; pair < starts[surfel + 1u]; pair++) {
            let difference = own - embedding[neighbors[pair] * params.width + channel];
            gradient += pair_weights[pair] * difference;
            sum += pair_weights[pair] * difference * difference;
        }
        gradients[surfel * params.row + params.start + channel] += params.weight * 2.0 * gradient;
        shares[thread] = sum;
    }
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step { shares[thread] += shares[thread + step]; }
    }
    if thread == 0u && group * 256u < params.count { sums[group] = shares[0]; }
}
