// Stage `add_color`: adds a gradient from the host to that of the colour. One thread per element.
//#import params

@group(0) @binding(0) var<uniform> params: Params;
// [frames, 3, rows, columns]
@group(0) @binding(1) var<storage, read> added: array<f32>;
@group(0) @binding(2) var<storage, read_write> upstream: array<f32>;

@compute @workgroup_size(256)
fn add_color(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= 3u * params.frames * params.width * params.height { return; }
    upstream[params.at_color + i] += added[i];
}
