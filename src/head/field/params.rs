//! Parameters of the field: named, in a fixed order, seeded.
//!
//! Each tensor draws from a stream of its own, ChaCha8 keyed by SHA-256 of the seed and the tensor's name, so adding
//! a parameter changes none of the others. They are stored as safetensors, together with the buffers, which are
//! not learned.

use crate::head::numbers::check_numbers;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use safetensors::{SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

/// How a tensor starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Init {
    /// All the same.
    Constant(f64),
    /// Uniform between two numbers.
    Uniform(f64, f64),
}

impl Init {
    /// Xavier-uniform (Glorot and Bengio 2010): ± gain·√(6 / (in + out)).
    pub(super) fn xavier(gain: f64, inputs: usize, outputs: usize) -> Self {
        let bound = gain * (6.0 / (inputs + outputs) as f64).sqrt();
        Init::Uniform(-bound, bound)
    }

    /// PyTorch's default of biases and convolutions: ± 1/√fan_in.
    pub(super) fn fan_in(inputs: usize) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        Init::Uniform(-bound, bound)
    }
}

/// Collects parameters in the order they are asked for.
pub(super) struct Parameters {
    /// What is learned, in order.
    pub(super) list: Vec<(String, Var)>,
    seed: u64,
    dtype: DType,
    device: Device,
}

impl Parameters {
    pub(super) fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Parameters { list: Vec::new(), seed, dtype, device: device.clone() }
    }

    /// A new parameter; the tensor returned shares its storage, so it follows the learning.
    pub(super) fn add(&mut self, name: String, shape: &[usize], init: Init) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = match init {
            Init::Constant(value) => vec![value as f32; count],
            Init::Uniform(low, high) => {
                let mut stream = stream(self.seed, &name);
                (0..count).map(|_| (low + (high - low) * unit(&mut stream)) as f32).collect()
            }
        };
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?)?;
        let tensor = var.as_tensor().clone();
        self.list.push((name, var));
        Ok(tensor)
    }

    /// A dense layer, weight `[outputs, inputs]` Xavier with a gain, bias as PyTorch starts it.
    pub(super) fn dense(&mut self, name: &str, inputs: usize, outputs: usize, gain: f64) -> Result<Dense> {
        let weight =
            self.add(format!("{name}.weight"), &[outputs, inputs], Init::xavier(gain, inputs, outputs))?;
        let bias = self.add(format!("{name}.bias"), &[outputs], Init::fan_in(inputs))?;
        Ok(Dense { weight, bias: Some(bias) })
    }

    /// A dense layer without bias.
    pub(super) fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
        let weight =
            self.add(format!("{name}.weight"), &[outputs, inputs], Init::xavier(1.0, inputs, outputs))?;
        Ok(Dense { weight, bias: None })
    }
}

/// y = x·Wᵀ + b.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    /// `[outputs, inputs]`.
    pub(super) weight: Tensor,
    /// `[outputs]`.
    pub(super) bias: Option<Tensor>,
}

impl Dense {
    /// `[..., inputs]` to `[..., outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / inputs;
        let mut y = x.reshape((rows, inputs))?.matmul(&self.weight.t()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        Ok(y.reshape(shape)?)
    }
}

fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let key = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name.as_bytes()).finalize();
    let mut bytes = [0u8; 32];
    bytes.copy_from_slice(&key);
    ChaCha8Rng::from_seed(bytes)
}

/// Uniform in [0, 1), 24 bits.
fn unit(stream: &mut ChaCha8Rng) -> f64 {
    f64::from(stream.next_u32() >> 8) / f64::from(1u32 << 24)
}

/// Named tensors as the bytes of a safetensors file, in f32.
pub(super) fn to_bytes(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        data.push((name.as_str(), tensor.dims().to_vec(), bytes));
    }
    let internal = |e: safetensors::SafeTensorError| Error::Internal(format!("writing the field: {e}"));
    let mut views = Vec::with_capacity(data.len());
    for (name, shape, bytes) in &data {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).map_err(internal)?;
        views.push((*name, view));
    }
    safetensors::serialize(views, None).map_err(internal)
}

/// The tensors of exactly these names and shapes out of a safetensors file; `at` names the file in errors.
///
/// # Errors
/// [`Error::Input`] that names the tensor that is missing, left over, of another shape or type, or not finite.
pub(super) fn from_bytes(at: &str, bytes: &[u8], wanted: &[(String, Vec<usize>)]) -> Result<Vec<Vec<f32>>> {
    const REMEDY: &str = "use the file and the configuration of the same model";
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        Error::input(at, "a safetensors file", e.to_string(), "check that the file is complete")
    })?;
    if let Some(name) = file.names().into_iter().find(|n| wanted.iter().all(|(w, _)| w != n)) {
        return Err(Error::input(
            format!("{at}, tensor {name}"),
            "only tensors of the field",
            "one more",
            REMEDY,
        ));
    }
    let mut out = Vec::with_capacity(wanted.len());
    for (name, shape) in wanted {
        let file_name = at;
        let at = format!("{at}, tensor {name}");
        let view = file
            .tensor(name)
            .map_err(|_| Error::input(&at, format!("a tensor of shape {shape:?}"), "nothing", REMEDY))?;
        if view.dtype() != safetensors::Dtype::F32 || view.shape() != shape {
            let found = format!("{:?} of shape {:?}", view.dtype(), view.shape());
            return Err(Error::input(&at, format!("F32 of shape {shape:?}"), found, REMEDY));
        }
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        // The range of an expression that was never seen is endless.
        if name != "expression_range" || values.iter().any(|v| !v.is_finite()) {
            check_numbers(file_name, &format!("field.{name}"), &values)?;
        }
        out.push(values);
    }
    Ok(out)
}
