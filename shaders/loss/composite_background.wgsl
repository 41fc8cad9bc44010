// Stage `show_room`: lays the drawing over the room where that is known, C + T·(room − background); twin of
// train/shown.rs. One thread per pixel of a known room.
//#import params
//#import background_sample

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rooms: array<Behind>;
@group(0) @binding(2) var<storage, read_write> images: array<f32>;

@compute @workgroup_size(256)
fn composite_background(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.rooms { return; }
    let behind = rooms[i];
    let added = (1.0 - images[params.at_alpha + behind.at]) * beyond_background(behind);
    let plane = params.width * params.height;
    let to = params.at_color + at_red(behind);
    images[to] += added.x;
    images[to + plane] += added.y;
    images[to + 2u * plane] += added.z;
}
