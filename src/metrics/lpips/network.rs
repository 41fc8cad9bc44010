//! The layers of the networks under LPIPS, forward and back to their input. Tensors are `[1, channels, rows, columns]`.

use candle_core::{DType, Result, Tensor, Var};

/// Convolution with fixed weights.
#[derive(Debug)]
pub(super) struct Conv {
    /// `[out, in, k, k]`.
    kernel: Tensor,
    /// For stride 1: the kernel that takes gradients back, `[in, out, k, k]`, turned by half a turn.
    turned: Option<Tensor>,
    /// `[1, out, 1, 1]`.
    bias: Tensor,
    stride: usize,
    padding: usize,
}

/// Maximum over 2×2 or 3×3 pixels every 2. After a ReLU, so that nothing is below zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    /// 2 or 3.
    pub(super) side: usize,
    /// Windows may hang over the lower and right edge.
    pub(super) ceil: bool,
}

#[derive(Debug)]
pub(super) enum Layer {
    Conv(Conv),
    Relu,
    Pool(Pool),
    /// SqueezeNet's fire module (Iandola et al. 2016): squeeze, ReLU, two expansions beside each other, ReLU.
    Fire {
        squeeze: Conv,
        one: Conv,
        three: Conv,
    },
}

/// What the way back needs of the way forward, in order.
pub(super) type Tape = Vec<Tensor>;

impl Conv {
    pub(super) fn new(kernel: Tensor, bias: &Tensor, stride: usize, padding: usize) -> Result<Self> {
        let side = kernel.dim(2)?;
        let turned = if stride == 1 {
            let order: Vec<u32> = (0..side as u32).rev().collect();
            let order = Tensor::new(order, kernel.device())?;
            let flipped =
                kernel.transpose(0, 1)?.contiguous()?.index_select(&order, 2)?.index_select(&order, 3)?;
            Some(flipped.contiguous()?)
        } else {
            None
        };
        let bias = bias.reshape((1, bias.elem_count(), 1, 1))?;
        Ok(Conv { kernel, turned, bias, stride, padding })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.kernel, self.padding, self.stride, 1, 1)?.broadcast_add(&self.bias)
    }

    /// From the gradient at the output to the one at an input of `rows` × `columns`.
    fn backward(&self, gradient: &Tensor, rows: usize, columns: usize) -> Result<Tensor> {
        let side = self.kernel.dim(2)?;
        if let Some(turned) = &self.turned {
            return gradient.conv2d(turned, side - 1 - self.padding, 1, 1, 1);
        }
        // Rows and columns may need different output padding; the larger is taken and the rest filled or cut.
        let covered = |n: usize| (n - 1) * self.stride + side - 2 * self.padding;
        let (_, _, h, w) = gradient.dims4()?;
        let out = gradient.conv_transpose2d(&self.kernel, self.padding, 0, self.stride, 1)?;
        let (h, w) = (covered(h), covered(w));
        // Pixels past the last window saw no window at all when the padding is zero, but may lie under one's
        // padded part otherwise; output padding gives them their share.
        if (h, w) == (rows, columns) {
            return Ok(out);
        }
        let extra = rows.saturating_sub(h).max(columns.saturating_sub(w));
        let out = gradient.conv_transpose2d(&self.kernel, self.padding, extra, self.stride, 1)?;
        out.narrow(2, 0, rows)?.narrow(3, 0, columns)
    }
}

impl Pool {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        along(&along(x, 2, self)?, 3, self)
    }

    fn backward(self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let x = Var::from_tensor(x)?;
        let sum = (self.forward(x.as_tensor())? * gradient)?.sum_all()?;
        let gradient = sum.backward()?.remove(x.as_tensor());
        gradient.ok_or_else(|| candle_core::Error::Msg("a pool without gradient".into()))
    }
}

