//! A layer of cross-attention and feed-forward (Vaswani et al. 2017): surfels ask, four tokens answer.
//!
//! With four tokens the projections of queries and outputs fold into small matrices of the frame, exactly: with x a
//! surfel's row, the score of head h for token t is `(x·(Wqₕᵀ Kₕₜ) + bqₕ·Kₕₜ) / √dₕ`, and the answer `Σ aₕₜ (Vₕₜ Woₕᵀ) + bo`. So the
//! rows see only `score` and `answer`, of 4·heads columns each; column h·4 + t.

use super::params::{Dense, Init, Parameters};
use super::{FieldConfig, TOKENS};
use crate::Result;
use candle_core::{D, Tensor};

/// Added to the variance of a row before it is divided by.
pub(super) const NORM_EPSILON: f64 = 1e-5;

/// Scale and shift of a layer norm, `[width]` each.
pub(super) struct Norm {
    pub(super) gamma: Tensor,
    pub(super) beta: Tensor,
}

impl Norm {
    fn new(p: &mut Parameters, name: &str, width: usize) -> Result<Self> {
        Ok(Norm {
            gamma: p.add(format!("{name}.gamma"), &[width], Init::Constant(1.0))?,
            beta: p.add(format!("{name}.beta"), &[width], Init::Constant(0.0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + NORM_EPSILON)?.sqrt()?;
        let y = centred.broadcast_div(&deviation)?;
        Ok(y.broadcast_mul(&self.gamma)?.broadcast_add(&self.beta)?)
    }
}

/// One layer.
pub(super) struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    /// After the attention.
    pub(super) norm1: Norm,
    /// The hidden layer of the feed-forward net.
    pub(super) feed1: Dense,
    /// Its output.
    pub(super) feed2: Dense,
    /// After the feed-forward net.
    pub(super) norm2: Norm,
    heads: usize,
}

/// What the rows need of a layer's attention for some frames, J = 4·heads.
pub(super) struct FoldedLayer {
    /// `[b, J, width]`, what a row is multiplied with.
    pub(super) score: Tensor,
    /// `[b, J]`, added to it.
    pub(super) score_bias: Tensor,
    /// `[b, J, width]`, what the weights mix.
    pub(super) answer: Tensor,
}

impl Layer {
    pub(super) fn new(p: &mut Parameters, index: usize, config: &FieldConfig) -> Result<Self> {
        let (width, feed) = (config.model_width, config.feed_width);
        let name = |part: &str| format!("layers.{index}.{part}");
        Ok(Layer {
            query: p.dense(&name("query"), width, width, 1.0)?,
            // A bias would move all four scores of a head alike, which the softmax does not see.
            key: p.linear(&name("key"), width, width)?,
            value: p.dense(&name("value"), width, width, 1.0)?,
            output: p.dense(&name("output"), width, width, 1.0)?,
            norm1: Norm::new(p, &name("norm1"), width)?,
            feed1: p.dense(&name("feed1"), width, feed, 1.0)?,
            feed2: p.dense(&name("feed2"), feed, width, 1.0)?,
            norm2: Norm::new(p, &name("norm2"), width)?,
            heads: config.attention_heads,
        })
    }

    /// Folds queries, keys, values and outputs for tokens `[b, 4, width]`.
    pub(super) fn fold(&self, tokens: &Tensor) -> Result<FoldedLayer> {
        let (frames, _, width) = tokens.dims3()?;
        let (heads, part) = (self.heads, width / self.heads);
        let split = |x: Tensor| -> Result<Tensor> {
            Ok(x.reshape((frames, TOKENS, heads, part))?.transpose(1, 2)?.contiguous()?)
        };
        let key = (split(self.key.forward(tokens)?)? * (1.0 / (part as f64).sqrt()))?;
        let value = split(self.value.forward(tokens)?)?;
        let columns = (frames, heads * TOKENS, width);
        let score =
            key.broadcast_matmul(&self.query.weight.reshape((heads, part, width))?)?.reshape(columns)?;
        let output = self.output.weight.t()?.contiguous()?.reshape((heads, part, width))?;
        let answer = value.broadcast_matmul(&output)?.reshape(columns)?;
        let score_bias = match &self.query.bias {
            Some(bias) => key.broadcast_mul(&bias.reshape((1, heads, 1, part))?)?.sum(3)?,
            None => key.sum(3)?.zeros_like()?,
        };
        Ok(FoldedLayer { score, score_bias: score_bias.reshape((frames, heads * TOKENS))?, answer })
    }

    /// The bias of the output projection, `[width]`, which the rows add themselves.
    pub(super) fn answer_bias(&self) -> Option<&Tensor> {
        self.output.bias.as_ref()
    }

    /// Rows `[b, n, width]` to rows and attention weights `[b, n, 4]`, mean over the heads.
    pub(super) fn forward(&self, x: &Tensor, folded: &FoldedLayer) -> Result<(Tensor, Tensor)> {
        let (frames, rows, _) = x.dims3()?;
        let score = x.matmul(&folded.score.transpose(1, 2)?.contiguous()?)?;
        let score = score.broadcast_add(&folded.score_bias.unsqueeze(1)?)?;
        let score = score.reshape((frames, rows, self.heads, TOKENS))?;
        let weights = candle_nn::ops::softmax(&score, D::Minus1)?;
        let mut answer = weights.reshape((frames, rows, self.heads * TOKENS))?.matmul(&folded.answer)?;
        if let Some(bias) = self.answer_bias() {
            answer = answer.broadcast_add(bias)?;
        }
        let x = self.norm1.forward(&(x + answer)?)?;
        let fed = self.feed2.forward(&self.feed1.forward(&x)?.relu()?)?;
        Ok((self.norm2.forward(&(x + fed)?)?, weights.mean(2)?))
    }
}
