// Stage `attend`: scores to weights over the tokens, and their mean over heads and layers to the packed deformation; twin of
// softmax() in src/head/field/rows.rs. One thread per row.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
// [frames, surfels, J], scores, then weights.
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
// [all frames, surfels, columns]
@group(0) @binding(2) var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(256)
fn attend(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if row >= params.frames * params.surfels { return; }
    var means = vec4(0.0);
    for (var head = 0u; head < params.heads; head++) {
        let at = (row * params.heads + head) * TOKENS;
        let scores = vec4(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
        let largest = max(max(scores.x, scores.y), max(scores.z, scores.w));
        let shares = exp(scores - largest);
        let shown = shares / (shares.x + shares.y + shares.z + shares.w);
        for (var t = 0u; t < TOKENS; t++) { weights[at + t] = shown[t]; }
        means += params.share * shown;
    }
    let at = (params.first_frame * params.surfels + row) * params.columns + params.outputs;
    for (var t = 0u; t < TOKENS; t++) {
        if params.fresh != 0u { packed[at + t] = means[t]; } else { packed[at + t] += means[t]; }
    }
}
