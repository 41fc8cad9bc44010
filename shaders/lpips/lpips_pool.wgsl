// Stage `lpips_pool`: the largest of 2 × 2 or 3 × 3 pixels, every second; twin of Pool in src/metrics/lpips/network.rs. One
// thread per pixel and quad of the result.
//#import grid
//#import lpips_pool

@group(0) @binding(0) var<storage, read> params: PoolParams;
// [pictures, rows, columns, quads]
@group(0) @binding(1) var<storage, read> features: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn lpips_pool(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.out_rows * params.out_columns;
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.pictures * plane * params.quads { return; }
    let pixel = at / params.quads;
    let quad = at % params.quads;
    let first = (pixel / plane) * params.in_rows * params.in_columns;
    let row = 2u * ((pixel % plane) / params.out_columns);
    let column = 2u * (pixel % params.out_columns);
    var most = features[(first + row * params.in_columns + column) * params.quads + quad];
    for (var r = row; r < min(row + params.side, params.in_rows); r++) {
        for (var c = column; c < min(column + params.side, params.in_columns); c++) {
            most = max(most, features[(first + r * params.in_columns + c) * params.quads + quad]);
        }
    }
    result[at] = most;
}
