// The Gaussian of the seam: 15 taps, σ = 5 pixels. A test compares the weights with src/composite/seam.rs.
const BLUR_RADIUS: u32 = 7u;
const BLUR_SUM: f32 = 10.866657;

fn blur_tap(k: u32) -> f32 {
    let distance = (f32(k) - f32(BLUR_RADIUS)) / 5.0;
    return exp(-0.5 * distance * distance) / BLUR_SUM;
}

// Where tap k around `at` reads in a line of `len`, mirrored at the ends as often as needed, the end itself once.
fn mirrored(at: u32, k: u32, len: u32) -> u32 {
    if len < 2u { return 0u; }
    let period = 2u * (len - 1u);
    let place = (at + k + period * BLUR_RADIUS - BLUR_RADIUS) % period;
    return min(place, period - place);
}
