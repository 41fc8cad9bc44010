//! Tri-plane sampling as a custom operation of candle's graph.

use super::triplane::{Prepared, Real, Site, TriPlane, product, product_backward, sample_three, scatter};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of one rayon task.
const CHUNK: usize = 256;

impl TriPlane {
    /// Features `[rows, scales·channels]`, in the graph of the planes.
    pub(super) fn forward(&self, prepared: &Prepared) -> Result<Tensor> {
        let mut scales = Vec::with_capacity(self.planes.len());
        for (scale, [xy, xz, yz]) in self.planes.iter().enumerate() {
            let op = Sampling { sites: prepared.sites.clone(), scale, side: self.sides[scale] };
            scales.push(xy.apply_op3(xz, yz, op)?);
        }
        Ok(Tensor::cat(&scales, 1)?)
    }
}

/// Features of one scale from its three planes.
struct Sampling {
    sites: Arc<Vec<Vec<Site>>>,
    scale: usize,
    side: usize,
}

impl Sampling {
    fn sites(&self) -> &[Site] {
        &self.sites[self.scale]
    }

    fn features<R: Real>(&self, planes: [&[R]; 3], channels: usize) -> Vec<R> {
        let mut out = vec![R::zero(); self.sites().len() * channels];
        let chunks = out.par_chunks_mut(CHUNK * channels).zip(self.sites().par_chunks(CHUNK));
        chunks.for_each(|(out, sites)| {
            let mut samples = vec![R::zero(); 3 * channels];
            for (out, site) in out.chunks_exact_mut(channels).zip(sites) {
                sample_three(planes, site, self.side, &mut samples);
                product(&samples, out);
            }
        });
        out
    }

    fn gradients<R: Real>(
        &self,
        planes: [&Tensor; 3],
        gradient: &Tensor,
    ) -> candle_core::Result<[Tensor; 3]> {
        let channels = gradient.dim(1)?;
        let values =
            |t: &Tensor| -> candle_core::Result<Vec<R>> { t.contiguous()?.flatten_all()?.to_vec1::<R>() };
        let [a, b, c] = planes;
        let (a, b, c, gradient) = (values(a)?, values(b)?, values(c)?, values(gradient)?);
        let mut rows = vec![R::zero(); self.sites().len() * 3 * channels];
        let chunks = rows.par_chunks_mut(3 * channels).zip(gradient.par_chunks(channels)).zip(self.sites());
        chunks.for_each(|((samples, gradient), site)| {
            sample_three([&a, &b, &c], site, self.side, samples);
            product_backward(samples, gradient);
        });
        let plane = |axes: usize| {
            let mut plane = vec![R::zero(); self.side * self.side * channels];
            let part = [3 * channels, axes * channels, channels];
            scatter(&mut plane, self.sites(), axes, self.side, &rows, part);
            Tensor::from_vec(plane, (self.side, self.side, channels), planes[axes].device())
        };
        let mut out: Vec<_> = (0..3).into_par_iter().map(plane).collect::<candle_core::Result<_>>()?;
        match (out.pop(), out.pop(), out.pop()) {
            (Some(c), Some(b), Some(a)) => Ok([a, b, c]),
            _ => candle_core::bail!("three planes have three gradients"),
        }
    }
}

impl CustomOp3 for Sampling {
    fn name(&self) -> &'static str {
        "tri-plane sampling"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let channels = l1.dims()[2];
        let shape = Shape::from((self.sites().len(), channels));
        let planes = [(s1, l1), (s2, l2), (s3, l3)];
        let out = match s1 {
            CpuStorage::F32(_) => CpuStorage::F32(self.features(slices(planes)?, channels)),
            CpuStorage::F64(_) => CpuStorage::F64(self.features(slices(planes)?, channels)),
            _ => candle_core::bail!("planes are f32 or f64"),
        };
        Ok((out, shape))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _res: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = match gradient.dtype() {
            DType::F64 => self.gradients::<f64>([a, b, c], gradient)?,
            _ => self.gradients::<f32>([a, b, c], gradient)?,
        };
        Ok((Some(a), Some(b), Some(c)))
    }
}

fn slices<'a, R: Real>(planes: [(&'a CpuStorage, &Layout); 3]) -> candle_core::Result<[&'a [R]; 3]> {
    let slice = |(storage, layout): (&'a CpuStorage, &Layout)| -> candle_core::Result<&'a [R]> {
        match layout.contiguous_offsets() {
            Some((start, end)) => Ok(&storage.as_slice::<R>()?[start..end]),
            None => candle_core::bail!("planes are contiguous"),
        }
    };
    let [a, b, c] = planes;
    Ok([slice(a)?, slice(b)?, slice(c)?])
}

/// Runs `work` on the values of f32 tensors on the CPU without copying them.
///
/// # Errors
/// [`Error::Internal`] for tensors that are elsewhere, of another type, or not contiguous.
pub(super) fn with_values<T>(tensors: &[&Tensor], work: impl FnOnce(&[&[f32]]) -> Result<T>) -> Result<T> {
    let guards: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let mut slices = Vec::with_capacity(guards.len());
    for (storage, layout) in &guards {
        let candle_core::Storage::Cpu(storage) = &**storage else {
            return Err(Error::Internal("a tensor the CPU should read is on another device".into()));
        };
        let Some((start, end)) = layout.contiguous_offsets() else {
            return Err(Error::Internal("a tensor the CPU should read is not contiguous".into()));
        };
        slices.push(&storage.as_slice::<f32>()?[start..end]);
    }
    work(&slices)
}
