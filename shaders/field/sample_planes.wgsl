// Stage `ask`: what the tri-planes and its embedding know of a surfel; twin of gather() in src/head/field/rows.rs. One thread per
// number.
//#import field

@group(0) @binding(0) var<storage, read> params: FieldParams;
// [surfels, 3]
@group(0) @binding(1) var<storage, read> places: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<f32>;
// [surfels, embedding]
@group(0) @binding(3) var<storage, read> embedding: array<f32>;
// [surfels, scales·channels + embedding]
@group(0) @binding(4) var<storage, read_write> asked: array<f32>;

//#import planes

@compute @workgroup_size(256)
fn sample_planes(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let features = params.scales * params.channels;
    let width = features + params.embedding;
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.surfels * width { return; }
    let i = at / width;
    let k = at % width;
    if k >= features {
        asked[at] = embedding[i * params.embedding + k - features];
        return;
    }
    let scale = k / params.channels;
    let side = side_of(scale);
    var product = 1.0;
    for (var plane = 0u; plane < 3u; plane++) {
        let cell = cell_of(i, plane, side);
        let c = corners(plane_start(scale, plane), cell, side, k % params.channels);
        product *= dot(cell.weights, vec4(planes[c.x], planes[c.y], planes[c.z], planes[c.w]));
    }
    asked[at] = product;
}
