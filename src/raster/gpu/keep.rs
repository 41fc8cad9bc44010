//! Surfels that stay on the device: their own parameters, gradients and moments.

use super::layout::AdamWords;
use super::rows::FromRows;
use super::score::{Goals, score_all};
use super::{GpuRasterizer, checks, forward};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append, size_class};
use crate::gpu::kernels::Recorder;
use crate::gpu::shaders::Reduce;
use crate::gpu::shared::SharedPlaces;
use crate::raster::keep::{Keeper, Kept, Look, Looked, Rates, Rows};
use crate::raster::score::{OnHost, Staged, Weights};
use crate::raster::{Colors, RasterSettings, Rendered, SurfelBatch};
use crate::{Camera, Error, Result};

/// Numbers of a surfel's position, rotation, log-scale and opacity logit.
const WIDTHS: [usize; 4] = [3, 4, 2, 1];
/// In all.
pub(super) const GEOMETRY: usize = 10;

/// Keeps surfels on a device.
pub(super) struct GpuKeeper<'r> {
    pub(super) rasterizer: &'r GpuRasterizer,
    pub(super) surfels: usize,
    /// Numbers of a surfel's harmonics.
    pub(super) stored: usize,
    sh_degree: usize,
    pub(super) held: Option<Held>,
    looked: bool,
}

/// What lies on the device.
pub(super) struct Held {
    /// Geometry, then harmonics: parameters, first and second moments each.
    arrays: [[Loan; 3]; 2],
    /// Gradients of the last look, geometry then harmonics.
    pub(super) sums: Loan,
    /// Not 0 where one of them is not finite.
    pub(super) broken: Loan,
}

impl Held {
    pub(super) fn geometry(&self) -> &Loan {
        &self.arrays[0][0]
    }

    pub(super) fn harmonics(&self) -> &Loan {
        &self.arrays[1][0]
    }
}

impl<'r> GpuKeeper<'r> {
    /// One that keeps nothing yet.
    pub(super) fn new(rasterizer: &'r GpuRasterizer) -> Self {
        GpuKeeper { rasterizer, surfels: 0, stored: 0, sh_degree: 0, held: None, looked: false }
    }

    pub(super) fn held(&self) -> Result<&Held> {
        self.held.as_ref().ok_or_else(|| Error::Internal("no surfels are kept on the device".into()))
    }

    fn numbers(&self) -> [usize; 2] {
        [GEOMETRY * self.surfels, self.stored * self.surfels]
    }

    /// What is drawn, as far as only its counts mean anything, and the size of the images.
    fn shape(
        &self,
        cameras: &[Camera],
        settings: &RasterSettings,
        degree: usize,
        rows: &Rows<'_>,
    ) -> Result<(SurfelBatch<'static>, [usize; 2])> {
        let shape = SurfelBatch {
            surfels: 0,
            copies: 1,
            positions: &[],
            rotations: &[],
            scales: &[],
            opacities: &[],
            colors: Colors::Harmonics { degree, coefficients: &[] },
            attention: Some(&[]),
        };
        let (_, size) = checks::check(&shape, cameras, settings)?;
        let copies = if matches!(rows, Rows::None) { 1 } else { cameras.len() };
        Ok((SurfelBatch { surfels: self.surfels, copies, ..shape }, size))
    }

    /// Refuses more surfels than the device has room for, before anything is allocated.
    fn check_room(&self, surfels: usize, stored: usize) -> Result<()> {
        let limit = self.rasterizer.gpu.binding_limit();
        let each = 4 * (GEOMETRY + stored) as u64;
        if size_class(each * surfels as u64) <= limit {
            return Ok(());
        }
        // Sizes come in eighths of a power of two.
        let most = limit / 8 * 7 / each;
        Err(Error::input(
            format!("the memory of {}", self.rasterizer.gpu.name()),
            format!("buffers of at most {} MiB", limit >> 20),
            format!("{surfels} surfels, whose gradients take {} MiB", (each * surfels as u64) >> 20),
            format!("use --max_points {most} or fewer, or --device cpu"),
        ))
    }
}

