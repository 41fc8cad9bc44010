//! The surfels' own parameters, before activation, struct-of-arrays.

use crate::raster::Behind;

/// Length of the embedding each surfel carries into the field (DEGSTalk).
pub const EMBEDDING: usize = 32;

/// The inside of the mouth: the last surfels of a cloud. They are drawn behind the others, and the field moves and scales them
/// but neither turns, fades nor recolours them, so that teeth stay teeth (TalkingGaussian, Li et al. 2024, §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Mouth {
    /// How many surfels it is.
    pub surfels: usize,
    /// They are sorted as if they lay so much farther away, units of the dataset.
    pub depth_offset: f32,
}

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
    /// Which of them are the inside of the mouth.
    pub mouth: Mouth,
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

    /// The mean of all centres; the origin for a cloud without any.
    pub fn middle(&self) -> [f64; 3] {
        let count = self.len().max(1) as f64;
        let axis = |k: usize| self.positions.iter().skip(k).step_by(3).map(|v| f64::from(*v)).sum::<f64>();
        [0, 1, 2].map(|k| axis(k) / count)
    }

    /// Adds the surfels of `mouth`, a cloud with harmonics of the same degree that is the inside of the mouth alone.
    pub fn append(&mut self, mouth: Cloud) {
        let own = [
            &mut self.positions,
            &mut self.rotations,
            &mut self.log_scales,
            &mut self.opacity_logits,
            &mut self.harmonics,
            &mut self.embedding,
        ];
        let added = [
            mouth.positions,
            mouth.rotations,
            mouth.log_scales,
            mouth.opacity_logits,
            mouth.harmonics,
            mouth.embedding,
        ];
        own.into_iter().zip(added).for_each(|(own, added)| own.extend(added));
        self.mouth = mouth.mouth;
    }

    /// The first surfel of the inside of the mouth; the number of surfels where there is none.
    pub fn first_of_mouth(&self) -> usize {
        self.len().saturating_sub(self.mouth.surfels)
    }

    /// The inside of the mouth as the rasterizer takes it.
    pub fn behind(&self) -> Option<Behind> {
        let Mouth { surfels, depth_offset } = self.mouth;
        (surfels > 0).then(|| Behind { first: self.first_of_mouth(), offset: depth_offset })
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
