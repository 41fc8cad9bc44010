// Stage `composite_background`: composites the drawing over the background where that is known, C + T·(behind − drawn over);
// twin of src/loss/composite.rs. One thread per background sample.
//#import params
//#import background_sample

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<BackgroundSample>;
@group(0) @binding(2) var<storage, read_write> images: array<f32>;

@compute @workgroup_size(256)
fn composite_background(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.background_samples { return; }
    let sample = samples[i];
    let added = (1.0 - images[params.at_alpha + sample.pixel]) * difference_to_background(sample);
    let plane = params.width * params.height;
    let to = params.at_color + at_red(sample);
    images[to] += added.x;
    images[to + plane] += added.y;
    images[to + 2u * plane] += added.z;
}
