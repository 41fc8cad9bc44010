// Stage `heads`: the heads' last layers, and those that sound and blendshapes drive, to the packed deformation; twin of the
// end of forward() in src/head/field/rows.rs. One thread per row and number.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// Hidden layers of all heads, [frames, surfels, 5, hidden].
@group(0) @binding(2) var<storage, read> hidden: array<f32>;
// What the drives say before they are made loud, [frames, surfels, 2, outputs].
@group(0) @binding(3) var<storage, read_write> said: array<f32>;
// [all frames, surfels, columns], with the attention.
@group(0) @binding(4) var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(256)
fn heads(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if number >= params.frames * params.surfels * params.outputs { return; }
    let row = number / params.outputs;
    let p = number % params.outputs;
    let start = (row * HEADS + head_of(p)) * params.hidden;
    let to = (params.first_frame * params.surfels + row) * params.columns;
    var value = weights[params.last_bias + p];
    var last = params.last + p;
    if params.drives == ABSENT {
        for (var k = 0u; k < params.hidden; k++) {
            value += hidden[start + k] * weights[last];
            last += params.outputs;
        }
    } else {
        var audio = params.drives + row / params.surfels * params.frame + p;
        let layer = params.hidden * params.outputs;
        var of_audio = 0.0;
        var of_expression = 0.0;
        for (var k = 0u; k < params.hidden; k++) {
            let h = hidden[start + k];
            value += h * weights[last];
            of_audio += h * weights[audio];
            of_expression += h * weights[audio + layer];
            last += params.outputs;
            audio += params.outputs;
        }
        said[row * DRIVES * params.outputs + p] = of_audio;
        said[(row * DRIVES + 1u) * params.outputs + p] = of_expression;
        value += packed[to + params.outputs] * of_audio + packed[to + params.outputs + 1u] * of_expression;
    }
    packed[to + p] = value * select(1.0, params.reach, p < 3u);
}
