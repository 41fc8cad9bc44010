// What blending reads of a surfel: seven vec4<u32>. Integers travel beside bit patterns of floats, so that all are
// integers in memory: no load may touch a NaN-like pattern.
//
//   0  A.xyz, determinant
//   1  B.xyz, opacity
//   2  C.xyz, anchor
//   3  centre, first reach, last reach
//   4  rgb, attention 0
//   5  attention 1..3, normal.x
//   6  normal.yz, Tw.xy
//
// Anchor and reach hold a column in the low and a row in the high 16 bits; the anchor is signed.
const SPLAT_VECTORS: u32 = 7u;

struct Splat {
    a: vec3<f32>,
    b: vec3<f32>,
    c: vec3<f32>,
    determinant: f32,
    opacity: f32,
    center: vec2<f32>,
    anchor: vec2<f32>,
}

fn pack_signed(v: vec2<i32>) -> u32 {
    return (u32(v.x) & 0xffffu) | (u32(v.y) << 16u);
}

fn unpack_signed(v: u32) -> vec2<i32> {
    return vec2(bitcast<i32>(v << 16u) >> 16u, bitcast<i32>(v) >> 16u);
}

fn pack_pixel(v: vec2<u32>) -> u32 {
    return v.x | (v.y << 16u);
}

fn unpack_pixel(v: u32) -> vec2<u32> {
    return vec2(v & 0xffffu, v >> 16u);
}

fn unpack_splat(g0: vec4<u32>, g1: vec4<u32>, g2: vec4<u32>, g3: vec4<u32>) -> Splat {
    var s: Splat;
    s.a = bitcast<vec3<f32>>(g0.xyz);
    s.b = bitcast<vec3<f32>>(g1.xyz);
    s.c = bitcast<vec3<f32>>(g2.xyz);
    s.determinant = bitcast<f32>(g0.w);
    s.opacity = bitcast<f32>(g1.w);
    s.anchor = vec2<f32>(unpack_signed(g2.w));
    s.center = bitcast<vec2<f32>>(g3.xy);
    return s;
}
