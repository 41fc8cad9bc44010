// Stage `adam_planes`: a step of Adam on the tri-planes. One thread per number.
//#import fixed
//#import learn

@group(0) @binding(0) var<storage, read> params: LearnParams;
// Two words for each number.
@group(0) @binding(1) var<storage, read> gradients: array<u32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;

//#import adam

@compute @workgroup_size(256)
fn adam_planes(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.count { return; }
    let gradient = from_fixed(vec2(gradients[2u * at], gradients[2u * at + 1u]));
    learn(at, gradient, params.rate, vec2(params.correction1, params.correction2));
}
