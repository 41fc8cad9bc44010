//! The networks of a frame, on slices: audio net, tokens, and what they fold into the weights of the rows, with a backward pass
//! written by hand. Twin of the graph in `audio_net`, `tokens`, `attention` ([`super::attention::Layer::fold`]) and `heads`;
//! tests hold the two together. For one frame candle's graph spends most of its time on making and sorting some hundred nodes.
//!
//! Slices are row-major, `[rows, width]`; steps of a convolution are rows, its channels columns.

use super::audio_net::{AUDIO_FEATURES, SLOPE as AUDIO_SLOPE};
use super::heads::DRIVES;
use super::matrix::{Matrix, add_rows, fill_rows, multiply, multiply_part};
use super::net_index::LayerIndex;
use super::rows::{FrameLayer, FrameValues, softmax};
use super::tokens::{SLOPE as TOKEN_SLOPE, sinusoid};
use super::{AUDIO_ROWS, Conditions, EXPRESSION, Field, TOKENS};
use crate::{Error, Result};

/// Taps of a convolution.
const TAPS: usize = 3;

/// What a frame's networks gave, and the activations that their backward pass needs.
pub(super) struct FrameNets {
    /// What they fold into the weights of the rows.
    pub(super) values: FrameValues,
    /// Inputs of each convolution and dense layer of the audio net, as taps where they are convolved.
    audio: Vec<Stage>,
    /// `[8, 32]`.
    audio_rows: Vec<f32>,
    attention: Vec<Stage>,
    /// Inputs of the mix, and the weights after the softmax.
    mixed: Vec<f32>,
    row_weights: Vec<f32>,
    /// Input and hidden layer of each token's net.
    token_inputs: [Vec<f32>; TOKENS],
    token_hidden: [Vec<f32>; TOKENS],
    /// `[4, width]`.
    tokens: Vec<f32>,
    /// Scaled keys and values of each layer, `[4, width]`.
    keys: Vec<Vec<f32>>,
    values_of_tokens: Vec<Vec<f32>>,
}

/// Input and output of a layer.
struct Stage {
    input: Vec<f32>,
    output: Vec<f32>,
    /// Rows of the layer's product.
    rows: usize,
    /// Steps before, steps after and stride where it is a convolution.
    convolution: Option<[usize; 3]>,
}

/// Gradients of all parameters of a field; empty where a network has none.
pub(super) type NetGradients = Vec<Vec<f32>>;

fn leaky(x: &mut [f32], slope: f64) {
    x.iter_mut().for_each(|v| *v *= if *v > 0.0 { 1.0 } else { slope as f32 });
}

/// Of [`leaky`], from its output.
fn leaky_backward(gradient: &mut [f32], output: &[f32], slope: f64) {
    gradient.iter_mut().zip(output).for_each(|(g, y)| *g *= if *y > 0.0 { 1.0 } else { slope as f32 });
}

/// The parameters of a field as slices.
struct Weights<'a> {
    parameters: &'a [&'a [f32]],
}

impl Weights<'_> {
    /// x·Wᵀ + b for `rows` rows.
    fn linear(&self, layer: LayerIndex, x: &[f32], rows: usize) -> Vec<f32> {
        let (weight, inputs) = (self.parameters[layer.weight], x.len() / rows);
        let outputs = weight.len() / inputs;
        let mut y = vec![0.0; rows * outputs];
        if let Some(bias) = layer.bias {
            fill_rows(&mut y, self.parameters[bias]);
        }
        multiply(&mut y, 1.0, Matrix::new(x, rows, inputs), Matrix::new(weight, outputs, inputs).t());
        y
    }

    /// From the gradient of [`Weights::linear`] to those of its parameters, added, and of `x`.
    fn linear_backward(
        &self,
        layer: LayerIndex,
        x: &[f32],
        gradient: &[f32],
        rows: usize,
        sums: &mut NetGradients,
    ) -> Vec<f32> {
        let (weight, inputs) = (self.parameters[layer.weight], x.len() / rows);
        let outputs = weight.len() / inputs;
        let g = Matrix::new(gradient, rows, outputs);
        let of_weight = sum_of(sums, layer.weight, weight.len());
        multiply(of_weight, 1.0, g.t(), Matrix::new(x, rows, inputs));
        if let Some(bias) = layer.bias {
            add_rows(sum_of(sums, bias, outputs), gradient);
        }
        let mut of_x = vec![0.0; x.len()];
        multiply(&mut of_x, 0.0, g, Matrix::new(weight, outputs, inputs));
        of_x
    }
}

