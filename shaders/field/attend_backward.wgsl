// Stage `attend_backward`: gradients of the weights over the tokens back to the scores; twin of layer_backward() in
// src/head/field/rows_backward.rs. One thread per row and head.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
// [frames, surfels, J]
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// Of the mean over heads and layers, [frames, surfels, 4].
@group(0) @binding(2) var<storage, read> of_means: array<f32>;
// [frames, surfels, J]: of the weights as far as the answer goes, then of the scores.
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(256)
fn attend_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if number >= params.frames * params.surfels * params.heads { return; }
    let at = number * TOKENS;
    let row = number / params.heads * TOKENS;
    let shown = vec4(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
    let means = vec4(of_means[row], of_means[row + 1u], of_means[row + 2u], of_means[row + 3u]);
    let answered = vec4(gradients[at], gradients[at + 1u], gradients[at + 2u], gradients[at + 3u]);
    let gradient = answered + params.share * means;
    let scores = shown * (gradient - dot(gradient, shown));
    for (var t = 0u; t < TOKENS; t++) { gradients[at + t] = scores[t]; }
}
