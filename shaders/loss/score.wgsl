// Stage `score`: the losses that look at one pixel at a time, and their gradients; twin of train/loss.rs. One thread per
// pixel, a workgroup's pixels all of one frame; each workgroup leaves its sums, which the host adds up in order.
//#import params
//#import goal

// Whether attention is drawn and scored.
override ATTENTION: bool = true;
// Whether distortion is.
override DISTORTION: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> goals: array<Goal>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
// A byte a pixel, each frame starts a word: bit 0 where audio may be listened to, bit 1 where expression may be.
@group(0) @binding(3) var<storage, read> marks: array<u32>;
@group(0) @binding(4) var<storage, read> images: array<f32>;
// Gradients, laid out as the images.
@group(0) @binding(5) var<storage, read_write> upstream: array<f32>;
// [frames, workgroups of a frame, SUMS]: Σ|Δ| of the picture, of the lips, of the eyes, the cross-entropy, audio, expression,
// distortion.
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

const SUMS: u32 = 7u;
// Alpha is kept this far off 0 and 1, where the logarithm would blow up.
const EDGE: f32 = 1e-3;

var<workgroup> shares: array<array<f32, 7>, 256>;

fn within(row: u32, column: u32, row0: u32, row1: u32, col0: u32, col1: u32) -> bool {
    return row >= row0 && row < row1 && column >= col0 && column < col1;
}

// Scores pixel `at` of a frame.
fn score_pixel(frame: u32, at: u32) -> array<f32, 7> {
    var own: array<f32, 7>;
    let plane = params.width * params.height;
    let goal = goals[frame];
    let to_target = TARGET_PLANES * frame * plane + at;
    let row = at / params.width;
    let column = at % params.width;
    let in_lips = within(row, column, goal.lips_row0, goal.lips_row1, goal.lips_col0, goal.lips_col1);
    let in_eyes = within(row, column, goal.eyes_row0, goal.eyes_row1, goal.eyes_col0, goal.eyes_col1);
    let slope = goal.l1 + select(0.0, goal.lips, in_lips) + select(0.0, goal.eyes, in_eyes);
    for (var channel = 0u; channel < 3u; channel++) {
        let to = params.at_color + (3u * frame + channel) * plane + at;
        let difference = images[to] - targets[to_target + channel * plane];
        own[0] += abs(difference);
        upstream[to] = slope * sign(difference);
    }
    own[1] = select(0.0, own[0], in_lips);
    own[2] = select(0.0, own[0], in_eyes);

    let mask = targets[to_target + PLANE_MASK * plane];
    let trust = targets[to_target + PLANE_TRUST * plane];
    let to_alpha = params.at_alpha + frame * plane + at;
    let kept = clamp(images[to_alpha], EDGE, 1.0 - EDGE);
    own[3] = -trust * (mask * log(kept) + (1.0 - mask) * log(1.0 - kept));
    upstream[to_alpha] = goal.mask * trust * (kept - mask) / (kept * (1.0 - kept));

    if ATTENTION {
        let words = (plane + 3u) / 4u;
        let mark = marks[frame * words + at / 4u] >> (8u * (at % 4u));
        let to = params.at_attention + 4u * frame * plane + at;
        let deaf = select(0.0, 1.0, mask > 0.0 && (mark & 1u) == 0u);
        let blank = select(0.0, 1.0, mask > 0.0 && (mark & 2u) == 0u);
        own[4] = deaf * (images[to] - images[to + 3u * plane]);
        own[5] = blank * images[to + plane];
        upstream[to] = deaf * goal.audio;
        upstream[to + plane] = blank * goal.expression;
        upstream[to + 2u * plane] = 0.0;
        upstream[to + 3u * plane] = -deaf * goal.audio;
    }
    if DISTORTION {
        let to = params.at_distortion + frame * plane + at;
        own[6] = images[to];
        upstream[to] = goal.distortion;
    }
    return own;
}

@compute @workgroup_size(256)
fn score(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.width * params.height;
    let groups = (plane + 255u) / 256u;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= groups * params.frames { return; }
    let at = (group % groups) * 256u + thread;
    var own: array<f32, 7>;
    if at < plane { own = score_pixel(group / groups, at); }
    shares[thread] = own;
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step {
            for (var k = 0u; k < SUMS; k++) { shares[thread][k] += shares[thread + step][k]; }
        }
    }
    workgroupBarrier();
    if thread < SUMS { sums[group * SUMS + thread] = shares[0][thread]; }
}
