//! The terms that the stages compute.

use crate::gpu::shaders::Part;
use crate::loss::term::{ImageShader, ImageTerm};
use crate::loss::terms::Weights;

/// A term that the stages compute.
#[derive(Clone, Copy)]
pub(super) struct InUse {
    /// Its number in [`TERMS`].
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) term: &'static ImageTerm,
}

/// The terms that are measured: those of the stage `pixel_terms` first.
pub(super) fn in_use(weights: &Weights) -> Vec<InUse> {
    let mut terms: Vec<InUse> = weights
        .measured()
        .map(|(number, term, image)| InUse { number, name: term.name, term: image })
        .collect();
    // The sort is stable.
    terms.sort_by_key(|used| matches!(used.term.gpu, ImageShader::Stages(_)));
    terms
}

/// The WGSL functions of the terms that look at one pixel.
pub(super) fn pixel_parts(in_use: &[InUse]) -> Vec<Part> {
    let part = |used: &InUse| match used.term.gpu {
        ImageShader::Pixel(text) => Some(Part { name: used.name, text }),
        ImageShader::Stages(_) => None,
    };
    in_use.iter().filter_map(part).collect()
}
