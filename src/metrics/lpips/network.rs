//! The layers of the networks under LPIPS, forward and back to their input. Tensors are `[1, channels, rows, columns]`.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

/// Convolution with fixed weights.
#[derive(Debug)]
pub(super) struct Conv {
    /// `[out, in, k, k]`.
    pub(super) kernel: Tensor,
    /// For stride 1: the kernel that takes gradients back, `[in, out, k, k]`, turned by half a turn.
    turned: Option<Tensor>,
    /// `[1, out, 1, 1]`.
    pub(super) bias: Tensor,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

/// Maximum over 2×2 or 3×3 pixels every 2. Written out here, because candle's has no way back where windows overlap.
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
        // Pixels past the last window are the output padding of the way back. Rows and columns may need different
        // amounts, so both get the larger one and are cut.
        let (_, _, h, w) = gradient.dims4()?;
        let missing = |n: usize, size: usize| {
            let covered = (n - 1) * self.stride + side;
            (size + 2 * self.padding).saturating_sub(covered)
        };
        let extra = missing(h, rows).max(missing(w, columns));
        let out = gradient.conv_transpose2d(&self.kernel, self.padding, extra, self.stride, 1)?;
        out.narrow(2, 0, rows)?.narrow(3, 0, columns)
    }
}

impl Pool {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        let (_, channels, h, w) = x.dims4()?;
        let (rows, columns) = (self.windows(h)?, self.windows(w)?);
        let values = host(x)?;
        let mut out = vec![0.0f32; channels * rows * columns];
        out.par_chunks_exact_mut(rows * columns).zip(values.par_chunks_exact(h * w)).for_each(|(out, x)| {
            for (k, out) in out.iter_mut().enumerate() {
                *out = x[self.largest(x, [h, w], [k / columns, k % columns])];
            }
        });
        Tensor::from_vec(out, (1, channels, rows, columns), x.device())
    }

    /// The gradient of a window goes to its first largest pixel, as in PyTorch.
    fn backward(self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (_, channels, h, w) = x.dims4()?;
        let (_, _, rows, columns) = gradient.dims4()?;
        let (values, gradient) = (host(x)?, host(gradient)?);
        let mut out = vec![0.0f32; channels * h * w];
        let planes = values.par_chunks_exact(h * w).zip(gradient.par_chunks_exact(rows * columns));
        out.par_chunks_exact_mut(h * w).zip(planes).for_each(|(out, (x, gradient))| {
            for (k, g) in gradient.iter().enumerate() {
                out[self.largest(x, [h, w], [k / columns, k % columns])] += g;
            }
        });
        Tensor::from_vec(out, (1, channels, h, w), x.device())
    }

    /// Windows along a side of `length` pixels.
    pub(super) fn windows(self, length: usize) -> Result<usize> {
        match length.checked_sub(self.side) {
            Some(span) => Ok(if self.ceil { span.div_ceil(2) } else { span / 2 } + 1),
            None => candle_core::bail!("a pool of {} over {length} pixels", self.side),
        }
    }

    fn largest(self, x: &[f32], [h, w]: [usize; 2], [row, column]: [usize; 2]) -> usize {
        let mut best = 2 * row * w + 2 * column;
        for r in 2 * row..(2 * row + self.side).min(h) {
            for c in 2 * column..(2 * column + self.side).min(w) {
                if x[r * w + c] > x[best] {
                    best = r * w + c;
                }
            }
        }
        best
    }
}

/// The values of a tensor in row-major order.
pub(super) fn host(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
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