/// The sum of gradients of a parameter.
fn sum_of(sums: &mut NetGradients, parameter: usize, len: usize) -> &mut [f32] {
    let sum = &mut sums[parameter];
    sum.resize(len, 0.0);
    sum
}

/// The inputs of a convolution with padding 1 side by side, `[rows·after, channels·3]`, from `[rows, steps, channels]`.
fn taps(x: &[f32], rows: usize, steps: usize, stride: usize) -> Vec<f32> {
    let (channels, after) = (x.len() / (rows * steps), steps.div_ceil(stride));
    let mut out = vec![0.0; rows * after * channels * TAPS];
    for (at, out) in out.chunks_exact_mut(channels * TAPS).enumerate() {
        let (row, step) = (at / after, at % after);
        for tap in (0..TAPS).filter(|tap| (1..=steps).contains(&(step * stride + tap))) {
            let from = (row * steps + step * stride + tap - 1) * channels;
            for (c, value) in x[from..from + channels].iter().enumerate() {
                out[c * TAPS + tap] = *value;
            }
        }
    }
    out
}

/// From the gradient of [`taps`] to that of its input.
fn taps_backward(gradient: &[f32], rows: usize, steps: usize, stride: usize) -> Vec<f32> {
    let after = steps.div_ceil(stride);
    let channels = gradient.len() / (rows * after * TAPS);
    let mut out = vec![0.0; rows * steps * channels];
    for (at, gradient) in gradient.chunks_exact(channels * TAPS).enumerate() {
        let (row, step) = (at / after, at % after);
        for tap in (0..TAPS).filter(|tap| (1..=steps).contains(&(step * stride + tap))) {
            let to = (row * steps + step * stride + tap - 1) * channels;
            for (c, value) in out[to..to + channels].iter_mut().enumerate() {
                *value += gradient[c * TAPS + tap];
            }
        }
    }
    out
}

/// `[rows, columns]` the other way round.
fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
}

