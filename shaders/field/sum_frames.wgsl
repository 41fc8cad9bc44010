// Stage `sum_frames`: adds rows over the frames, in order. One thread per number of a frame.
//#import grid

struct FrameParams {
    // Numbers of a frame; frames; whether the sums start at 0.
    count: u32,
    frames: u32,
    fresh: u32,
}

@group(0) @binding(0) var<storage, read> params: FrameParams;
// [frames, count]
@group(0) @binding(1) var<storage, read> rows: array<f32>;
// [count]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn sum_frames(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.count { return; }
    var sum = 0.0;
    if params.fresh == 0u { sum = sums[at]; }
    for (var frame = 0u; frame < params.frames; frame++) { sum += rows[frame * params.count + at]; }
    sums[at] = sum;
}
