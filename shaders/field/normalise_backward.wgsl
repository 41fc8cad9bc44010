// Stage `normalise_backward`: the gradient of a layer norm, in its place; twin of normalise_backward() in
// src/head/field/rows_backward.rs. With u the unit row and h = g·scale: rate · (h − mean(h) − u·mean(h·u)). Sixteen threads per row.
//#import norm

@group(0) @binding(0) var<storage, read> params: NormParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// [rows, width]
@group(0) @binding(2) var<storage, read> units: array<f32>;
@group(0) @binding(3) var<storage, read> rates: array<f32>;
// Of the result, then of what was normalised.
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(256)
fn normalise_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let own = share_of(flat_workgroup(workgroup, workgroups), thread, params.rows, params.width);
    let start = own.start;
    var share = vec2(0.0);
    for (var k = own.lane; k < own.width; k += LANES) {
        let h = gradients[start + k] * weights[params.scale + k];
        share += vec2(h, h * units[start + k]);
    }
    let means = sum_row(thread, share) / f32(params.width);
    for (var k = own.lane; k < own.width; k += LANES) {
        let h = gradients[start + k] * weights[params.scale + k];
        gradients[start + k] = rates[own.row] * (h - means.x - units[start + k] * means.y);
    }
}