/// Maximum along one dimension. Candle's own pool has no way back when windows overlap, so the even and the odd
/// pixels are taken apart and compared as whole pictures.
fn along(x: &Tensor, dimension: usize, pool: Pool) -> Result<Tensor> {
    let length = x.dim(dimension)?;
    if length < pool.side {
        candle_core::bail!("a pool of {} over {length} pixels", pool.side);
    }
    let span = length - pool.side;
    let windows = if pool.ceil { span.div_ceil(2) } else { span / 2 } + 1;
    // Pairs of even and odd pixels; one more pair for the third pixel of the last window.
    let pairs = windows + usize::from(pool.side == 3);
    let x = match (2 * pairs).checked_sub(length) {
        Some(missing) => x.pad_with_zeros(dimension, 0, missing)?,
        None => x.narrow(dimension, 0, 2 * pairs)?,
    };
    let mut shape = x.dims().to_vec();
    shape[dimension] = pairs;
    shape.insert(dimension + 1, 2);
    let x = x.contiguous()?.reshape(shape)?;
    let phase = |odd: usize| x.narrow(dimension + 1, odd, 1)?.squeeze(dimension + 1)?.contiguous();
    let (even, odd) = (phase(0)?, phase(1)?);
    let first = even.narrow(dimension, 0, windows)?.maximum(&odd.narrow(dimension, 0, windows)?)?;
    if pool.side == 2 { Ok(first) } else { first.maximum(&even.narrow(dimension, 1, windows)?) }
}

/// Runs `x` through `layers`, writing down on `tape` what [`backward`] needs.
pub(super) fn forward(layers: &[Layer], mut x: Tensor, mut tape: Option<&mut Tape>) -> Result<Tensor> {
    let mut note = |x: &Tensor| {
        if let Some(tape) = tape.as_deref_mut() {
            tape.push(x.clone());
        }
    };
    for layer in layers {
        x = match layer {
            Layer::Conv(conv) => {
                note(&x);
                conv.forward(&x)?
            }
            Layer::Relu => {
                let y = x.relu()?;
                note(&y);
                y
            }
            Layer::Pool(pool) => {
                note(&x);
                pool.forward(&x)?
            }
            Layer::Fire { squeeze, one, three } => {
                note(&x);
                let s = squeeze.forward(&x)?.relu()?;
                note(&s);
                let y = Tensor::cat(&[one.forward(&s)?, three.forward(&s)?], 1)?.relu()?;
                note(&y);
                y
            }
        };
    }
    Ok(x)
}

/// From the gradient at the output of `layers` to the one at their input.
pub(super) fn backward(layers: &[Layer], mut gradient: Tensor, mut tape: Tape) -> Result<Tensor> {
    let mut noted = || tape.pop().ok_or_else(|| candle_core::Error::Msg("a tape that ends early".into()));
    let rectified = |gradient: &Tensor, y: &Tensor| gradient * y.gt(0.0)?.to_dtype(DType::F32)?;
    for layer in layers.iter().rev() {
        gradient = match layer {
            Layer::Conv(conv) => {
                let (_, _, rows, columns) = noted()?.dims4()?;
                conv.backward(&gradient, rows, columns)?
            }
            Layer::Relu => rectified(&gradient, &noted()?)?,
            Layer::Pool(pool) => pool.backward(&noted()?, &gradient)?,
            Layer::Fire { squeeze, one, three } => {
                let (y, s, x) = (noted()?, noted()?, noted()?);
                let gradient = rectified(&gradient, &y)?;
                let (_, _, rows, columns) = s.dims4()?;
                let (first, second) = (one.kernel.dim(0)?, three.kernel.dim(0)?);
                let left = one.backward(&gradient.narrow(1, 0, first)?.contiguous()?, rows, columns)?;
                let right =
                    three.backward(&gradient.narrow(1, first, second)?.contiguous()?, rows, columns)?;
                let inner = rectified(&(left + right)?, &s)?;
                let (_, _, rows, columns) = x.dims4()?;
                squeeze.backward(&inner, rows, columns)?
            }
        };
    }
    Ok(gradient)
}
