// Stage `normal_consistency_backward`: what the surfaces around a pixel give to its depth, and through the expected depth to its alpha;
// twin of src/loss/terms/normal_consistency.rs. One thread per pixel and frame.
//#import params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cameras: array<Camera>;
@group(0) @binding(2) var<storage, read> images: array<f32>;
// See stage `normal_consistency`.
@group(0) @binding(3) var<storage, read> slopes: array<f32>;
@group(0) @binding(4) var<storage, read_write> upstream: array<f32>;

//#import normal_consistency

// Of pixel `at`: right − left at `first` 0, below − above at 3.
fn slope_at(frame: u32, at: u32, first: u32) -> vec3<f32> {
    let plane = params.width * params.height;
    let from_x = (6u * frame + first) * plane + at;
    return vec3(slopes[from_x], slopes[from_x + plane], slopes[from_x + 2u * plane]);
}

@compute @workgroup_size(256)
fn normal_consistency_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let w = params.width;
    let plane = w * params.height;
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= plane * params.frames { return; }
    let frame = i / plane;
    let at = i % plane;
    var sum = vec3(0.0);
    if at % w > 0u { sum += slope_at(frame, at - 1u, 0u); }
    if at % w + 1u < w { sum -= slope_at(frame, at + 1u, 0u); }
    if at >= w { sum += slope_at(frame, at - w, 3u); }
    if at + w < plane { sum -= slope_at(frame, at + w, 3u); }
    let slope = dot(sum, ray_of(frame, at));
    var along_depth = 0.0;
    // Only pixels with enough alpha have surfaces around them.
    if slope != 0.0 {
        along_depth = slope / alpha_at(frame, at);
        upstream[params.at_alpha + i] -= along_depth * depth_at(frame, at);
    }
    upstream[params.at_depth + i] = along_depth;
}
