//! Surfels that stay on the device: their own parameters, gradients and moments.

use super::forward::{self, WORK_BYTES, Work};
use super::inputs::Inputs;
use super::layout::AdamWords;
use super::rows::Activation;
use super::{GpuRasterizer, backward, checks};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append, size_class};
use crate::gpu::kernels::{Recorder, Timing};
use crate::gpu::shaders::Reduce;
use crate::loss::gpu::{self as loss_gpu, DeviceTargets, LossSums};
use crate::loss::{Weights, check_targets};
use crate::raster::keep::{Deltas, DevicePositions, Keeper, Kept, Look, Looked, Rates};
use crate::raster::keep::{OnHost, Staged};
use crate::raster::{Colors, RasterSettings, Rendered, SurfelBatch};
use crate::{Camera, Error, Result};
use std::time::Instant;

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
        deltas: Deltas<'_>,
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
        let copies = if deltas.is_none() { 1 } else { cameras.len() };
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

    fn device_positions(&self) -> Result<DevicePositions> {
        Ok(DevicePositions::in_buffer(self.held()?.geometry(), self.surfels))
    }

    fn look(
        &mut self,
        look: &Look<'_>,
        staged: Option<Staged>,
        deltas: Deltas<'_>,
        mut on_host: Option<OnHost<'_>>,
    ) -> Result<Looked> {
        let rasterizer = self.rasterizer;
        let settings = RasterSettings { background: look.background, outputs: look.weights.outputs() };
        let (shape, size) = self.shape(look.cameras, &settings, look.degree, deltas)?;
        let activation = Activation::new(self, &shape, look, &settings, deltas)?;
        let frames = look.cameras.len();
        check_targets(look.goals, frames, size)?;
        let together = forward::frames_together(rasterizer, &shape, frames, size, &settings.outputs, true)?;
        let staged = staged.and_then(|Staged(goals)| goals.downcast::<DeviceTargets>().ok());
        // Targets that were uploaded before are of all frames; where fewer go together they are uploaded again.
        let mut staged = staged.filter(|goals| together >= frames && goals.frames() == frames);
        let mut looked = Looked { finite: true, ..Looked::default() };
        for first in (0..frames).step_by(together) {
            let range = first..(first + together).min(frames);
            let start = Instant::now();
            let inputs =
                Inputs::to_be_made(rasterizer, &shape, look.cameras, &settings, size, range.clone())?;
            let goals = match staged.take() {
                Some(goals) => *goals,
                None => {
                    DeviceTargets::of_part(&rasterizer.gpu, &look.goals[range], frames, look.weights, size)?
                }
            };
            if rasterizer.timing != Timing::Off {
                rasterizer.note_times(vec![("host: uploads", start.elapsed().as_secs_f64() * 1e3)]);
            }
            let mut capacity = forward::first_room(rasterizer, &inputs);
            loop {
                let pass = Pass { activation: &activation, inputs: &inputs, goals: &goals, look, capacity };
                let work = pass.attempt(on_host.as_mut().map(|f| &mut **f as OnHost<'_>), &mut looked)?;
                match forward::more_room(rasterizer, &inputs, capacity, &work)? {
                    None => break,
                    Some(more) => capacity = more,
                }
                rasterizer.gpu.pool.trim();
            }
        }
        self.looked = true;
        Ok(looked)
    }

    fn show(
        &self,
        cameras: &[Camera],
        settings: &RasterSettings,
        degree: usize,
        deltas: Deltas<'_>,
    ) -> Result<Rendered> {
        let (shape, size) = self.shape(cameras, settings, degree, deltas)?;
        let weights = Weights::ZERO;
        let look = Look {
            cameras,
            background: settings.background,
            goals: &[],
            weights: &weights,
            degree,
            rest: 0.0,
            statistics: false,
        };
        let activation = Activation::new(self, &shape, &look, settings, deltas)?;
        forward::forward_with(self.rasterizer, &shape, cameras, settings, size, &mut |range| {
            let inputs = Inputs::to_be_made(self.rasterizer, &shape, cameras, settings, size, range)?;
            let group = activation.group(&inputs);
            Ok((inputs, Some((&activation, group))))
        })
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

/// Frames that are drawn, scored and gone back through together, with room for `capacity` pairs.
struct Pass<'a> {
    activation: &'a Activation<'a>,
    inputs: &'a Inputs,
    goals: &'a DeviceTargets,
    look: &'a Look<'a>,
    capacity: u64,
}

impl Pass<'_> {
    /// Runs all stages once; what was found is taken where the capacity was enough.
    fn attempt(&self, on_host: Option<OnHost<'_>>, looked: &mut Looked) -> Result<Work> {
        let Pass { activation, inputs, goals, look, capacity } = *self;
        let rasterizer = activation.rasterizer();
        let (gpu, outputs) = (&rasterizer.gpu, look.weights.outputs());
        let group = activation.group(inputs);
        let mut recorder = rasterizer.recorder();
        activation.forward(&mut recorder, inputs, &group)?;
        let drawn = forward::record(&mut recorder, rasterizer, inputs, &outputs, capacity)?;
        let loss = loss_gpu::record(&mut recorder, gpu, inputs, &outputs, goals, &drawn.images)?;
        let mut added = None;
        if let Some(on_host) = on_host {
            // Colour comes first in the buffer of images.
            let sources = [(&*drawn.work, WORK_BYTES), (&*drawn.images, 12 * inputs.pixels())];
            let (mut work, mut pictures) = (Work::default(), Vec::new());
            let times = recorder.submit(&sources, |i, data| match i {
                0 => work = Work::of(data),
                _ if !work.fits(capacity) => {}
                _ => append(&mut pictures, data),
            })?;
            rasterizer.note_times(times);
            if !work.fits(capacity) {
                return Ok(work);
            }
            let mut gradient = vec![0.0; pictures.len()];
            on_host(inputs.frames.clone(), &pictures, &mut gradient)?;
            let buffer = added.insert(gpu.upload(&[&gradient])?);
            recorder = rasterizer.recorder();
            loss.add_color(&mut recorder, inputs, buffer)?;
        }
        loss.add_alpha(&mut recorder, goals)?;
        let (state, upstream) = (&drawn.state, &loss.upstream);
        let gradients =
            backward::record(&mut recorder, rasterizer, inputs, state, &outputs, upstream, capacity as u32)?;
        activation.backward(&mut recorder, &group, &gradients)?;
        let per_instance = if look.statistics { inputs.instances() } else { 0 };
        let mut sources = vec![
            (&*drawn.work, WORK_BYTES),
            (activation.broken(), 4),
            (&*drawn.radii, 4 * per_instance),
            (&*gradients.screen, 8 * per_instance),
        ];
        sources.extend(loss.sources());
        let (mut work, mut sums) = (Work::default(), LossSums::default());
        let times = recorder.submit(&sources, |i, data| match i {
            0 => work = Work::of(data),
            _ if !work.fits(capacity) => {}
            1 => looked.finite &= data.iter().all(|b| *b == 0),
            2 => append(&mut looked.radii, data),
            3 => append(&mut looked.screen, data),
            _ => sums.take(i - 4, data),
        })?;
        rasterizer.note_times(times);
        if work.fits(capacity) {
            looked.scores.extend(goals.loss_terms(&sums));
        }
        Ok(work)
    }
}
