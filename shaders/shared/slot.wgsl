// Numbers of one pair's gradient: A, B, C (9), the low-pass centre (2), opacity (1), colour (3), attention (4); then,
// where geometry has a gradient, Tw (3) and normal (3).
const SLOT_A: u32 = 0u;
const SLOT_B: u32 = 3u;
const SLOT_C: u32 = 6u;
const SLOT_CENTER: u32 = 9u;
const SLOT_OPACITY: u32 = 11u;
const SLOT_COLOR: u32 = 12u;
const SLOT_ATTENTION: u32 = 15u;
const SLOT_TW: u32 = 19u;
const SLOT_NORMAL: u32 = 22u;
const SLOT_PLAIN: u32 = 19u;
const SLOT_MAX: u32 = 25u;

// What one pixel adds to them.
struct Slot {
    a: vec3<f32>,
    b: vec3<f32>,
    c: vec3<f32>,
    center: vec2<f32>,
    opacity: f32,
    color: vec3<f32>,
    attention: vec4<f32>,
    tw: vec3<f32>,
    normal: vec3<f32>,
}
