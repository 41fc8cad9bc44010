//! Compute pipelines, made when first used.

use super::shaders::{Reduce, Shader, browser_source, source_with};
use crate::Result;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Constants of a permutation, by the name they are declared with.
pub(crate) type Constants = Vec<(&'static str, u32)>;

/// A stage with its parts, how it sums, and its constants.
type Permutation = (Shader, Reduce, Constants);

/// A pipeline of every permutation that was asked for. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Pipelines {
    device: wgpu::Device,
    made: Arc<Mutex<BTreeMap<Permutation, wgpu::ComputePipeline>>>,
}

impl Pipelines {
    pub(super) fn new(device: wgpu::Device) -> Self {
        Pipelines { device, made: Arc::default() }
    }

    pub(super) fn get(
        &self,
        shader: Shader,
        reduce: Reduce,
        constants: Constants,
    ) -> Result<wgpu::ComputePipeline> {
        let stage = shader.stage;
        let key = (shader, reduce, constants);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = made.get(&key) {
            return Ok(pipeline.clone());
        }
        let text = if cfg!(target_arch = "wasm32") {
            browser_source(stage, &key.0.parts, reduce)?
        } else {
            source_with(stage, &key.0.parts, reduce)?
        };
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(stage),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let constants: Vec<(&str, f64)> =
            key.2.iter().map(|&(name, value)| (name, f64::from(value))).collect();
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(stage),
            layout: None,
            module: &module,
            entry_point: Some(stage),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // Shaders set what they read; see the tests of gpu::shaders.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        made.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}
