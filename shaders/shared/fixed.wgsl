// Sums whose order does not matter: fixed-point numbers of 64 bits, two words each, the lower one first. Adding integers
// gives the same bits in any order, where adding floats would not.

// Numbers are counted in units of 2⁻⁴⁸: sums of up to 2¹⁵, to 3.6e-15.
const HIGH_UNIT: f32 = 1.52587890625e-5; // 2⁻¹⁶
const LOW_UNIT: f32 = 3.552713678800501e-15; // 2⁻⁴⁸
// No single number counts for more.
const LARGEST: f32 = 16384.0;

// The two words of a number.
fn to_fixed(x: f32) -> vec2<u32> {
    let size = min(abs(x), LARGEST) / HIGH_UNIT;
    var high = u32(size);
    var low = u32((size - floor(size)) * 4294967296.0);
    if x < 0.0 {
        low = ~low + 1u;
        high = ~high + select(0u, 1u, low == 0u);
    }
    return vec2(low, high);
}

fn from_fixed(words: vec2<u32>) -> f32 {
    var low = words.x;
    var high = words.y;
    let negative = high >= 0x80000000u;
    if negative {
        low = ~low + 1u;
        high = ~high + select(0u, 1u, low == 0u);
    }
    let size = f32(high) * HIGH_UNIT + f32(low) * LOW_UNIT;
    return select(size, -size, negative);
}