impl Keeper for GpuKeeper<'_> {
    fn put(&mut self, kept: &Kept<&[f32]>) -> Result<()> {
        let surfels = kept.parameters[3].len();
        let stored = 3 * (kept.sh_degree + 1).pow(2);
        let fits = |arrays: &[&[f32]; 5]| {
            let widths = WIDTHS.into_iter().chain([stored]);
            arrays.iter().zip(widths).all(|(values, width)| values.len() == surfels * width)
        };
        let all = [&kept.parameters, &kept.first, &kept.second];
        if kept.sh_degree > 3 || !all.into_iter().all(fits) || u32::try_from(surfels).is_err() {
            let found = kept.parameters.map(<[f32]>::len);
            return Err(Error::Internal(format!(
                "arrays of {found:?} numbers for {surfels} surfels to keep"
            )));
        }
        self.check_room(surfels, stored)?;
        let gpu = &self.rasterizer.gpu;
        // What was kept makes room first.
        self.held = None;
        let geometry = |arrays: &[&[f32]; 5]| gpu.upload(&arrays[..4]);
        let harmonics = |arrays: &[&[f32]; 5]| gpu.upload(&arrays[4..]);
        let [a, b, c] = all;
        self.held = Some(Held {
            arrays: [
                [geometry(a)?, geometry(b)?, geometry(c)?],
                [harmonics(a)?, harmonics(b)?, harmonics(c)?],
            ],
            sums: gpu.storage(4 * ((GEOMETRY + stored) * surfels) as u64),
            broken: gpu.storage(4),
        });
        (self.surfels, self.stored, self.sh_degree, self.looked) = (surfels, stored, kept.sh_degree, false);
        Ok(())
    }

    fn get(&self) -> Result<Kept<Vec<f32>>> {
        let held = self.held()?;
        let bytes = self.numbers().map(|n| 4 * n as u64);
        let mut kept = Kept { sh_degree: self.sh_degree, ..Kept::default() };
        let sources: Vec<(&wgpu::Buffer, u64)> =
            (0..3).flat_map(|k| [(&*held.arrays[0][k], bytes[0]), (&*held.arrays[1][k], bytes[1])]).collect();
        let encoder = self.rasterizer.gpu.device.create_command_encoder(&Default::default());
        self.rasterizer.gpu.submit_and_read(encoder, &sources, |i, data| {
            let arrays = [&mut kept.parameters, &mut kept.first, &mut kept.second];
            let Some([p, q, s, o, h]) = arrays.into_iter().nth(i / 2) else { return };
            if i % 2 == 1 {
                return append(h, data);
            }
            let mut rest = data;
            for (to, width) in [p, q, s, o].into_iter().zip(WIDTHS) {
                let (here, after) = rest.split_at(4 * width * self.surfels);
                append(to, here);
                rest = after;
            }
        })?;
        Ok(kept)
    }

    fn positions(&self, to: &mut Vec<f32>) -> Result<()> {
        to.clear();
        let sources: [(&wgpu::Buffer, u64); 1] = [(self.held()?.geometry(), 12 * self.surfels as u64)];
        let encoder = self.rasterizer.gpu.device.create_command_encoder(&Default::default());
        self.rasterizer.gpu.submit_and_read(encoder, &sources, |_, data| append(to, data))
    }

    fn places(&self) -> Result<SharedPlaces> {
        Ok(SharedPlaces::lying_in(self.held()?.geometry(), self.surfels))
    }

    fn look(
        &mut self,
        look: &Look<'_>,
        staged: Option<Staged>,
        rows: Rows<'_>,
        on_host: Option<OnHost<'_>>,
    ) -> Result<Looked> {
        let staged = staged.and_then(|Staged(goals)| goals.downcast::<Goals>().ok()).map(|goals| *goals);
        let outputs = look.weights.outputs();
        let settings = RasterSettings { background: look.background, outputs };
        let (shape, size) = self.shape(look.cameras, &settings, look.degree, &rows)?;
        let mut looked = Looked::default();
        let radii = look.statistics.then_some(&mut looked.radii);
        let mut ends = FromRows::new(self, &shape, look, &settings, size, rows)?;
        looked.scores = score_all(
            self.rasterizer,
            &shape,
            look.cameras,
            size,
            look.goals,
            look.weights,
            staged,
            on_host,
            &mut ends,
            radii,
        )?;
        (looked.finite, looked.screen) = ends.found();
        self.looked = true;
        Ok(looked)
    }

    fn show(
        &self,
        cameras: &[Camera],
        settings: &RasterSettings,
        degree: usize,
        rows: Rows<'_>,
    ) -> Result<Rendered> {
        let (shape, size) = self.shape(cameras, settings, degree, &rows)?;
        let weights = Weights::default();
        let look = Look {
            cameras,
            background: settings.background,
            goals: &[],
            weights: &weights,
            degree,
            rest: 0.0,
            statistics: false,
        };
        let mut ends = FromRows::new(self, &shape, &look, settings, size, rows)?;
        forward::forward_from(self.rasterizer, &shape, cameras, settings, size, &mut ends)
    }

    fn step(&mut self, rates: &Rates) -> Result<()> {
        let held = self.held()?;
        if !self.looked {
            return Err(Error::Internal("a step of Adam without gradients".into()));
        }
        let gpu = &self.rasterizer.gpu;
        let mut recorder = Recorder::new(gpu, Default::default());
        let mut constants = Vec::new();
        for (k, (count, [parameters, first, second])) in
            self.numbers().into_iter().zip(&held.arrays).enumerate()
        {
            let [correction1, correction2] = rates.corrections;
            let words = AdamWords {
                count: count as u32,
                surfels: self.surfels as u32,
                stored: if k == 0 { 0 } else { self.stored as u32 },
                first_gradient: if k == 0 { 0 } else { (GEOMETRY * self.surfels) as u32 },
                correction1,
                correction2,
                position: rates.position,
                rotation: rates.rotation,
                scaling: rates.scaling,
                opacity: rates.opacity,
                feature: rates.feature,
                higher: rates.higher,
            };
            // Lent until everything is submitted.
            constants.push(gpu.branching(&words.words()));
            let words: &wgpu::Buffer = &constants[k];
            let buffers: [(u32, &wgpu::Buffer); 5] =
                [(0, words), (1, &held.sums), (2, parameters), (3, first), (4, second)];
            recorder.stage("adam", Reduce::Threads, vec![], &buffers, (count as u64).div_ceil(256))?;
        }
        recorder.send()
    }

    fn device(&self) -> &Gpu {
        &self.rasterizer.gpu
    }
}
