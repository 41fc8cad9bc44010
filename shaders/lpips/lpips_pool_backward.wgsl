// Stage `lpips_pool_backward`: the gradient of a window goes to its first largest pixel, as in PyTorch. One thread per pixel and
// quad of what was read; it looks at every window that the pixel lies in.
//#import grid
//#import lpips_pool

@group(0) @binding(0) var<storage, read> params: PoolParams;
// [pictures, rows, columns, quads]
@group(0) @binding(1) var<storage, read> features: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn lpips_pool_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.in_rows * params.in_columns;
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.pictures * plane * params.quads { return; }
    let pixel = at / params.quads;
    let quad = at % params.quads;
    let first = (pixel / plane) * plane;
    let first_out = (pixel / plane) * params.out_rows * params.out_columns;
    let row = (pixel % plane) / params.in_columns;
    let column = pixel % params.in_columns;
    let own = features[at];
    var sum = vec4(0.0);
    // The first window that reaches the pixel, and the last that begins at it or before it.
    let reach = params.side - 1u;
    for (var i = (max(row, reach) - reach + 1u) / 2u; i < min(row / 2u + 1u, params.out_rows); i++) {
        for (var j = (max(column, reach) - reach + 1u) / 2u; j < min(column / 2u + 1u, params.out_columns); j++) {
            var chosen = vec4(true);
            for (var r = 2u * i; r < min(2u * i + params.side, params.in_rows); r++) {
                for (var c = 2u * j; c < min(2u * j + params.side, params.in_columns); c++) {
                    let other = features[(first + r * params.in_columns + c) * params.quads + quad];
                    let before = r < row || (r == row && c < column);
                    chosen = chosen & select(own >= other, own > other, vec4(before));
                }
            }
            let window = (first_out + i * params.out_columns + j) * params.quads + quad;
            sum += select(vec4(0.0), gradient[window], chosen);
        }
    }
    if params.keep != 0u { sum += result[at]; }
    result[at] = select(vec4(0.0), sum, own > vec4(0.0));
}
