// Stage `ask_backward`: the gradient of the features back to the texels they come from; twin of product_backward() and
// scatter() in src/head/field/triplane.rs. One thread per surfel and feature.
//#import field
//#import fixed

@group(0) @binding(0) var<storage, read> params: FieldParams;
// [surfels, 3]
@group(0) @binding(1) var<storage, read> places: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<f32>;
// [surfels, scales·channels + embedding]
@group(0) @binding(3) var<storage, read> gradients: array<f32>;
// Two words for each number of the planes.
@group(0) @binding(4) var<storage, read_write> sums: array<atomic<u32>>;

//#import planes

fn add(at: u32, x: f32) {
    let words = to_fixed(x);
    let before = atomicAdd(&sums[2u * at], words.x);
    let high = words.y + select(0u, 1u, before + words.x < before);
    if high != 0u { atomicAdd(&sums[2u * at + 1u], high); }
}

@compute @workgroup_size(256)
fn sample_planes_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let features = params.scales * params.channels;
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.surfels * features { return; }
    let i = at / features;
    let k = at % features;
    let gradient = gradients[i * (features + params.embedding) + k];
    if gradient == 0.0 { return; }
    let scale = k / params.channels;
    let side = side_of(scale);
    var samples = vec3(0.0);
    for (var plane = 0u; plane < 3u; plane++) {
        let cell = cell_of(i, plane, side);
        let c = corners(plane_start(scale, plane), cell, side, k % params.channels);
        samples[plane] = dot(cell.weights, vec4(planes[c.x], planes[c.y], planes[c.z], planes[c.w]));
    }
    let others = gradient * vec3(samples.y * samples.z, samples.x * samples.z, samples.x * samples.y);
    for (var plane = 0u; plane < 3u; plane++) {
        let cell = cell_of(i, plane, side);
        let c = corners(plane_start(scale, plane), cell, side, k % params.channels);
        for (var corner = 0u; corner < 4u; corner++) { add(c[corner], cell.weights[corner] * others[plane]); }
    }
}