impl Field {
    /// Runs the networks of a frame on the field's parameters.
    ///
    /// # Errors
    /// [`Error::Internal`] when a condition has another length than the field was made for.
    pub(super) fn frame_nets(&self, parameters: &[&[f32]], conditions: &Conditions) -> Result<FrameNets> {
        let w = Weights { parameters };
        let (nets, config, statistics) = (&self.nets, &self.config, &self.statistics);
        let (channels, steps) = (config.audio_inputs(), config.audio_width);
        let row = AUDIO_ROWS * config.audio_channels * steps;
        let (audio, expression) = (conditions.audio.len(), conditions.expression.len());
        if audio != row || expression != EXPRESSION {
            return Err(Error::Internal(format!(
                "the field listens to {row} audio and {EXPRESSION} expression numbers, got {audio} and {expression}"
            )));
        }
        let heard = |values: Vec<f32>, on: bool| if on { values } else { vec![0.0; values.len()] };
        let inputs = config.inputs;
        let sound = heard(statistics.audio.apply(&conditions.audio, config), inputs.audio);
        let expression = heard(statistics.expression(&conditions.expression), inputs.expression);
        let camera = heard(statistics.camera(&conditions.camera), inputs.camera);
        let code = sinusoid(if inputs.frame { conditions.frame } else { 0.0 });

        // Rows of audio: convolutions over their steps, then dense layers.
        let mut x: Vec<f32> =
            sound.chunks_exact(channels * steps).flat_map(|r| transpose(r, channels, steps)).collect();
        let mut left = steps;
        let mut stages = Vec::new();
        for layer in &nets.convolutions {
            let stage = w.convolve(*layer, &x, AUDIO_ROWS, left, 2);
            left = left.div_ceil(2);
            x.clone_from(&stage.output);
            stages.push(stage);
        }
        for (i, layer) in nets.dense.iter().enumerate() {
            let mut output = w.linear(*layer, &x, AUDIO_ROWS);
            if i + 1 < nets.dense.len() {
                leaky(&mut output, AUDIO_SLOPE);
            }
            let input = std::mem::replace(&mut x, output.clone());
            stages.push(Stage { input, output, rows: AUDIO_ROWS, convolution: None });
        }
        let audio_rows = x;
        // Attention over the rows.
        let mut attention = Vec::new();
        let mut a = audio_rows.clone();
        for layer in &nets.attention {
            let stage = w.convolve(*layer, &a, 1, AUDIO_ROWS, 1);
            a.clone_from(&stage.output);
            attention.push(stage);
        }
        let mut row_weights = w.linear(nets.mix, &a, 1);
        softmax(&mut row_weights);
        let mut audio = vec![0.0; AUDIO_FEATURES];
        for (row, weight) in audio_rows.chunks_exact(AUDIO_FEATURES).zip(&row_weights) {
            audio.iter_mut().zip(row).for_each(|(a, v)| *a += weight * v);
        }

        // Tokens.
        let drives = [audio.clone(), expression.clone()];
        let token_inputs = [audio, expression, camera, code.to_vec()];
        let mut token_hidden: [Vec<f32>; TOKENS] = Default::default();
        let mut tokens = Vec::with_capacity(TOKENS * config.model_width);
        for ((input, hidden), [first, second]) in token_inputs.iter().zip(&mut token_hidden).zip(&nets.tokens)
        {
            *hidden = w.linear(*first, input, 1);
            leaky(hidden, TOKEN_SLOPE);
            tokens.extend(w.linear(*second, hidden, 1));
        }

        // Weights of the rows.
        let (width, heads) = (config.model_width, config.attention_heads);
        let part = width / heads;
        let mut values = FrameValues::default();
        let (mut keys, mut values_of_tokens) = (Vec::new(), Vec::new());
        for [query, key, value, output] in &nets.layers {
            let mut k = w.linear(*key, &tokens, TOKENS);
            k.iter_mut().for_each(|v| *v *= 1.0 / (part as f32).sqrt());
            let v = w.linear(*value, &tokens, TOKENS);
            let mut folded = FrameLayer {
                score: vec![0.0; heads * TOKENS * width],
                score_bias: vec![0.0; heads * TOKENS],
                answer: vec![0.0; heads * TOKENS * width],
            };
            let (of_query, of_output) = (parameters[query.weight], parameters[output.weight]);
            for h in 0..heads {
                let here = h * TOKENS * width..(h + 1) * TOKENS * width;
                let own = Matrix::part(&k, TOKENS, width, h * part, part);
                let rows = Matrix::new(&of_query[h * part * width..(h + 1) * part * width], part, width);
                multiply(&mut folded.score[here.clone()], 0.0, own, rows);
                let own = Matrix::part(&v, TOKENS, width, h * part, part);
                let columns = Matrix::part(of_output, width, width, h * part, part);
                multiply(&mut folded.answer[here], 0.0, own, columns.t());
                if let Some(bias) = query.bias {
                    let bias = &parameters[bias][h * part..(h + 1) * part];
                    for (t, to) in folded.score_bias[h * TOKENS..(h + 1) * TOKENS].iter_mut().enumerate() {
                        let key = &k[t * width + h * part..][..part];
                        *to = key.iter().zip(bias).map(|(k, b)| k * b).sum();
                    }
                }
            }
            values.layers.push(folded);
            keys.push(k);
            values_of_tokens.push(v);
        }
        for (i, driven) in nets.driven.iter().enumerate() {
            let (drive, driven) = (&drives[i % DRIVES.len()], parameters[*driven]);
            let outputs = driven.len() / drive.len();
            let mut layer = vec![0.0; outputs];
            multiply(
                &mut layer,
                0.0,
                Matrix::new(drive, 1, drive.len()),
                Matrix::new(driven, drive.len(), outputs),
            );
            values.heads.push(layer);
        }
        Ok(FrameNets {
            values,
            audio: stages,
            audio_rows,
            attention,
            mixed: a,
            row_weights,
            token_inputs,
            token_hidden,
            tokens,
            keys,
            values_of_tokens,
        })
    }

