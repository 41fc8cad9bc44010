// Stage `normalise`: layer norm; twin of normalise() in src/head/field/rows.rs. Sixteen threads per row.
//#import norm

@group(0) @binding(0) var<storage, read> params: NormParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// [rows, width]
@group(0) @binding(2) var<storage, read> given: array<f32>;
// Mean 0 and deviation 1; 1 / deviation of each row.
@group(0) @binding(3) var<storage, read_write> units: array<f32>;
@group(0) @binding(4) var<storage, read_write> rates: array<f32>;
// Scaled and shifted.
@group(0) @binding(5) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(256)
fn normalise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let own = share_of(flat_workgroup(workgroup, workgroups), thread, params.rows, params.width);
    let start = own.start;
    var sum = 0.0;
    for (var k = own.lane; k < own.width; k += LANES) { sum += given[start + k]; }
    let mean = sum_row(thread, vec2(sum, 0.0)).x / f32(params.width);
    var squares = 0.0;
    for (var k = own.lane; k < own.width; k += LANES) {
        let way = given[start + k] - mean;
        squares += way * way;
    }
    let rate = 1.0 / sqrt(sum_row(thread, vec2(squares, 0.0)).x / f32(params.width) + NORM_EPSILON);
    for (var k = own.lane; k < own.width; k += LANES) {
        let unit = (given[start + k] - mean) * rate;
        units[start + k] = unit;
        let value = unit * weights[params.scale + k] + weights[params.shift + k];
        result[start + k] = select(value, max(value, 0.0), params.relu != 0u);
    }
    if own.lane == 0u && own.width > 0u { rates[own.row] = rate; }
}
