//#import constants
// Where a ray meets a disc, and with which alpha; twin of cpu/intersect.rs. Forward and backward run this very code.
struct Hit {
    // At most the cap; 0 where the surfel is not drawn.
    alpha: f32,
    depth: f32,
    s: vec2<f32>,
    // 1 / p.z.
    inverse: f32,
    // e^(−ρ/2).
    gaussian: f32,
    // Whether the low-pass filter decides.
    low_pass: bool,
}

// `at` is the pixel, from the splat's anchor.
fn intersect(splat: Splat, at: vec2<f32>) -> Hit {
    var hit: Hit;
    hit.alpha = 0.0;
    hit.depth = 1.0;
    let p = splat.a + at.x * splat.b + at.y * splat.c;
    // A ray in the disc's plane; also keeps infinities out.
    if abs(p.z) < 1e-36 { return hit; }
    let inverse = 1.0 / p.z;
    let s = p.xy * inverse;
    let depth = splat.determinant * inverse;
    let disc = dot(s, s);
    let d = splat.center - at;
    let low = FILTER_INVERSE_SQUARE * dot(d, d);
    let gaussian = exp(-0.5 * min(disc, low));
    let alpha = min(splat.opacity * gaussian, ALPHA_CAP);
    if alpha >= ALPHA_MIN && depth >= NEAR && disc + depth < 1e37 {
        hit.alpha = alpha;
        hit.depth = depth;
        hit.s = s;
        hit.inverse = inverse;
        hit.gaussian = gaussian;
        hit.low_pass = disc > low;
    }
    return hit;
}

// Slope of the distortion's m in 1/z, negated.
const DISTORTION_SLOPE: f32 = FAR * NEAR / (FAR - NEAR);
