//! Where the parameters of the small networks stand among those of a field.

use super::heads::DRIVES;
use super::{FieldConfig, TOKENS};
use crate::{Error, Result};

/// Where a layer's weight and bias stand among the parameters of the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerIndex {
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
}

/// Where the parameters of the networks stand among those of the field.
#[derive(Debug, Clone)]
pub(super) struct NetIndex {
    pub(super) convolutions: Vec<LayerIndex>,
    pub(super) dense: Vec<LayerIndex>,
    pub(super) attention: Vec<LayerIndex>,
    pub(super) mix: LayerIndex,
    /// Both layers of each token's net.
    pub(super) tokens: [[LayerIndex; 2]; TOKENS],
    /// Query, key, value and output of each layer.
    pub(super) layers: Vec<[LayerIndex; 4]>,
    /// Head after head, and drive after drive.
    pub(super) driven: Vec<usize>,
}

impl NetIndex {
    /// From the names of all parameters, in their order.
    ///
    /// # Errors
    /// [`Error::Internal`] when one is missing.
    pub(super) fn new(names: &[&str], config: &FieldConfig) -> Result<Self> {
        let find = |name: String| {
            let found = names.iter().position(|n| **n == name);
            found.ok_or_else(|| Error::Internal(format!("a field without the parameter {name}")))
        };
        let layer = |name: String| -> Result<LayerIndex> {
            let weight = find(format!("{name}.weight"))?;
            Ok(LayerIndex { weight, bias: find(format!("{name}.bias")).ok() })
        };
        let all = |prefix: &str| -> Result<Vec<LayerIndex>> {
            let is = |i: &usize| names.contains(&format!("{prefix}.{i}.weight").as_str());
            (0..).take_while(is).map(|i| layer(format!("{prefix}.{i}"))).collect()
        };
        let token = |name: &str| -> Result<[LayerIndex; 2]> {
            Ok([layer(format!("tokens.{name}.0"))?, layer(format!("tokens.{name}.1"))?])
        };
        let of_layer = |i: usize| -> Result<[LayerIndex; 4]> {
            let part = |part: &str| layer(format!("layers.{i}.{part}"));
            Ok([part("query")?, part("key")?, part("value")?, part("output")?])
        };
        let is_driven = |name: &&str| {
            name.starts_with("heads.")
                && DRIVES.iter().any(|(_, drive, _)| name.ends_with(&format!(".{drive}")))
        };
        let driven = names.iter().enumerate().filter(|(_, name)| is_driven(name)).map(|(i, _)| i).collect();
        Ok(NetIndex {
            convolutions: all("audio.convolution")?,
            dense: all("audio.dense")?,
            attention: all("audio.attention")?,
            mix: layer("audio.attention.mix".into())?,
            tokens: [token("audio")?, token("expression")?, token("camera")?, token("frame")?],
            layers: (0..config.layers).map(of_layer).collect::<Result<_>>()?,
            driven,
        })
    }
}
