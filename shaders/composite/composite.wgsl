// Stage `composite`: the head over what stands behind it, a pixel a thread; twin of `write_row` in src/composite/cpu.rs.
//
// behind = torso over background, inside = mask · (1 − occlusion),
// picture = inside · colour + (1 − inside · alpha) · behind.
//#import grid
//#import composite_params

// The layers of a frame: offsets in `layers` in words, or ABSENT.
struct FrameLayers {
    // Its background: in `layers`; else the plate, where that is not 0; else the colour, or nothing where all frames are
    // transparent.
    frame: u32,
    plate: u32,
    red: f32,
    green: f32,
    blue: f32,
    // Patches: rectangles of the picture, with their upper left corner and size.
    torso: u32,
    torso_left: u32,
    torso_top: u32,
    torso_width: u32,
    torso_height: u32,
    occlusion: u32,
    occlusion_left: u32,
    occlusion_top: u32,
    occlusion_width: u32,
    occlusion_height: u32,
    // The whole picture's.
    mask: u32,
}

@group(0) @binding(0) var<storage, read> params: CompositeParams;
@group(0) @binding(1) var<storage, read> frames: array<FrameLayers>;
// RGBA bytes, a pixel a word.
@group(0) @binding(2) var<storage, read> plate: array<u32>;
// Pictures as RGBA bytes, a pixel a word; masks as bytes, four pixels a word.
@group(0) @binding(3) var<storage, read> layers: array<u32>;
// What the rasterizer drew.
@group(0) @binding(4) var<storage, read> images: array<f32>;
// RGB, not clipped, and what the seam's edge is taken of: [frames, rows, columns].
@group(0) @binding(5) var<storage, read_write> pictures: array<vec4<f32>>;
// How much of each pixel is covered: [frames, rows, columns]; one word unless pictures are transparent.
@group(0) @binding(6) var<storage, read_write> coverage: array<f32>;
// Torsos that a branch drew, where frames have none of their own: RGBA bytes, and how much of the head is hidden, 0..255.
@group(0) @binding(7) var<storage, read> drawn: array<vec2<u32>>;

// Number of a pixel in a patch, or ABSENT outside it.
fn in_patch(start: u32, x: u32, y: u32, corner: vec2<u32>, size: vec2<u32>) -> u32 {
    // What lies left of it or above wraps far up.
    let u = x - corner.x;
    let v = y - corner.y;
    return select(v * size.x + u, ABSENT, start == ABSENT || u >= size.x || v >= size.y);
}

// Byte i of a mask that begins at a word.
fn mask_at(start: u32, i: u32) -> f32 {
    let byte = (layers[start + i / 4u] >> (8u * (i % 4u))) & 0xffu;
    return f32(byte) * (1.0 / 255.0);
}

@compute @workgroup_size(256)
fn composite(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.width * params.height;
    let flat = 256u * flat_workgroup(workgroup, workgroups) + thread;
    if flat >= params.frames * plane { return; }
    let frame = flat / plane;
    let i = flat % plane;
    let own = frames[frame];
    var behind = vec3(own.red, own.green, own.blue);
    // Only asked for where all backgrounds are nothing.
    var covered = 0.0;
    if own.frame != ABSENT {
        behind = unpack4x8unorm(layers[own.frame + i]).xyz;
    } else if own.plate != 0u {
        behind = unpack4x8unorm(plate[i]).xyz;
    }
    let x = i % params.width;
    let y = i / params.width;
    var hidden = 0.0;
    if params.drawn_torso != ABSENT {
        let own_torso = drawn[params.drawn_torso * plane + flat];
        let torso = unpack4x8unorm(own_torso.x);
        behind += (torso.xyz - behind) * torso.w;
        covered += (1.0 - covered) * torso.w;
        hidden = f32(own_torso.y) * (1.0 / 255.0);
    }
    let torso_at = in_patch(
        own.torso, x, y, vec2(own.torso_left, own.torso_top), vec2(own.torso_width, own.torso_height));
    if torso_at != ABSENT {
        let torso = unpack4x8unorm(layers[own.torso + torso_at]);
        behind += (torso.xyz - behind) * torso.w;
        covered += (1.0 - covered) * torso.w;
    }
    var mask = 1.0;
    if own.mask != ABSENT { mask = mask_at(own.mask, i); }
    var inside = mask;
    let hidden_at = in_patch(
        own.occlusion, x, y,
        vec2(own.occlusion_left, own.occlusion_top), vec2(own.occlusion_width, own.occlusion_height));
    if hidden_at != ABSENT { hidden = mask_at(own.occlusion, hidden_at); }
    inside *= 1.0 - hidden;
    let at = params.at_color + 3u * frame * plane + i;
    let color = vec3(images[at], images[at + plane], images[at + 2u * plane]);
    let alpha = images[params.at_alpha + flat];
    let cover = inside * clamp(alpha, 0.0, 1.0);
    let rgb = color * inside + behind * (1.0 - cover);
    if params.transparent != 0u { coverage[flat] = cover + covered * (1.0 - cover); }
    pictures[flat] = vec4(rgb, select(mask, alpha, own.mask == ABSENT));
}
