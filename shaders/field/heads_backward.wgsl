// Stage `heads_backward`: the gradient of the packed deformation to that of the heads' last layers, of those that are driven
// and of the attention; twin of heads_backward() and driven_backward() in src/head/field/rows_backward.rs. One thread per row and
// number.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
// The packed deformation and its gradient, [all frames, surfels, columns].
@group(0) @binding(1) var<storage, read> packed: array<f32>;
@group(0) @binding(2) var<storage, read> of_packed: array<f32>;
// [frames, surfels, 2, outputs]
@group(0) @binding(3) var<storage, read> said: array<f32>;
// What reaches the last layers, then the driven ones: [frames, surfels], in a row first those of the geometry, [3, 10],
// then those of the harmonics, [3, outputs - 10].
@group(0) @binding(4) var<storage, read_write> heard: array<f32>;
// [frames, surfels, 4]
@group(0) @binding(5) var<storage, read_write> of_attention: array<f32>;

@compute @workgroup_size(256)
fn heads_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let outputs = params.outputs;
    let number = flat_workgroup(workgroup, workgroups) * 256u + thread;
    let width = outputs + TOKENS;
    if number >= params.frames * params.surfels * width { return; }
    let row = number / width;
    let k = number % width;
    let start = (params.first_frame * params.surfels + row) * params.columns;
    let driven = params.drives != ABSENT;
    if k < outputs {
        let g = of_packed[start + k] * select(1.0, params.reach, k < 3u);
        let to = row * (1u + DRIVES) * outputs + heard_at(k);
        let apart = heard_apart(k);
        heard[to] = g;
        heard[to + apart] = select(0.0, g * packed[start + outputs], driven);
        heard[to + 2u * apart] = select(0.0, g * packed[start + outputs + 1u], driven);
        return;
    }
    let token = k - outputs;
    var sum = of_packed[start + k];
    if driven && token < DRIVES {
        let words = (row * DRIVES + token) * outputs;
        for (var p = 0u; p < outputs; p++) {
            sum += of_packed[start + p] * select(1.0, params.reach, p < 3u) * said[words + p];
        }
    }
    of_attention[row * TOKENS + token] = sum;
}
