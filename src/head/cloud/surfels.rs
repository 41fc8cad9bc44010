//! The surfels' own parameters, before activation, struct-of-arrays.

/// Length of the embedding each surfel carries into the field (DEGSTalk).
pub const EMBEDDING: usize = 32;

/// A cloud of surfels in canonical space, as it is learned and stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cloud {
    /// Degree of the spherical harmonics, 0..=3.
    pub sh_degree: usize,
    /// Centres, units of the dataset, `[n, 3]`.
    pub positions: Vec<f32>,
    /// Quaternions (w, x, y, z), not normalised, `[n, 4]`.
    pub rotations: Vec<f32>,
    /// ln of the two standard deviations, `[n, 2]`.
    pub log_scales: Vec<f32>,
    /// Opacity as logit, `[n]`.
    pub opacity_logits: Vec<f32>,
    /// Spherical harmonics as 3DGS stores them, band 0 first, RGB innermost, `[n, (sh_degree + 1)², 3]`.
    pub harmonics: Vec<f32>,
    /// What the field knows a surfel by, `[n, EMBEDDING]`.
    pub embedding: Vec<f32>,
}

impl Cloud {
    /// Number of surfels.
    pub fn len(&self) -> usize {
        self.opacity_logits.len()
    }

    /// True when there is no surfel.
    pub fn is_empty(&self) -> bool {
        self.opacity_logits.is_empty()
    }

    /// The surfels' own parameters, everything but the embedding: positions, rotations, log-scales, opacity logits,
    /// harmonics.
    pub fn own(&self) -> [&[f32]; 5] {
        [&self.positions, &self.rotations, &self.log_scales, &self.opacity_logits, &self.harmonics]
    }

    /// Harmonics of one surfel and channel: (sh_degree + 1)².
    pub fn bands(&self) -> usize {
        (self.sh_degree + 1).pow(2)
    }
}
