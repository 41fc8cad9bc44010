// Stage `activate`: from raw parameters, a surfel's own plus what a row adds, to what is drawn; twin of activate() in
// src/head/cloud/activate.rs. One thread per row, and one per number of the harmonics.
//#import raw_rows

@group(0) @binding(0) var<storage, read> params: RowParams;
@group(0) @binding(1) var<storage, read> own: array<f32>;
// [surfels, stored]
@group(0) @binding(2) var<storage, read> own_harmonics: array<f32>;
// [frames, surfels, width]
@group(0) @binding(3) var<storage, read> rows: array<f32>;
// What is drawn, as `places` lays it out.
@group(0) @binding(4) var<storage, read_write> surfels: array<f32>;
// [copies, surfels, drawn]
@group(0) @binding(5) var<storage, read_write> colors: array<f32>;

//#import places

fn geometry(row: u32) {
    let i = row % params.surfels;
    for (var k = 0u; k < 3u; k++) {
        surfels[at_position(row) + k] = own[own_position(i) + k] + moved(row, params.position, k);
    }
    let q = raw_rotation(row);
    let length = sqrt(dot(q, q));
    let unit = select(vec4(1.0, 0.0, 0.0, 0.0), q / length, length > SHORTEST);
    for (var k = 0u; k < 4u; k++) { surfels[at_rotation(row) + k] = unit[k]; }
    let scale = exp(raw_log_scale(row));
    surfels[at_scale(row)] = scale.x;
    surfels[at_scale(row) + 1u] = scale.y;
    surfels[at_opacity(row)] = logistic(raw_opacity(row));
    if params.attends != 0u {
        for (var k = 0u; k < 4u; k++) {
            let weight = moved(row, of_skin(row, params.attention), k);
            // The last channel tells where the inside of the mouth is seen.
            surfels[at_attention(row) + k] = select(weight, f32(k == 3u), is_mouth(row));
        }
    }
}

@compute @workgroup_size(256)
fn activate(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = flat_workgroup(workgroup, workgroups);
    let all = params.copies * params.surfels;
    if group < params.geometry_groups {
        let row = group * 256u + thread;
        if row < all { geometry(row); }
        return;
    }
    let number = (group - params.geometry_groups) * 256u + thread;
    if number >= all * params.drawn { return; }
    let row = number / params.drawn;
    let k = number % params.drawn;
    var value = own_harmonics[row % params.surfels * params.stored + k];
    if k < params.added { value += moved(row, of_skin(row, params.harmonics), k); }
    colors[number] = value;
}
