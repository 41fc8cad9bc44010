//! Numbers of chance that more than one room needs.

/// A standard normal number from two numbers in 0..1 (Box and Muller 1958).
pub fn normal(mut unit: impl FnMut() -> f64) -> f64 {
    let (a, b) = (1.0 - unit(), unit());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}
