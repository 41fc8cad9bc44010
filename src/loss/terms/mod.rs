//! The table of all terms. A new term is one file here, declared and named once in the table below.

mod attention_audio;
mod attention_expression;
mod distortion;
mod dssim;
mod embedding_smoothness;
mod eyes;
mod gradient;
mod l1;
mod lips;
mod lpips;
mod lpips_lips;
mod mask;
mod mouth;
mod normal_consistency;

use super::term::{EmbeddingTerm, ImageTerm, Kind, PatchTerm, Term};
use crate::raster::Outputs;

/// From `name: file;` for each term: [`TERMS`], [`Weights`] and [`LossTerms`].
macro_rules! table {
    ($($(#[$about:meta])* $name:ident: $file:ident;)*) => {
        /// Every term, in the order of the logs.
        pub const TERMS: &[&Term] = &[$(&$file::TERM),*];

        /// The weight of each term. As a configuration, the keys are those of the terms.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Weights {
            $($(#[$about])* pub $name: f32,)*
        }

        impl Weights {
            /// Nothing counts.
            pub const ZERO: Weights = Weights { $($name: 0.0),* };

            /// The weights in the order of [`TERMS`].
            pub fn each(&self) -> [f32; TERMS.len()] {
                [$(self.$name),*]
            }

            /// Weights in the order of [`TERMS`].
            pub fn new(each: [f32; TERMS.len()]) -> Self {
                let [$($name),*] = each;
                Weights { $($name),* }
            }
        }

        /// The value of each term in one frame, before its weight, or the mean over some frames; 0 where a term does not
        /// count and is not always measured.
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct LossTerms {
            /// The loss: the sum of weight · value, [`Weights::total`].
            pub total: f32,
            $($(#[$about])* pub $name: f32,)*
        }

        impl LossTerms {
            /// The values in the order of [`TERMS`].
            pub fn each(&self) -> [f32; TERMS.len()] {
                [$(self.$name),*]
            }

            /// From the values in the order of [`TERMS`].
            pub(super) fn new(total: f32, each: [f32; TERMS.len()]) -> Self {
                let [$($name),*] = each;
                LossTerms { total, $($name),* }
            }
        }

        #[cfg(test)]
        const FIELDS: &[&str] = &[$(stringify!($name)),*];
    };
}

table! {
    /// |drawn − target|, averaged over the mask.
    l1: l1;
    /// 1 − SSIM.
    dssim: dssim;
    /// L1 over the crop of the lips.
    lips: lips;
    /// L1 over the crop of eyes and brows.
    eyes: eyes;
    /// L1 between finite differences of the drawn and the filmed image.
    gradient: gradient;
    /// LPIPS of a patch anywhere on the part.
    lpips: lpips;
    /// LPIPS of the patch around the lips.
    lpips_lips: lpips_lips;
    /// Cross-entropy of alpha against the mask.
    mask: mask;
    /// Cross-entropy of the inside of the mouth against where it is seen.
    mouth: mouth;
    /// Normal consistency.
    normal: normal_consistency;
    /// Depth distortion.
    distortion: distortion;
    /// Audio attention minus frame attention outside face and neck.
    attention_audio: attention_audio;
    /// Expression attention outside the face.
    attention_expression: attention_expression;
    /// How far the embeddings of neighbouring surfels lie apart.
    embedding: embedding_smoothness;
}

/// The terms over images, with their numbers in [`TERMS`].
pub fn image_terms() -> impl Iterator<Item = (usize, &'static Term, &'static ImageTerm)> {
    TERMS.iter().enumerate().filter_map(|(number, term)| match &term.kind {
        Kind::Image(image) => Some((number, *term, image)),
        _ => None,
    })
}

/// The terms over patches, with their numbers in [`TERMS`].
pub fn patch_terms() -> impl Iterator<Item = (usize, &'static PatchTerm)> {
    TERMS.iter().enumerate().filter_map(|(number, term)| match &term.kind {
        Kind::Patch(patch) => Some((number, patch)),
        _ => None,
    })
}

/// The terms over the embedding, with their numbers in [`TERMS`].
pub fn embedding_terms() -> impl Iterator<Item = (usize, &'static EmbeddingTerm)> {
    TERMS.iter().enumerate().filter_map(|(number, term)| match &term.kind {
        Kind::Embedding(embedding) => Some((number, embedding)),
        _ => None,
    })
}

impl Default for Weights {
    /// The weights of a configuration that names none.
    fn default() -> Self {
        let mut each = [0.0; TERMS.len()];
        for (weight, term) in each.iter_mut().zip(TERMS) {
            *weight = term.key.as_ref().map_or(0.0, |key| key.default);
        }
        Weights::new(each)
    }
}

impl Weights {
    /// The images that terms with a weight read.
    pub fn outputs(&self) -> Outputs {
        let each = self.each();
        let counts = image_terms().filter(|(number, ..)| each[*number] > 0.0);
        counts.fold(Outputs::NONE, |outputs, (.., image)| outputs.or(image.reads))
    }

    /// The terms over images that are measured: those with a weight, and those that always are.
    pub fn measured(&self) -> impl Iterator<Item = (usize, &'static Term, &'static ImageTerm)> {
        let each = self.each();
        image_terms().filter(move |(number, _, image)| each[*number] > 0.0 || image.always_measured)
    }

    /// The terms over patches that have a weight, with their numbers and weights.
    pub fn patch_terms(&self) -> impl Iterator<Item = (usize, f32, &'static PatchTerm)> {
        let each = self.each();
        let all = patch_terms().map(move |(number, term)| (number, each[number], term));
        all.filter(|(_, weight, _)| *weight > 0.0)
    }

    /// The terms over the embedding that have a weight, with their numbers and weights.
    pub fn embedding_terms(&self) -> impl Iterator<Item = (usize, f32, &'static EmbeddingTerm)> {
        let each = self.each();
        let all = embedding_terms().map(move |(number, term)| (number, each[number], term));
        all.filter(|(_, weight, _)| *weight > 0.0)
    }

    /// The sum of weight · value over all terms.
    pub fn total(&self, values: &[f32; TERMS.len()]) -> f32 {
        self.each().iter().zip(values).fold(0.0, |sum, (weight, value)| sum + weight * value)
    }

    /// The values in the order of [`TERMS`] with their total.
    pub(super) fn terms(&self, values: [f32; TERMS.len()]) -> LossTerms {
        LossTerms::new(self.total(&values), values)
    }
}

impl LossTerms {
    /// The mean over some frames, added in order.
    pub fn mean(frames: &[LossTerms]) -> LossTerms {
        let share = 1.0 / frames.len().max(1) as f32;
        let mut total = 0.0;
        let mut values = [0.0; TERMS.len()];
        for frame in frames {
            total += share * frame.total;
            values.iter_mut().zip(frame.each()).for_each(|(sum, value)| *sum += share * value);
        }
        LossTerms::new(total, values)
    }

    /// These terms with values, by their numbers in [`TERMS`], of terms over patches or over the embedding.
    pub fn with(&self, weights: &Weights, values: &[(usize, f32)]) -> LossTerms {
        let (mut total, mut each) = (self.total, self.each());
        for (number, value) in values {
            total += weights.each()[*number] * value;
            each[*number] = *value;
        }
        LossTerms::new(total, each)
    }

    /// Name and value of each, as the logs have them; the total first.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f32)> {
        let names = TERMS.iter().map(|term| term.name);
        std::iter::once(("total", self.total)).chain(names.zip(self.each()))
    }

    /// How badly lips, eyes and brows were drawn; frames are picked by it.
    pub fn hardness(&self) -> f32 {
        self.lips + self.eyes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_terms_use_the_same_names() {
        let names: Vec<&str> = TERMS.iter().map(|term| term.name).collect();
        assert_eq!(names, FIELDS);
        for term in TERMS {
            if let Some(key) = &term.key {
                assert_eq!(key.name, format!("lambda_{}", term.name));
            }
        }
    }
}
