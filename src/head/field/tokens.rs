//! The four tokens a surfel attends to: audio, expression, camera, frame (SyncGaussianTalker). Each is a vector of
//! the model's width, made from the frame's conditions by two linear layers without bias.
//!
//! Camera, expression and audio are first brought to mean 0 and deviation 1 over the training ([`InputStatistics`]).

use super::audio_net::{AUDIO_FEATURES, AudioNet, layers, leaky};
use super::params::{Dense, Parameters};
use super::statistics::InputStatistics;
use super::{AUDIO_ROWS, Conditions, EXPRESSION, FieldConfig};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// Length of the frame's sinusoid.
const FRAME_CODE: usize = 64;
/// Of the tokens' leaky ReLUs.
pub(super) const SLOPE: f64 = 0.01;

/// Two linear layers, leaky ReLU between.
struct Mlp(Vec<Dense>);

impl Mlp {
    fn new(p: &mut Parameters, name: &str, widths: [usize; 3]) -> Result<Self> {
        Ok(Mlp(layers(&widths, |i, a, b| p.linear(&format!("tokens.{name}.{i}"), a, b))?))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0[1].forward(&leaky(&self.0[0].forward(x)?, SLOPE)?)
    }
}

/// The nets of the tokens.
pub(super) struct TokenNets {
    audio_net: AudioNet,
    audio: Mlp,
    expression: Mlp,
    camera: Mlp,
    frame: Mlp,
    config: FieldConfig,
}

impl TokenNets {
    pub(super) fn new(p: &mut Parameters, config: &FieldConfig) -> Result<Self> {
        let width = config.model_width;
        Ok(TokenNets {
            audio_net: AudioNet::new(p, config)?,
            audio: Mlp::new(p, "audio", [AUDIO_FEATURES, 64, width])?,
            expression: Mlp::new(p, "expression", [EXPRESSION, 64, width])?,
            camera: Mlp::new(p, "camera", [12, 64, width])?,
            frame: Mlp::new(p, "frame", [FRAME_CODE, 32, width])?,
            config: config.clone(),
        })
    }

    /// The tokens of some frames, `[b, 4, width]`, and what drives their heads, sound and blendshapes, `[b, width]` each.
    ///
    /// # Errors
    /// [`Error::Internal`] when a condition has another length than the field was made for.
    pub(super) fn forward(
        &self,
        conditions: &[Conditions],
        statistics: &InputStatistics,
        device: &Device,
        dtype: DType,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let (config, inputs) = (&self.config, self.config.inputs);
        let frames = conditions.len();
        let row = AUDIO_ROWS * config.audio_channels * config.audio_width;
        let (mut audio, mut expression, mut camera, mut frame) = (vec![], vec![], vec![], vec![]);
        for c in conditions {
            if c.audio.len() != row || c.expression.len() != EXPRESSION {
                let (a, e) = (c.audio.len(), c.expression.len());
                return Err(Error::Internal(format!(
                    "the field listens to {row} audio and {EXPRESSION} expression numbers, got {a} and {e}"
                )));
            }
            push(&mut audio, &statistics.audio.apply(&c.audio, config), inputs.audio);
            push(&mut expression, &statistics.expression(&c.expression), inputs.expression);
            push(&mut camera, &statistics.camera(&c.camera), inputs.camera);
            frame.extend(sinusoid(if inputs.frame { c.frame } else { 0.0 }));
        }
        let tensor = |values: Vec<f32>, shape: &[usize]| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
        };
        let audio = self
            .audio_net
            .forward(&tensor(audio, &[frames, AUDIO_ROWS, config.audio_inputs(), config.audio_width])?)?;
        let expression = tensor(expression, &[frames, EXPRESSION])?;
        let tokens = [
            self.audio.forward(&audio)?,
            self.expression.forward(&expression)?,
            self.camera.forward(&tensor(camera, &[frames, 12])?)?,
            self.frame.forward(&tensor(frame, &[frames, FRAME_CODE])?)?,
        ];
        Ok((Tensor::stack(&tokens, 1)?, vec![audio, expression]))
    }
}

fn push(to: &mut Vec<f32>, values: &[f32], heard: bool) {
    to.extend(values.iter().map(|v| if heard { *v } else { 0.0 }));
}

/// sin and cos of the frame's index at 32 frequencies from 1 to 1e-4, interleaved (Vaswani et al. 2017, §3.5).
pub(super) fn sinusoid(frame: f32) -> [f32; FRAME_CODE] {
    std::array::from_fn(|i| {
        let rate = 1e4f64.powf(-((i / 2 * 2) as f64) / FRAME_CODE as f64);
        let angle = f64::from(frame) * rate;
        (if i % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    })
}
