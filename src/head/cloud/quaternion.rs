//! Quaternions (w, x, y, z) of the surfels: normalising and its gradient, tangent frames, products.

/// Length below which a quaternion has no direction and stands for no rotation.
pub(crate) const SHORTEST: f32 = 1e-12;

/// The quaternion divided by its length; (1, 0, 0, 0) when it has none.
pub fn normalized(q: [f32; 4]) -> [f32; 4] {
    let length = length(q);
    // Written so that NaN takes this branch too.
    if length > SHORTEST { q.map(|v| v / length) } else { [1.0, 0.0, 0.0, 0.0] }
}

/// Gradient of a loss with respect to `q`, from its gradient `g` with respect to [`normalized`]`(q)`:
/// (g − u (u · g)) / |q| with u = q / |q|.
pub fn normalized_vjp(q: [f32; 4], g: [f32; 4]) -> [f32; 4] {
    let length = length(q);
    if length > SHORTEST {
        let u = q.map(|v| v / length);
        let along: f32 = (0..4).map(|k| u[k] * g[k]).sum();
        std::array::from_fn(|k| (g[k] - u[k] * along) / length)
    } else {
        [0.0; 4]
    }
}

/// The three columns of the rotation matrix of a unit quaternion: the two tangents and the normal of a surfel.
pub fn axes(q: [f32; 4]) -> [[f32; 3]; 3] {
    let [w, x, y, z] = q;
    [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
        [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
        [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)],
    ]
}

/// The shortest rotation that turns +z onto `normal`, so that a disc lies across it. The normal need not have
/// unit length; without a direction there is no rotation.
pub fn facing(normal: [f32; 3]) -> [f32; 4] {
    let length = normal.map(|v| v * v).iter().sum::<f32>().sqrt();
    if length <= SHORTEST || !length.is_finite() {
        return [1.0, 0.0, 0.0, 0.0];
    }
    let [x, y, z] = normal.map(|v| v / length);
    if z < -0.999_999 {
        // Half a turn about x: the shortest rotation is not unique here.
        return [0.0, 1.0, 0.0, 0.0];
    }
    // q = (1 + z·n, z × n), normalised.
    normalized([1.0 + z, -y, x, 0.0])
}

/// The Hamilton product: first `b`, then `a`.
pub fn product(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    let [aw, ax, ay, az] = a;
    let [bw, bx, by, bz] = b;
    [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]
}

fn length(q: [f32; 4]) -> f32 {
    q.map(|v| v * v).iter().sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_axis_faces_the_normal() {
        for normal in
            [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [3.0, -4.0, 12.0], [1e-4, 0.0, -1.0], [0.0, -2.0, 0.0]]
        {
            let length = normal.map(|v: f32| v * v).iter().sum::<f32>().sqrt();
            let third = axes(facing(normal))[2];
            for k in 0..3 {
                assert!((third[k] - normal[k] / length).abs() < 2e-4, "{normal:?} became {third:?}");
            }
        }
    }

    #[test]
    fn axes_are_a_right_handed_frame() {
        let [a, b, c] = axes(normalized([0.3, -0.7, 0.2, 0.9]));
        let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
        assert!((0..3).all(|k| (cross[k] - c[k]).abs() < 1e-6));
    }

    #[test]
    fn a_product_turns_by_the_second_then_the_first() {
        let (a, b) = (normalized([0.9, 0.1, -0.3, 0.2]), normalized([0.2, 0.5, 0.1, -0.8]));
        let (ma, mb, m) = (axes(a), axes(b), axes(product(a, b)));
        for column in 0..3 {
            for row in 0..3 {
                let expected: f32 = (0..3).map(|k| ma[k][row] * mb[column][k]).sum();
                assert!((m[column][row] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_zero_quaternion_is_no_rotation() {
        assert_eq!(normalized([0.0; 4]), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(normalized_vjp([0.0; 4], [1.0; 4]), [0.0; 4]);
    }
}
