// Numbers of one pair's gradient. A, B, C (9), the low-pass centre (2), opacity (1), colour (3), attention (4), Tw (3),
// normal (3). Where attention is not drawn the last two move up; where geometry has no gradient they are left out.
const SLOT_A: u32 = 0u;
const SLOT_B: u32 = 3u;
const SLOT_C: u32 = 6u;
const SLOT_CENTER: u32 = 9u;
const SLOT_OPACITY: u32 = 11u;
const SLOT_COLOR: u32 = 12u;
const SLOT_ATTENTION: u32 = 15u;
const SLOT_MAX: u32 = 25u;
