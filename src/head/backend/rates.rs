//! Learning rates of one step.

/// Of everything that is learned; nothing where a part is not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Of the surfels' own parameters.
    pub cloud: Option<CloudRates>,
    /// Of the field and the embedding.
    pub field: Option<FieldRates>,
}

/// Of the surfels' own parameters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CloudRates {
    /// Positions, units of the dataset.
    pub position: f32,
    /// Quaternions.
    pub rotation: f32,
    /// Log-scales.
    pub scaling: f32,
    /// Opacity logits.
    pub opacity: f32,
    /// Band 0 of the harmonics.
    pub feature: f32,
    /// The bands above it.
    pub higher: f32,
}

/// Of the field and the embedding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FieldRates {
    /// Tri-planes.
    pub planes: f32,
    /// The field's other parameters.
    pub other: f32,
    /// The embedding.
    pub embedding: f32,
}
