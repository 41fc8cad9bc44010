//! The field's file: parameters and buffers as safetensors.

use super::moments::Moments;
use super::params::{from_bytes, to_bytes};
use super::{EXPRESSION, Field, FieldBounds, FieldConfig};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

impl Field {
    /// The field of [`Field::to_safetensors`]; `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] that names the tensor that is missing, left over, of another shape, or not finite.
    pub fn from_safetensors(config: FieldConfig, at: &str, bytes: &[u8], device: &Device) -> Result<Self> {
        let bounds = FieldBounds { min: [0.0; 3], max: [1.0; 3] };
        let mut field = Self::new(config, &bounds, 0, device)?;
        field.load(at, bytes)?;
        Ok(field)
    }

    /// A field of its own with the same parameters and buffers.
    ///
    /// # Errors
    /// [`Error::Internal`] when candle fails.
    pub fn copy(&self) -> Result<Self> {
        let mut copy = Self::with_dtype(self.config.clone(), &self.bounds, 0, &self.device, self.dtype)?;
        copy.statistics = self.statistics.clone();
        for ((_, to), (_, from)) in copy.parameters().iter().zip(self.parameters()) {
            to.set(&from.as_tensor().copy()?)?;
        }
        Ok(copy)
    }

    /// Puts the parameters and buffers of [`Field::to_safetensors`] into this field, all or none.
    ///
    /// # Errors
    /// As [`Field::from_safetensors`].
    pub fn load(&mut self, at: &str, bytes: &[u8]) -> Result<()> {
        let mut wanted: Vec<_> =
            self.parameters().iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect();
        wanted.extend(self.buffers()?.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())));
        let mut values = from_bytes(at, bytes, &wanted)?;
        let buffers = values.split_off(self.parameters().len()).concat();
        let three = |from: usize| std::array::from_fn(|k| buffers[from + k]);
        let bounds = FieldBounds { min: three(0), max: three(3) };
        bounds.check().map_err(|_| {
            Error::input(
                format!("{at}, tensor bounds"),
                "a box",
                format!("{bounds:?}"),
                "use another checkpoint",
            )
        })?;
        self.bounds = bounds;
        self.heads.reach = self.config.position_range * f64::from(bounds.longest());
        let mut rest = buffers[6..].iter().copied();
        let mut take = |width: usize| -> Vec<f32> { rest.by_ref().take(width).collect() };
        let mut moments = |width: usize| {
            let (mean, deviation) = (take(width), take(width));
            Moments { mean, deviation: deviation.iter().map(|d| d.max(f32::MIN_POSITIVE)).collect() }
        };
        self.statistics.camera = moments(12);
        self.statistics.expression = moments(EXPRESSION);
        self.statistics.audio.moments = moments(self.config.audio_channels);
        self.statistics.expression_range = [take(EXPRESSION), take(EXPRESSION)];
        let (components, channels) = self.config.audio_projection();
        self.statistics.audio.components = take(components * channels);
        for ((_, var), values) in self.parameters().iter().zip(values) {
            var.set(&Tensor::from_vec(values, var.dims(), var.device())?.to_dtype(self.dtype)?)?;
        }
        Ok(())
    }

    /// Parameters and buffers (bounds, statistics of the inputs) as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Internal`] when the device fails.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors: Vec<_> =
            self.parameters().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        tensors.extend(self.buffers()?);
        to_bytes(&tensors)
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let rows = |name: &str, [a, b]: [&[f32]; 2]| -> Result<(String, Tensor)> {
            Ok((name.into(), Tensor::from_vec([a, b].concat(), (2, a.len()), &self.device)?))
        };
        let s = &self.statistics;
        let of = |name: &str, m: &Moments| rows(name, [&m.mean, &m.deviation]);
        let mut buffers = vec![
            rows("bounds", [&self.bounds.min, &self.bounds.max])?,
            of("cameras", &s.camera)?,
            of("expressions", &s.expression)?,
            of("audio_channels", &s.audio.moments)?,
            rows("expression_range", [&s.expression_range[0], &s.expression_range[1]])?,
        ];
        let shape = self.config.audio_projection();
        if shape.0 > 0 {
            let components = Tensor::from_vec(s.audio.components.clone(), shape, &self.device)?;
            buffers.push(("audio_components".into(), components));
        }
        Ok(buffers)
    }
}
