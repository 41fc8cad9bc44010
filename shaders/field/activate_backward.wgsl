// Stage `activate_backward`: gradients of what is drawn back to the surfels' own parameters, added over the copies in
// order, and to the rows; twin of activate_vjp() in src/head/cloud/activate.rs and of the pull to rest in src/head/branch.rs.
// One thread per surfel, and one per number of its harmonics.
//#import raw_rows

@group(0) @binding(0) var<storage, read> params: RowParams;
@group(0) @binding(1) var<storage, read> own: array<f32>;
// [frames, surfels, width]
@group(0) @binding(2) var<storage, read> rows: array<f32>;
// Gradients of what is drawn, as `places` lays them out.
@group(0) @binding(3) var<storage, read> drawn: array<f32>;
// [copies, surfels, drawn]
@group(0) @binding(4) var<storage, read> drawn_colors: array<f32>;
// Laid out as `rows`.
@group(0) @binding(5) var<storage, read_write> row_gradients: array<f32>;
// Laid out as `own`, then [surfels, stored] of the harmonics.
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
// 1 where a gradient is infinite or no number.
@group(0) @binding(7) var<storage, read_write> broken: atomic<u32>;

//#import places

fn look(x: f32) {
    // Bits decide, since shaders may assume that no NaN exists.
    if (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u { atomicStore(&broken, 1u); }
}

// Writes the gradient of a row's number, where there is one.
fn put(row: u32, column: u32, k: u32, gradient: f32) {
    if column == ABSENT { return; }
    look(gradient);
    row_gradients[place(row, column + k)] = gradient;
}

fn keep(at: u32, sum: f32) {
    var total = sum;
    if params.fresh == 0u { total += sums[at]; }
    look(total);
    sums[at] = total;
}

// Of a quaternion that is normalised, from the gradient of what comes out.
fn unit_gradient(q: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let length = sqrt(dot(q, q));
    if !(length > SHORTEST) { return vec4(0.0); }
    let unit = q / length;
    return (g - unit * dot(unit, g)) / length;
}

fn rest(row: u32, k: u32) -> f32 {
    let way = moved(row, params.position, k);
    return params.rest * (select(0.0, 1.0, way > 0.0) - select(0.0, 1.0, way < 0.0));
}

fn geometry(i: u32) {
    var position = vec3(0.0);
    var rotation = vec4(0.0);
    var log_scale = vec2(0.0);
    var opacity = 0.0;
    for (var copy = 0u; copy < params.copies; copy++) {
        let row = copy * params.surfels + i;
        var at = at_position(row);
        let p = vec3(drawn[at], drawn[at + 1u], drawn[at + 2u]);
        at = at_rotation(row);
        let q = unit_gradient(raw_rotation(row), vec4(drawn[at], drawn[at + 1u], drawn[at + 2u], drawn[at + 3u]));
        at = at_scale(row);
        let s = vec2(drawn[at], drawn[at + 1u]) * exp(raw_log_scale(row));
        let visible = logistic(raw_opacity(row));
        let o = drawn[at_opacity(row)] * visible * (1.0 - visible);
        for (var k = 0u; k < 3u; k++) { put(row, params.position, k, p[k] + rest(row, k)); }
        for (var k = 0u; k < 4u; k++) { put(row, of_skin(row, params.rotation), k, q[k]); }
        for (var k = 0u; k < 2u; k++) { put(row, params.log_scale, k, s[k]); }
        put(row, of_skin(row, params.opacity), 0u, o);
        for (var k = 0u; k < 4u; k++) {
            var a = 0.0;
            if params.attends != 0u { a = drawn[at_attention(row) + k]; }
            put(row, of_skin(row, params.attention), k, a);
        }
        position += p;
        rotation += q;
        log_scale += s;
        opacity += o;
    }
    for (var k = 0u; k < 3u; k++) { keep(own_position(i) + k, position[k]); }
    for (var k = 0u; k < 4u; k++) { keep(own_rotation(i) + k, rotation[k]); }
    for (var k = 0u; k < 2u; k++) { keep(own_log_scale(i) + k, log_scale[k]); }
    keep(own_opacity(i), opacity);
}

@compute @workgroup_size(256)
fn activate_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = flat_workgroup(workgroup, workgroups);
    if group < params.geometry_groups {
        let i = group * 256u + thread;
        if i < params.surfels { geometry(i); }
        return;
    }
    let number = (group - params.geometry_groups) * 256u + thread;
    if number >= params.surfels * params.stored { return; }
    let i = number / params.stored;
    let k = number % params.stored;
    var sum = 0.0;
    for (var copy = 0u; copy < params.copies; copy++) {
        let row = copy * params.surfels + i;
        var g = 0.0;
        if k < params.drawn { g = drawn_colors[row * params.drawn + k]; }
        if k < params.added { put(row, of_skin(row, params.harmonics), k, g); }
        sum += g;
    }
    keep(10u * params.surfels + number, sum);
}
