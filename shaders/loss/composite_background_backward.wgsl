// Stage `composite_background_backward`: what the gradient of the composites implies for alpha; twin of
// src/loss/composite.rs. One thread per background sample.
//#import params
//#import background_sample

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<BackgroundSample>;
@group(0) @binding(2) var<storage, read_write> upstream: array<f32>;

@compute @workgroup_size(256)
fn composite_background_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.background_samples { return; }
    let sample = samples[i];
    let plane = params.width * params.height;
    let from_red = params.at_color + at_red(sample);
    let color = vec3(upstream[from_red], upstream[from_red + plane], upstream[from_red + 2u * plane]);
    upstream[params.at_alpha + sample.pixel] -= dot(color, difference_to_background(sample));
}