    /// Gradients of the networks' parameters from those of what a frame folded.
    pub(super) fn frame_nets_backward(
        &self,
        parameters: &[&[f32]],
        frame: &FrameNets,
        gradient: &FrameValues,
    ) -> NetGradients {
        let w = Weights { parameters };
        let (nets, config) = (&self.nets, &self.config);
        let mut sums: NetGradients = vec![Vec::new(); parameters.len()];
        let (width, heads) = (config.model_width, config.attention_heads);
        let part = width / heads;

        // Heads that follow the drives.
        let mut of_drives = [vec![0.0; AUDIO_FEATURES], vec![0.0; EXPRESSION]];
        for (i, (driven, gradient)) in nets.driven.iter().zip(&gradient.heads).enumerate() {
            let drive = &frame.token_inputs[i % DRIVES.len()];
            let (rows, outputs) = (drive.len(), gradient.len());
            let g = Matrix::new(gradient, 1, outputs);
            multiply(sum_of(&mut sums, *driven, rows * outputs), 1.0, Matrix::new(drive, 1, rows).t(), g);
            let weights = Matrix::new(parameters[*driven], rows, outputs);
            multiply(&mut of_drives[i % DRIVES.len()], 1.0, g, weights.t());
        }

        // Keys and values of the layers.
        let mut of_tokens = vec![0.0; TOKENS * width];
        for (l, [query, key, value, output]) in nets.layers.iter().enumerate() {
            let (k, v, g) = (&frame.keys[l], &frame.values_of_tokens[l], &gradient.layers[l]);
            let (mut of_k, mut of_v) = (vec![0.0; TOKENS * width], vec![0.0; TOKENS * width]);
            let (of_query, of_output) = (parameters[query.weight], parameters[output.weight]);
            // Both as they lie in the parameters: rows of the query, columns of the output.
            let mut sum_output = std::mem::take(&mut sums[output.weight]);
            sum_output.resize(width * width, 0.0);
            for h in 0..heads {
                let here = h * TOKENS * width..(h + 1) * TOKENS * width;
                let of_score = Matrix::new(&g.score[here.clone()], TOKENS, width);
                let of_answer = Matrix::new(&g.answer[here], TOKENS, width);
                let rows = h * part * width..(h + 1) * part * width;
                let own = Matrix::part(k, TOKENS, width, h * part, part);
                let sum = &mut sum_of(&mut sums, query.weight, width * width)[rows.clone()];
                multiply(sum, 1.0, own.t(), of_score);
                let columns = Matrix::new(&of_query[rows], part, width).t();
                multiply_part(&mut of_k, width, h * part, 0.0, of_score, columns);
                let own = Matrix::part(v, TOKENS, width, h * part, part);
                multiply_part(&mut sum_output, width, h * part, 1.0, of_answer.t(), own);
                let columns = Matrix::part(of_output, width, width, h * part, part);
                multiply_part(&mut of_v, width, h * part, 0.0, of_answer, columns);
                if let Some(bias) = query.bias {
                    let values = &parameters[bias][h * part..(h + 1) * part];
                    let sum = &mut sum_of(&mut sums, bias, width)[h * part..(h + 1) * part];
                    for (t, g) in g.score_bias[h * TOKENS..(h + 1) * TOKENS].iter().enumerate() {
                        let at = t * width + h * part;
                        for p in 0..part {
                            sum[p] += g * k[at + p];
                            of_k[at + p] += g * values[p];
                        }
                    }
                }
            }
            sums[output.weight] = sum_output;
            of_k.iter_mut().for_each(|v| *v *= 1.0 / (part as f32).sqrt());
            for (layer, gradient) in [(key, of_k), (value, of_v)] {
                let back = w.linear_backward(*layer, &frame.tokens, &gradient, TOKENS, &mut sums);
                of_tokens.iter_mut().zip(back).for_each(|(t, b)| *t += b);
            }
        }

        // Tokens.
        let [of_audio, _] = &mut of_drives;
        for (t, [first, second]) in nets.tokens.iter().enumerate() {
            let gradient = &of_tokens[t * width..(t + 1) * width];
            let hidden = &frame.token_hidden[t];
            let mut of_hidden = w.linear_backward(*second, hidden, gradient, 1, &mut sums);
            leaky_backward(&mut of_hidden, hidden, TOKEN_SLOPE);
            let of_input = w.linear_backward(*first, &frame.token_inputs[t], &of_hidden, 1, &mut sums);
            if t == 0 {
                of_audio.iter_mut().zip(of_input).for_each(|(a, g)| *a += g);
            }
        }

        // Attention over the rows of audio.
        let rows = frame.audio_rows.chunks_exact(AUDIO_FEATURES);
        let dot = |row: &[f32]| row.iter().zip(of_audio.iter()).map(|(r, g)| r * g).sum::<f32>();
        let of_weights: Vec<f32> = rows.map(dot).collect();
        let mean: f32 = of_weights.iter().zip(&frame.row_weights).map(|(g, w)| g * w).sum();
        let of_mix: Vec<f32> =
            of_weights.iter().zip(&frame.row_weights).map(|(g, w)| w * (g - mean)).collect();
        let mut of_attention = w.linear_backward(nets.mix, &frame.mixed, &of_mix, 1, &mut sums);
        for (layer, stage) in nets.attention.iter().zip(&frame.attention).rev() {
            of_attention = w.stage_backward(*layer, stage, of_attention, true, &mut sums);
        }
        let mut x = of_attention;
        for (row, weight) in x.chunks_exact_mut(AUDIO_FEATURES).zip(&frame.row_weights) {
            row.iter_mut().zip(of_audio.iter()).for_each(|(x, g)| *x += weight * g);
        }

        // Rows of audio.
        let layers: Vec<LayerIndex> = nets.convolutions.iter().chain(&nets.dense).copied().collect();
        for (i, (layer, stage)) in layers.iter().zip(&frame.audio).enumerate().rev() {
            x = w.stage_backward(*layer, stage, x, i + 1 < layers.len(), &mut sums);
        }
        sums
    }
}

impl Weights<'_> {
    /// A convolution with a leaky ReLU after it, `[rows, steps, channels]` to `[rows, steps / stride, outputs]`.
    fn convolve(&self, layer: LayerIndex, x: &[f32], rows: usize, steps: usize, stride: usize) -> Stage {
        let input = taps(x, rows, steps, stride);
        let after = steps.div_ceil(stride);
        let mut output = self.linear(layer, &input, rows * after);
        leaky(&mut output, AUDIO_SLOPE);
        Stage { input, output, rows: rows * after, convolution: Some([rows, steps, stride]) }
    }

    /// From the gradient of a layer's output to that of its input.
    fn stage_backward(
        &self,
        layer: LayerIndex,
        stage: &Stage,
        mut gradient: Vec<f32>,
        is_leaky: bool,
        sums: &mut NetGradients,
    ) -> Vec<f32> {
        if is_leaky {
            leaky_backward(&mut gradient, &stage.output, AUDIO_SLOPE);
        }
        let back = self.linear_backward(layer, &stage.input, &gradient, stage.rows, sums);
        match stage.convolution {
            Some([rows, steps, stride]) => taps_backward(&back, rows, steps, stride),
            None => back,
        }
    }
}
