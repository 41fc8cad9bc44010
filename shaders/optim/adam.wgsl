// Stage `adam`: one step of Adam (Kingma & Ba 2015) on the surfels' own parameters; twin of src/head/backend/adam.rs.
// One thread per number.
struct AdamParams {
    // Numbers; surfels; numbers of one surfel's harmonics where these are harmonics, else 0.
    count: u32,
    surfels: u32,
    stored: u32,
    // Where the gradient of the first number lies.
    first_gradient: u32,
    // 1 − βᵗ of either moment.
    correction1: f32,
    correction2: f32,
    // Learning rates; those of band 0 of the harmonics and of the bands above it.
    position: f32,
    rotation: f32,
    scaling: f32,
    opacity: f32,
    feature: f32,
    higher: f32,
}

@group(0) @binding(0) var<storage, read> params: AdamParams;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;

//#import adam

fn rate(at: u32) -> f32 {
    if params.stored > 0u { return select(params.higher, params.feature, at % params.stored < 3u); }
    let n = params.surfels;
    if at < 3u * n { return params.position; }
    if at < 7u * n { return params.rotation; }
    if at < 9u * n { return params.scaling; }
    return params.opacity;
}

@compute @workgroup_size(256)
fn adam(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.count { return; }
    let gradient = gradients[params.first_gradient + at];
    learn(at, gradient, rate(at), vec2(params.correction1, params.correction2));
}
