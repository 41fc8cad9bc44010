//! The number types the CPU backend runs in: f32 for work, f64 for tests.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The nearest value of this type.
    fn from_f64(v: f64) -> Self;
    /// The same value as f64.
    fn to_f64(self) -> f64;
    /// √x.
    fn sqrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ for x ≤ 0, without a branch or a call so that loops over it become vector instructions. In f32 it is
    /// right to 1e-7; e⁻⁸⁷ also stands for everything smaller and for NaN.
    fn exp_nonpositive(self) -> Self;
    /// The smaller of two.
    fn min(self, other: Self) -> Self;
    /// The larger of two.
    fn max(self, other: Self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($t:ty, $exp:expr) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn exp_nonpositive(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                self.min(other)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.max(other)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

real!(f32, exp_f32);
real!(f64, f64::exp);

/// eˣ = 2ⁿ·2ᶠ with n + f = x / ln 2, |f| ≤ ½, and a minimax polynomial for 2ᶠ (largest relative error 2e-9 before
/// rounding), exact at 0. Evaluated in pairs: a long chain of dependent steps would be slower than the steps.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const C: [f32; 6] = [
        std::f32::consts::LN_2,
        0.240_226_48,
        0.055_503_324,
        0.009_618_437,
        0.001_339_887_5,
        0.000_153_533_62,
    ];
    let x = if x > -87.0 { x } else { -87.0 };
    let exponent = x * std::f32::consts::LOG2_E;
    let rounded = exponent + ROUND;
    let f = exponent - (rounded - ROUND);
    let f2 = f * f;
    let high = (C[3] + C[4] * f) + f2 * C[5];
    let fraction = (1.0 + C[0] * f) + f2 * ((C[1] + C[2] * f) + f2 * high);
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    fraction * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_exponential_is_right_to_a_ten_millionth() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let error = (x.exp_nonpositive() as f64 - (x as f64).exp()).abs();
            assert!(error < 1e-7, "{x}: {error}");
            // The exponent itself is rounded, so the relative error grows with it.
            assert!(error <= (1.5e-7 + 8e-8 * f64::from(-x)) * (x as f64).exp(), "{x}: {error}");
        }
        assert_eq!(0.0_f32.exp_nonpositive(), 1.0);
    }

    #[test]
    fn the_fast_exponential_swallows_what_is_not_a_number() {
        for x in [f32::NAN, f32::NEG_INFINITY, -1e30] {
            assert!(x.exp_nonpositive() < 2e-38);
        }
    }
}
