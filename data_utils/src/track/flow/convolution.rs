//! Convolutions of the network, by name.

use crate::error::Result;
use crate::network::{Conv, Named};

/// A convolution `[to, from, side, side]` with its bias.
pub(super) fn conv(
    named: &Named,
    name: &str,
    [to, from, side]: [usize; 3],
    stride: usize,
    relu: bool,
) -> Result<Conv> {
    let weight = named.tensor(&format!("{name}.weight"), &[to, from, side, side])?;
    let bias = named.tensor(&format!("{name}.bias"), &[to])?.reshape((1, to, 1, 1))?;
    Ok(Conv { weight, bias: Some(bias), stride, relu })
}
