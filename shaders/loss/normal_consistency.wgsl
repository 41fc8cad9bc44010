// Stage `normal_consistency`: how far the drawn normals are from those of the surface that the expected depth describes
// (2DGS, Huang et al. 2024, eq. 14), and the gradient of each pixel's surface with respect to its neighbours' points; twin of
// src/loss/terms/normal_consistency.rs. One thread per pixel, a workgroup's pixels all of one frame; each workgroup leaves
// its sum.
//#import params

// Terms that have a weight, and the number of this one among them.
override TERMS: u32 = 1u;
override TERM: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
// Weight of a pixel of each term: [frames, TERMS]
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> cameras: array<Camera>;
@group(0) @binding(3) var<storage, read> images: array<f32>;
// Gradients, laid out as the images.
@group(0) @binding(4) var<storage, read_write> upstream: array<f32>;
// Gradients of the differences of neighbouring points, right − left and below − above: [frames, 6, rows, columns].
@group(0) @binding(5) var<storage, read_write> slopes: array<f32>;
// [frames, workgroups of a frame]
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

//#import normal_consistency

// Two differences and the drawn normal.
struct Slopes {
    across: vec3<f32>,
    down: vec3<f32>,
    normal: vec3<f32>,
    value: f32,
}

fn slopes_at(frame: u32, at: u32) -> Slopes {
    var out = Slopes();
    let w = params.width;
    let column = at % w;
    let row = at / w;
    if column == 0u || row == 0u || column + 1u >= w || row + 1u >= params.height { return out; }
    let least = min(
        min(alpha_at(frame, at - 1u), alpha_at(frame, at + 1u)),
        min(alpha_at(frame, at - w), alpha_at(frame, at + w)),
    );
    let alpha = alpha_at(frame, at);
    if !(min(least, alpha) > ALPHA_MIN) { return out; }
    let across = depth_at(frame, at + 1u) * ray_of(frame, at + 1u) - depth_at(frame, at - 1u) * ray_of(frame, at - 1u);
    let down = depth_at(frame, at + w) * ray_of(frame, at + w) - depth_at(frame, at - w) * ray_of(frame, at - w);
    // Looks at the camera: x right, y down, z away from it.
    let product = cross(down, across);
    let size = length(product);
    if size < 1e-20 { return out; }
    let surface = product / size;
    let plane = w * params.height;
    let from_x = params.at_normal + 3u * frame * plane + at;
    let drawn = vec3(images[from_x], images[from_x + plane], images[from_x + 2u * plane]);
    let along = dot(drawn, surface);
    let each = weights[frame * TERMS + TERM];
    // d(−N·v/|v|)/dv = −(N − (N·u)u)/|v|
    let slope = -each * (drawn - along * surface) / size;
    out.across = cross(slope, down);
    out.down = cross(across, slope);
    out.normal = -each * surface;
    out.value = alpha - along;
    return out;
}

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn normal_consistency(
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
    shares[thread] = 0.0;
    if at < plane {
        let own = slopes_at(frame, at);
        shares[thread] = own.value;
        let to = 6u * frame * plane + at;
        slopes[to] = own.across.x;
        slopes[to + plane] = own.across.y;
        slopes[to + 2u * plane] = own.across.z;
        slopes[to + 3u * plane] = own.down.x;
        slopes[to + 4u * plane] = own.down.y;
        slopes[to + 5u * plane] = own.down.z;
        let to_x = params.at_normal + 3u * frame * plane + at;
        upstream[to_x] = own.normal.x;
        upstream[to_x + plane] = own.normal.y;
        upstream[to_x + 2u * plane] = own.normal.z;
    }
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step { shares[thread] += shares[thread + step]; }
    }
    if thread == 0u { sums[group] = shares[0]; }
}
