// Stage `hidden_backward`: from what reaches the heads' last layers to the gradient of their hidden ones; twin of
// heads_backward() and driven_backward() in src/head/field/rows_backward.rs. One thread per row and hidden number.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// As `heads_backward` has it.
@group(0) @binding(2) var<storage, read> heard: array<f32>;
// Hidden layers of all heads, then their gradients, [frames, surfels, 5, hidden].
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>;

@compute @workgroup_size(256)
fn hidden_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    let width = HEADS * params.hidden;
    if at >= params.frames * params.surfels * width { return; }
    if !(hidden[at] > 0.0) {
        hidden[at] = 0.0;
        return;
    }
    let row = at / width;
    let head = at % width / params.hidden;
    let k = at % params.hidden;
    let layer = params.outputs * params.hidden;
    let audio = params.drives_back + row / params.surfels * params.frame + k;
    let start = row * (1u + DRIVES) * params.outputs + heard_at(first_of(head)) - first_of(head);
    let apart = heard_apart(first_of(head));
    let end = first_of(head + 1u);
    var sum = 0.0;
    for (var p = first_of(head); p < end; p++) {
        let here = p * params.hidden;
        sum += heard[start + p] * weights[params.last_back + k + here];
        if params.drives != ABSENT {
            sum += heard[start + apart + p] * weights[audio + here];
            sum += heard[start + 2u * apart + p] * weights[audio + layer + here];
        }
    }
    hidden[at] = sum;
}
