//! A head's surface, made up.

/// Points of a spiral on a sphere, `[n, 3]`, in an order without jumps.
pub fn sphere(n: usize) -> Vec<f32> {
    let point = |i: usize| {
        let (z, turn) = (1.0 - 2.0 * (i as f32 + 0.5) / n as f32, i as f32 * 2.399_963);
        let r = (1.0 - z * z).sqrt();
        [r * turn.cos(), r * turn.sin(), z]
    };
    (0..n).flat_map(point).collect()
}
