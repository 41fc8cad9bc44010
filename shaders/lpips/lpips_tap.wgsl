// Stage `lpips_tap`: features of two pictures are brought to unit length along channels, their squared differences weighted by
// channel and summed over channels (Zhang et al. 2018, eq. 1), and the gradient with respect to the first; twin of
// src/metrics/lpips/tap.rs. A workgroup takes 16 pixels of one pair, sixteen threads to a pixel, and leaves its sum.
//#import grid

// Whether a gradient is wanted.
override BACKWARD: bool = false;

struct TapParams {
    // Pairs; the first pictures of all pairs come first, then the second ones.
    pairs: u32,
    // Pixels of a picture.
    plane: u32,
    // Channels by four.
    quads: u32,
    // Where in `weights` those of the channels begin, quads.
    head: u32,
    // The place of the first sum.
    sums: u32,
}

@group(0) @binding(0) var<storage, read> params: TapParams;
// [2 × pairs, pixels, quads]
@group(0) @binding(1) var<storage, read> features: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
// What a pair's distance counts in the gradient.
@group(0) @binding(3) var<storage, read> pair_weights: array<f32>;
// [pairs, pixels, quads]
@group(0) @binding(4) var<storage, read_write> gradient: array<vec4<f32>>;
// From params.sums on: [pairs, workgroups of a pair]
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

// What PyTorch's code adds to the length of a feature before it divides.
const EPSILON: f32 = 1e-10;

var<workgroup> shares: array<vec2<f32>, 256>;

// The sum over the sixteen threads of a pixel, the same in each.
fn pixel_sum(thread: u32, own: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    shares[thread] = own;
    workgroupBarrier();
    var sum = vec2(0.0);
    for (var k = 0u; k < 16u; k++) { sum += shares[(thread & 0xf0u) + k]; }
    return sum;
}

@compute @workgroup_size(256)
fn lpips_tap(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let groups = (params.plane + 15u) / 16u;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= groups * params.pairs { return; }
    let pair = group / groups;
    let pixel = (group % groups) * 16u + thread / 16u;
    // Nothing to add past the last pixel.
    let quads = select(0u, params.quads, pixel < params.plane);
    let x = (pair * params.plane + pixel) * params.quads;
    let y = ((params.pairs + pair) * params.plane + pixel) * params.quads;
    var squares = vec2(0.0);
    for (var k = thread % 16u; k < quads; k += 16u) {
        squares += vec2(dot(features[x + k], features[x + k]), dot(features[y + k], features[y + k]));
    }
    let lengths = sqrt(pixel_sum(thread, squares));
    let units = lengths + EPSILON;
    // The pixel's distance, and Σ over channels of (gradient with respect to the unit feature) · feature.
    var found = vec2(0.0);
    let scale = 2.0 * pair_weights[pair] / f32(params.plane);
    for (var k = thread % 16u; k < quads; k += 16u) {
        let own = features[x + k];
        let difference = own / units.x - features[y + k] / units.y;
        let weighted = weights[params.head + k] * difference;
        found += vec2(dot(weighted, difference), scale * dot(weighted, own));
    }
    found = pixel_sum(thread, found);
    if BACKWARD {
        for (var k = thread % 16u; k < quads; k += 16u) {
            let own = features[x + k];
            var slope = vec4(0.0);
            // Where all features are zero the length has no derivative; zero is one of its choices.
            if lengths.x > 0.0 {
                let difference = own / units.x - features[y + k] / units.y;
                let weighted = scale * weights[params.head + k] * difference;
                slope = weighted / units.x - own / lengths.x * (found.y / units.x) / units.x;
            }
            // Features are those behind a ReLU.
            gradient[x + k] = select(vec4(0.0), slope, own > vec4(0.0));
        }
    }
    workgroupBarrier();
    // Threads of a pixel hold the same.
    if thread % 16u == 0u { shares[thread / 16u] = found; }
    workgroupBarrier();
    if thread == 0u {
        var sum = 0.0;
        for (var k = 0u; k < 16u; k++) { sum += shares[k].x; }
        sums[params.sums + group] = sum;
    }
}
