// Stage `gradient_difference`: |e(q) − e(p)| of the error image e = drawn − target over pairs of pixels inside the mask, one and
// two pixels apart along rows and columns, and its gradient; twin of src/loss/terms/gradient.rs. One thread per pixel p, a
// workgroup's pixels all of one frame; each workgroup leaves the sum of the pairs that its pixels come first in.
//#import params
//#import targets

override TERMS: u32 = 1u;
override TERM: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
// Weight of one element of each term: [frames, TERMS]
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// [frames, TARGET_PLANES, rows, columns]
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> images: array<f32>;
@group(0) @binding(4) var<storage, read_write> upstream: array<f32>;
// [frames, workgroups of a frame]
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

// What pairs add to the sum, and to the gradient of the pixel.
struct Pairs {
    sum: vec3<f32>,
    pull: vec3<f32>,
}

fn mask_at(frame: u32, at: u32, plane: u32) -> f32 {
    return targets[(TARGET_PLANES * frame + PLANE_MASK) * plane + at];
}

fn error_at(frame: u32, at: u32, plane: u32) -> vec3<f32> {
    let drawn = params.at_color + 3u * frame * plane + at;
    let filmed = TARGET_PLANES * frame * plane + at;
    return vec3(images[drawn] - targets[filmed], images[drawn + plane] - targets[filmed + plane],
                images[drawn + 2u * plane] - targets[filmed + 2u * plane]);
}

// The pairs along one direction: `number` of the pixel in its row or column, `length` of that, elements between neighbours.
fn along(frame: u32, at: u32, number: u32, length: u32, stride: u32, plane: u32) -> Pairs {
    var found: Pairs;
    let mask = mask_at(frame, at, plane);
    if mask == 0.0 { return found; }
    let here = error_at(frame, at, plane);
    for (var step = 1u; step <= 2u; step++) {
        if number + step < length {
            let there = at + step * stride;
            let both = mask * mask_at(frame, there, plane);
            let difference = error_at(frame, there, plane) - here;
            found.sum += both * abs(difference);
            found.pull -= both * sign(difference);
        }
        if number >= step {
            let there = at - step * stride;
            let both = mask * mask_at(frame, there, plane);
            found.pull += both * sign(here - error_at(frame, there, plane));
        }
    }
    return found;
}

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn gradient_difference(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.width * params.height;
    let groups = (plane + 255u) / 256u;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= groups * params.frames { return; }
    let frame = group / groups;
    let at = (group % groups) * 256u + thread;
    var own = 0.0;
    if at < plane {
        let rows = along(frame, at, at % params.width, params.width, 1u, plane);
        let columns = along(frame, at, at / params.width, params.height, params.width, plane);
        own = dot(rows.sum + columns.sum, vec3(1.0));
        let pull = weights[frame * TERMS + TERM] * (rows.pull + columns.pull);
        let to = params.at_color + 3u * frame * plane + at;
        upstream[to] += pull.x;
        upstream[to + plane] += pull.y;
        upstream[to + 2u * plane] += pull.z;
    }
    shares[thread] = own;
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step { shares[thread] += shares[thread + step]; }
    }
    if thread == 0u { sums[group] = shares[0]; }
}
