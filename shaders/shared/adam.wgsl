//#import grid
// Adam (Kingma & Ba 2015), a step of one number; twin of src/head/backend/adam.rs. Needs `parameters`, `first` and `second`.
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
// As small as in 3DGS: gradients of single surfels are tiny.
const EPSILON: f32 = 1e-15;

// `corrections`: 1 − βᵗ of either moment.
fn learn(at: u32, gradient: f32, rate: f32, corrections: vec2<f32>) {
    let m = BETA1 * first[at] + (1.0 - BETA1) * gradient;
    let v = BETA2 * second[at] + (1.0 - BETA2) * gradient * gradient;
    first[at] = m;
    second[at] = v;
    parameters[at] -= rate * (m / corrections.x) / (sqrt(v / corrections.y) + EPSILON);
}
