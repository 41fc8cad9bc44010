//! A network as the GPU takes it: one step after another, each with its ReLU, and weights with channels by four ("quads").

use super::network::{Conv, Layer, Pool, host};
use crate::{Error, Result};

/// A network's steps and weights.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) steps: Vec<Step>,
    /// For each tap: how many steps come before it, and where in `forward` the weights of its channels begin, quads.
    pub(super) taps: Vec<(usize, u32)>,
    /// Kernels `[side, side, in, out]`, biases, and weights of taps.
    pub(super) forward: Vec<f32>,
    /// Kernels `[side, side, out, in]`.
    pub(super) backward: Vec<f32>,
}

/// What makes features of features.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A convolution and its ReLU.
    Conv(ConvStep),
    Pool(Pool),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ConvStep {
    pub(super) out_quads: u32,
    pub(super) side: u32,
    pub(super) stride: u32,
    pub(super) padding: u32,
    /// Where kernel and bias begin in [`Packed::forward`], and the kernel in [`Packed::backward`]; quads.
    pub(super) kernel: u32,
    pub(super) bias: u32,
    pub(super) backward: u32,
    /// Quads of the result, from the first on, that only the kernel's centre makes.
    pub(super) centre: u32,
}

impl Step {
    /// Rows or columns of the result from those that are read.
    pub(super) fn length(&self, length: usize) -> Result<usize> {
        match self {
            Step::Pool(pool) => Ok(pool.windows(length)?),
            Step::Conv(conv) => {
                let [side, stride, padding] = [conv.side, conv.stride, conv.padding].map(|v| v as usize);
                let span = (length + 2 * padding).checked_sub(side);
                let short = || Error::Internal(format!("LPIPS: a kernel of {side} over {length} pixels"));
                Ok(span.ok_or_else(short)? / stride + 1)
            }
        }
    }

    /// Quads of the result from those that are read.
    pub(super) fn quads(&self, quads: u32) -> u32 {
        match self {
            Step::Conv(conv) => conv.out_quads,
            Step::Pool(_) => quads,
        }
    }
}

/// A kernel `[out, in, side, side]` with its bias.
struct Kernel {
    values: Vec<f32>,
    bias: Vec<f32>,
    /// Out, in, side.
    dims: [usize; 3],
}

impl Kernel {
    fn of(conv: &Conv) -> Result<Self> {
        let (out, input, side, _) = conv.kernel.dims4()?;
        Ok(Kernel { values: host(&conv.kernel)?, bias: host(&conv.bias)?, dims: [out, input, side] })
    }

    /// Two expansions of the same features as one of 3 × 3, the first in its centre.
    fn beside(one: Kernel, three: Kernel) -> Self {
        let ([first, input, _], [second, _, side]) = (one.dims, three.dims);
        let area = side * side;
        let mut values = vec![0.0; first * input * area];
        for (at, value) in one.values.iter().enumerate() {
            values[at * area + area / 2] = *value;
        }
        values.extend(three.values);
        Kernel { values, bias: [one.bias, three.bias].concat(), dims: [first + second, input, side] }
    }
}

impl Packed {
    /// From the layers up to each tap and the weights of its channels.
    pub(super) fn new(stages: &[Vec<Layer>], heads: &[Vec<f32>]) -> Result<Self> {
        let mut packed = Packed::default();
        for (stage, head) in stages.iter().zip(heads) {
            for layer in stage {
                match layer {
                    Layer::Conv(conv) => packed.conv(&Kernel::of(conv)?, conv.stride, conv.padding, 0),
                    // Every convolution has one behind it.
                    Layer::Relu => {}
                    Layer::Pool(pool) => packed.steps.push(Step::Pool(*pool)),
                    Layer::Fire { squeeze, one, three } => {
                        packed.conv(&Kernel::of(squeeze)?, 1, 0, 0);
                        let (one, three) = (Kernel::of(one)?, Kernel::of(three)?);
                        let centre = (one.dims[0] / 4) as u32;
                        packed.conv(&Kernel::beside(one, three), 1, 1, centre);
                    }
                }
            }
            let at = (packed.forward.len() / 4) as u32;
            packed.forward.extend(head);
            packed.taps.push((packed.steps.len(), at));
        }
        Ok(packed)
    }

    fn conv(&mut self, kernel: &Kernel, stride: usize, padding: usize, centre: u32) {
        let [out, input, side] = kernel.dims;
        let (in_quads, out_quads, area) = (input.div_ceil(4), out.div_ceil(4), side * side);
        let [at, backward] = [self.forward.len(), self.backward.len()];
        let (wide_in, wide_out) = (4 * in_quads, 4 * out_quads);
        let elements = area * wide_in * wide_out;
        self.forward.resize(at + elements, 0.0);
        self.backward.resize(backward + elements, 0.0);
        for (k, value) in kernel.values.iter().enumerate() {
            let (o, i, tap) = (k / area / input, k / area % input, k % area);
            self.forward[at + (tap * wide_in + i) * wide_out + o] = *value;
            self.backward[backward + (tap * wide_out + o) * wide_in + i] = *value;
        }
        let bias = self.forward.len();
        self.forward.extend(&kernel.bias);
        self.forward.resize(bias + wide_out, 0.0);
        let quads = |floats: usize| (floats / 4) as u32;
        self.steps.push(Step::Conv(ConvStep {
            out_quads: out_quads as u32,
            side: side as u32,
            stride: stride as u32,
            padding: padding as u32,
            kernel: quads(at),
            bias: quads(bias),
            backward: quads(backward),
            centre,
        }));
    }
}
