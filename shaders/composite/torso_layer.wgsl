// Stage `torso_layer`: what the torso branch drew as a layer of the composition, a pixel a thread; twin of `torso_layer` in
// src/composite/torso_layer.rs.
//#import grid

// See src/composite/torso_layer.rs.
struct TorsoParams {
    // Frames that were drawn together, and pixels of each.
    frames: u32,
    pixels: u32,
    // Number of the first of them in the layer.
    first: u32,
    // Where colour [frames, 3, pixels], alpha [frames, pixels] and attention [frames, 4, pixels] begin in the images.
    at_color: u32,
    at_alpha: u32,
    at_attention: u32,
    // The channel of the attention in which the neck is seen.
    neck_channel: u32,
}

@group(0) @binding(0) var<storage, read> params: TorsoParams;
// What the rasterizer drew.
@group(0) @binding(1) var<storage, read> images: array<f32>;
// The torso as RGBA bytes with straight alpha, and how much of the head it hides, 0..255: [frames of the request, rows, columns].
@group(0) @binding(2) var<storage, read_write> layer: array<vec2<u32>>;

@compute @workgroup_size(256)
fn torso_layer(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let flat = 256u * flat_workgroup(workgroup, workgroups) + thread;
    if flat >= params.frames * params.pixels { return; }
    let frame = flat / params.pixels;
    let at = params.at_color + 2u * frame * params.pixels + flat;
    let color = vec3(images[at], images[at + params.pixels], images[at + 2u * params.pixels]);
    let alpha = images[params.at_alpha + flat];
    let neck = images[params.at_attention + (4u * frame + params.neck_channel) * params.pixels + flat % params.pixels];
    let rgba = vec4(color / max(alpha, 1e-3), alpha);
    let hidden = u32(clamp(alpha - neck, 0.0, 1.0) * 255.0 + 0.5);
    layer[params.first * params.pixels + flat] = vec2(pack4x8unorm(rgba), hidden);
}
