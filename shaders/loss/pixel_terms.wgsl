// Stage `pixel_terms`: the terms of the loss that look at one pixel, and their gradients; twin of src/loss/terms. The
// functions of the terms in use, `fn name(pixel: Pixel, weight: f32, gradient: ptr<function, PixelGradient>) -> f32`, are put
// in below: each returns what the pixel adds to its sum, and adds `weight` times the derivatives of that. One thread per
// pixel, a workgroup's pixels all of one frame; each workgroup leaves its sums, which the host adds up in order.
//#import params
//#import targets

// Whether attention is drawn.
override ATTENTION: bool = true;
// Whether distortion is.
override DISTORTION: bool = true;
// Terms that have a weight in `weights`; those of this stage come first.
override TERMS: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
// One per frame.
@group(0) @binding(1) var<storage, read> crops: array<Crops>;
// [frames, TARGET_PLANES, rows, columns]
@group(0) @binding(2) var<storage, read> targets: array<f32>;
// A byte a pixel, each frame starts a word: bit 0 where audio may be attended to, bit 1 where expression may be, bit 2 where
// the inside of the mouth is seen, bit 3 where it is not.
@group(0) @binding(3) var<storage, read> attention_masks: array<u32>;
// Composites, and what else was drawn.
@group(0) @binding(4) var<storage, read> images: array<f32>;
// Gradients, laid out as the images.
@group(0) @binding(5) var<storage, read_write> upstream: array<f32>;
// [frames, workgroups of a frame, PARTS]
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
// Weight of a pixel's share of each term: [frames, TERMS]
@group(0) @binding(7) var<storage, read> weights: array<f32>;

// What was drawn in a pixel, and what it should look like.
struct Pixel {
    color: vec3<f32>,
    alpha: f32,
    // Audio, expression, camera, frame or inside of the mouth; 0 where attention is not drawn.
    attention: vec4<f32>,
    // 0 where it is not drawn.
    distortion: f32,
    truth: vec3<f32>,
    // 1 inside the part, and how much that counts.
    mask: f32,
    mask_confidence: f32,
    // Whether audio and expression may be attended to.
    audio_allowed: bool,
    expression_allowed: bool,
    // Whether the inside of the mouth is seen, and is not; neither where that cannot be told.
    inside_mouth: bool,
    outside_mouth: bool,
    in_lips: bool,
    in_eyes: bool,
}

// Derivatives of the loss with respect to what was drawn in a pixel.
struct PixelGradient {
    color: vec3<f32>,
    alpha: f32,
    attention: vec4<f32>,
    distortion: f32,
}

// Σ |drawn − target| over the colour channels.
fn absolute_difference(pixel: Pixel) -> f32 {
    return dot(abs(pixel.color - pixel.truth), vec3(1.0));
}

//#parts

fn within(row: u32, column: u32, row0: u32, row1: u32, col0: u32, col1: u32) -> bool {
    return row >= row0 && row < row1 && column >= col0 && column < col1;
}

fn read_pixel(frame: u32, at: u32) -> Pixel {
    var pixel: Pixel;
    let plane = params.width * params.height;
    let row = at / params.width;
    let column = at % params.width;
    let crop = crops[frame];
    pixel.in_lips = within(row, column, crop.lips_row0, crop.lips_row1, crop.lips_col0, crop.lips_col1);
    pixel.in_eyes = within(row, column, crop.eyes_row0, crop.eyes_row1, crop.eyes_col0, crop.eyes_col1);
    let from_color = params.at_color + 3u * frame * plane + at;
    pixel.color = vec3(images[from_color], images[from_color + plane], images[from_color + 2u * plane]);
    pixel.alpha = images[params.at_alpha + frame * plane + at];
    let from_target = TARGET_PLANES * frame * plane + at;
    pixel.truth = vec3(targets[from_target], targets[from_target + plane], targets[from_target + 2u * plane]);
    pixel.mask = targets[from_target + PLANE_MASK * plane];
    pixel.mask_confidence = targets[from_target + PLANE_CONFIDENCE * plane];
    if ATTENTION {
        let words = (plane + 3u) / 4u;
        let allowed = attention_masks[frame * words + at / 4u] >> (8u * (at % 4u));
        pixel.audio_allowed = (allowed & 1u) != 0u;
        pixel.expression_allowed = (allowed & 2u) != 0u;
        pixel.inside_mouth = (allowed & 4u) != 0u;
        pixel.outside_mouth = (allowed & 8u) != 0u;
        let from_attention = params.at_attention + 4u * frame * plane + at;
        pixel.attention =
            vec4(images[from_attention], images[from_attention + plane],
                 images[from_attention + 2u * plane], images[from_attention + 3u * plane]);
    }
    if DISTORTION { pixel.distortion = images[params.at_distortion + frame * plane + at]; }
    return pixel;
}

fn write_gradient(frame: u32, at: u32, gradient: PixelGradient) {
    let plane = params.width * params.height;
    let to_color = params.at_color + 3u * frame * plane + at;
    upstream[to_color] = gradient.color.x;
    upstream[to_color + plane] = gradient.color.y;
    upstream[to_color + 2u * plane] = gradient.color.z;
    upstream[params.at_alpha + frame * plane + at] = gradient.alpha;
    if ATTENTION {
        let to = params.at_attention + 4u * frame * plane + at;
        upstream[to] = gradient.attention.x;
        upstream[to + plane] = gradient.attention.y;
        upstream[to + 2u * plane] = gradient.attention.z;
        upstream[to + 3u * plane] = gradient.attention.w;
    }
    if DISTORTION { upstream[params.at_distortion + frame * plane + at] = gradient.distortion; }
}

// What a pixel adds to the sum of each term; writes its gradient.
fn pixel_sums(frame: u32, at: u32) -> array<f32, PARTS> {
    var own: array<f32, PARTS>;
    let pixel = read_pixel(frame, at);
    let first_weight = frame * TERMS;
    var gradient: PixelGradient;
    //#each own[INDEX] = NAME(pixel, weights[first_weight + INDEX], &gradient);
    write_gradient(frame, at, gradient);
    return own;
}

var<workgroup> shares: array<array<f32, PARTS>, 256>;

@compute @workgroup_size(256)
fn pixel_terms(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.width * params.height;
    let groups = (plane + 255u) / 256u;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= groups * params.frames { return; }
    let at = (group % groups) * 256u + thread;
    var own: array<f32, PARTS>;
    if at < plane { own = pixel_sums(group / groups, at); }
    shares[thread] = own;
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step {
            for (var k = 0u; k < PARTS; k++) { shares[thread][k] += shares[thread + step][k]; }
        }
    }
    workgroupBarrier();
    if thread < PARTS { sums[group * PARTS + thread] = shares[0][thread]; }
}
