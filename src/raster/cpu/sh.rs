//! Real spherical harmonics up to degree 3 as 3DGS (Kerbl et al. 2023) orders and signs them, with the derivative of
//! each function with respect to the direction.

/// Functions up to degree 3.
pub(super) const BASIS_MAX: usize = 16;

const C0: f64 = 0.282_094_791_773_878_14;
const C1: f64 = 0.488_602_511_902_919_9;
const C2: [f64; 5] = [
    1.092_548_430_592_079_2,
    -1.092_548_430_592_079_2,
    0.315_391_565_252_520_05,
    -1.092_548_430_592_079_2,
    0.546_274_215_296_039_6,
];
const C3: [f64; 7] = [
    -0.590_043_589_926_643_5,
    2.890_611_442_640_554,
    -0.457_045_799_464_465_8,
    0.373_176_332_590_115_4,
    -0.457_045_799_464_465_8,
    1.445_305_721_320_277,
    -0.590_043_589_926_643_5,
];

/// Number of functions up to `degree`.
pub(super) fn functions(degree: usize) -> usize {
    (degree + 1) * (degree + 1)
}

/// The functions at the unit direction `d`; those above `degree` are 0.
pub(super) fn basis(degree: usize, d: [f64; 3]) -> [f64; BASIS_MAX] {
    let [x, y, z] = d;
    let mut b = [0.0; BASIS_MAX];
    b[0] = C0;
    if degree >= 1 {
        b[1..4].copy_from_slice(&[-C1 * y, C1 * z, -C1 * x]);
    }
    let (xx, yy, zz) = (x * x, y * y, z * z);
    if degree >= 2 {
        b[4] = C2[0] * x * y;
        b[5] = C2[1] * y * z;
        b[6] = C2[2] * (2.0 * zz - xx - yy);
        b[7] = C2[3] * x * z;
        b[8] = C2[4] * (xx - yy);
    }
    if degree >= 3 {
        b[9] = C3[0] * y * (3.0 * xx - yy);
        b[10] = C3[1] * x * y * z;
        b[11] = C3[2] * y * (4.0 * zz - xx - yy);
        b[12] = C3[3] * z * (2.0 * zz - 3.0 * xx - 3.0 * yy);
        b[13] = C3[4] * x * (4.0 * zz - xx - yy);
        b[14] = C3[5] * z * (xx - yy);
        b[15] = C3[6] * x * (xx - 3.0 * yy);
    }
    b
}

/// Derivatives of [`basis`] with respect to (x, y, z), the three taken as free numbers.
pub(super) fn basis_derivative(degree: usize, d: [f64; 3]) -> [[f64; 3]; BASIS_MAX] {
    let [x, y, z] = d;
    let mut g = [[0.0; 3]; BASIS_MAX];
    if degree >= 1 {
        g[1] = [0.0, -C1, 0.0];
        g[2] = [0.0, 0.0, C1];
        g[3] = [-C1, 0.0, 0.0];
    }
    let (xx, yy, zz) = (x * x, y * y, z * z);
    if degree >= 2 {
        g[4] = [C2[0] * y, C2[0] * x, 0.0];
        g[5] = [0.0, C2[1] * z, C2[1] * y];
        g[6] = [-2.0 * C2[2] * x, -2.0 * C2[2] * y, 4.0 * C2[2] * z];
        g[7] = [C2[3] * z, 0.0, C2[3] * x];
        g[8] = [2.0 * C2[4] * x, -2.0 * C2[4] * y, 0.0];
    }
    if degree >= 3 {
        g[9] = [6.0 * C3[0] * x * y, C3[0] * (3.0 * xx - 3.0 * yy), 0.0];
        g[10] = [C3[1] * y * z, C3[1] * x * z, C3[1] * x * y];
        g[11] = [-2.0 * C3[2] * x * y, C3[2] * (4.0 * zz - xx - 3.0 * yy), 8.0 * C3[2] * y * z];
        g[12] = [-6.0 * C3[3] * x * z, -6.0 * C3[3] * y * z, C3[3] * (6.0 * zz - 3.0 * xx - 3.0 * yy)];
        g[13] = [C3[4] * (4.0 * zz - 3.0 * xx - yy), -2.0 * C3[4] * x * y, 8.0 * C3[4] * x * z];
        g[14] = [2.0 * C3[5] * x * z, -2.0 * C3[5] * y * z, C3[5] * (xx - yy)];
        g[15] = [C3[6] * (3.0 * xx - 3.0 * yy), -6.0 * C3[6] * x * y, 0.0];
    }
    g
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivative_is_that_of_the_basis() {
        let (d, h) = ([0.3, -0.7, 0.5], 1e-6);
        let g = basis_derivative(3, d);
        for axis in 0..3 {
            let (mut above, mut below) = (d, d);
            above[axis] += h;
            below[axis] -= h;
            let (above, below) = (basis(3, above), basis(3, below));
            for k in 0..BASIS_MAX {
                assert!(((above[k] - below[k]) / (2.0 * h) - g[k][axis]).abs() < 1e-8, "{k} {axis}");
            }
        }
    }

    #[test]
    fn the_functions_are_orthonormal_on_the_sphere() {
        let (rings, steps) = (64, 128);
        let mut gram = [[0.0; BASIS_MAX]; BASIS_MAX];
        for i in 0..rings {
            let z = -1.0 + (i as f64 + 0.5) * 2.0 / rings as f64;
            for j in 0..steps {
                let angle = (j as f64) * std::f64::consts::TAU / steps as f64;
                let r = (1.0 - z * z).sqrt();
                let b = basis(3, [r * angle.cos(), r * angle.sin(), z]);
                for (row, p) in gram.iter_mut().zip(&b) {
                    for (cell, q) in row.iter_mut().zip(&b) {
                        *cell += p * q * 4.0 * std::f64::consts::PI / (rings * steps) as f64;
                    }
                }
            }
        }
        for (i, row) in gram.iter().enumerate() {
            for (j, cell) in row.iter().enumerate() {
                assert!((cell - f64::from(i == j)).abs() < 5e-3, "{i} {j} {cell}");
            }
        }
    }
}
