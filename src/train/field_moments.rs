//! The optimiser's side of the field: Adam for each of its named parameters.

use super::adam::Adam;
use crate::Result;
use crate::field::{Field, FieldGradients};

/// Adam for every parameter of a field, in the field's order.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldMoments {
    adams: Vec<(String, Adam)>,
}
