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

// `at` is the pixel, from the splat's anchor. Without branches, so that several rays and discs can be on the way at once;
// numbers of a ray that does not meet the disc are 0, or 1 for the depth.
fn intersect(splat: Splat, at: vec2<f32>) -> Hit {
    let p = splat.a + at.x * splat.b + at.y * splat.c;
    // A ray in the disc's plane; also keeps infinities out.
    let crosses = abs(p.z) >= 1e-36;
    let inverse = 1.0 / select(1.0, p.z, crosses);
    let s = p.xy * inverse;
    let depth = splat.determinant * inverse;
    let disc = dot(s, s);
    let d = splat.center - at;
    let low = FILTER_INVERSE_SQUARE * dot(d, d);
    let gaussian = exp(-0.5 * min(disc, low));
    let alpha = min(splat.opacity * gaussian, ALPHA_CAP);
    let drawn = crosses && alpha >= ALPHA_MIN && depth >= NEAR && disc + depth < 1e37;
    return Hit(
        select(0.0, alpha, drawn),
        select(1.0, depth, drawn),
        select(vec2(0.0), s, drawn),
        select(0.0, inverse, drawn),
        select(0.0, gaussian, drawn),
        disc > low,
    );
}

// Slope of the distortion's m in 1/z, negated.
const DISTORTION_SLOPE: f32 = FAR * NEAR / (FAR - NEAR);
