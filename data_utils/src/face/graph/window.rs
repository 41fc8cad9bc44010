//! A window that slides over an NHWC image: how often it stops, and which part of it lies inside.

use super::misfit::Misfit;
use crate::formats::tflite::{Padding, Window};

/// Output channels computed together: one AVX register, two of SSE or NEON.
pub(super) const LANES: usize = 8;
/// Multiply-adds of a layer below which threads cost more than they bring.
pub(super) const PARALLEL: usize = 2_000_000;

/// A window sliding over an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sliding {
    /// Height, width, channels of the image.
    pub(super) input: [usize; 3],
    /// Height and width of the result.
    pub(super) output: [usize; 2],
    /// Height and width of the window.
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Rows above and columns left of the image that the first window covers.
    before: [usize; 2],
}

impl Sliding {
    pub(super) fn new(
        input: &[usize],
        kernel: [usize; 2],
        window: Window,
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let (&[1, h, w, c], &[1, oh, ow, _]) = (input, output) else {
            return Err(Misfit(format!("an image of shape {input:?} becoming {output:?}")));
        };
        let mut before = [0; 2];
        for (axis, (extent, declared)) in [(h, oh), (w, ow)].into_iter().enumerate() {
            let (k, stride) = (kernel[axis], window.stride[axis]);
            let steps = match window.padding {
                Padding::Same => extent.div_ceil(stride),
                Padding::Valid if extent >= k => (extent - k) / stride + 1,
                Padding::Valid => 0,
            };
            if steps != declared || steps == 0 {
                return Err(Misfit(format!("windows of {kernel:?} from {input:?} to {output:?}")));
            }
            if window.padding == Padding::Same {
                before[axis] = ((steps - 1) * stride + k).saturating_sub(extent) / 2;
            }
        }
        Ok(Sliding { input: [h, w, c], output: [oh, ow], kernel, stride: window.stride, before })
    }

    /// For result index `i` along `axis`: first window element inside the image, one past the last, and the
    /// image index of the first.
    #[inline(always)]
    pub(super) fn inside(&self, axis: usize, i: usize) -> (usize, usize, usize) {
        let (start, before) = (i * self.stride[axis], self.before[axis]);
        let first = before.saturating_sub(start);
        let last = self.kernel[axis].min((self.input[axis] + before).saturating_sub(start));
        (first, last.max(first), start + first - before.min(start + first))
    }
}
