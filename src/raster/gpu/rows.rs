//! Surfels that are made on the device, from what is kept there and a field's rows, and gradients that stay there.

use super::backward::Returned;
use super::inputs::Inputs;
use super::keep::{GpuKeeper, Held};
use super::layout::{ABSENT, RowWords};
use super::score::{Ends, READ};
use crate::gpu::Gpu;
use crate::gpu::buffers::{Loan, append, numbers};
use crate::gpu::kernels::{Recorder, Timing};
use crate::gpu::shaders::Reduce;
use crate::gpu::shared::SharedRows;
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::host_rows::HostRows;
use crate::raster::keep::{Look, Rows};
use crate::raster::{RasterSettings, SurfelBatch};
use crate::{Camera, Error, Result};
use std::ops::Range;
use std::time::Instant;

/// Activates what a keeper has, and goes back to it.
pub(super) struct FromRows<'a, 'r> {
    gpu: &'a Gpu,
    keeper: &'a GpuKeeper<'a>,
    held: &'a Held,
    shape: SurfelBatch<'a>,
    cameras: &'a [Camera],
    settings: &'a RasterSettings,
    size: [usize; 2],
    source: Source<'r>,
    words: RowWords,
    /// Whether rows have columns that mean nothing, whose gradient is 0.
    gaps: bool,
    statistics: bool,
    group: Option<Group>,
    broken: bool,
    screen: Vec<f32>,
}

/// Where rows come from and their gradients go.
enum Source<'a> {
    None,
    Host { rows: &'a mut dyn HostRows, width: usize },
    Shared(&'a SharedRows),
}

/// The buffers of a group of frames.
struct Group {
    forward: Loan,
    backward: Loan,
    values: wgpu::Buffer,
    gradients: wgpu::Buffer,
    /// Which of the rows' numbers is its first.
    first_number: usize,
    /// Bytes of its gradients to fetch, and to set to 0 first.
    read: usize,
    clear: u64,
    groups: [u64; 2],
    /// Those of the two above that are lent.
    _lent: Vec<Loan>,
}

impl<'a, 'r> FromRows<'a, 'r> {
    /// Of `shape` only the counts mean anything.
    ///
    /// # Errors
    /// [`Error::Internal`] when rows do not belong to the surfels and frames, or a layout is none.
    pub(super) fn new(
        keeper: &'a GpuKeeper<'a>,
        shape: &SurfelBatch<'a>,
        look: &'a Look<'a>,
        settings: &'a RasterSettings,
        size: [usize; 2],
        rows: Rows<'r>,
    ) -> Result<Self> {
        let held = keeper.held()?;
        let (n, stored, drawn) = (keeper.surfels, keeper.stored, shape.colors.width());
        if drawn > stored {
            return Err(Error::Internal(format!(
                "{drawn} numbers of harmonics drawn where {stored} are kept"
            )));
        }
        let (layout, numbers, source) = match rows {
            Rows::None => (None, 0, Source::None),
            Rows::Host(layout, rows) => {
                (Some(layout), rows.numbers(), Source::Host { rows, width: layout.width })
            }
            Rows::Shared(layout, shared) => (Some(layout), shared.numbers as usize, Source::Shared(shared)),
        };
        let mut words = RowWords {
            surfels: n as u32,
            stored: stored as u32,
            drawn: drawn as u32,
            attends: settings.outputs.attention.into(),
            rest: look.rest,
            ..Self::columns(layout)
        };
        let mut gaps = false;
        if let Some(layout) = layout {
            layout.check(stored / 3)?;
            let expected = look.cameras.len() * n * layout.width;
            if numbers != expected {
                return Err(Error::Internal(format!("{numbers} numbers in rows where {expected} belong")));
            }
            gaps = layout.columns() < layout.width;
        } else {
            words.rest = 0.0;
        }
        if settings.outputs.attention && words.attention == ABSENT {
            return Err(Error::Internal("the attention image is wanted but no row has attention".into()));
        }
        Ok(FromRows {
            gpu: &keeper.rasterizer.gpu,
            keeper,
            held,
            shape: *shape,
            cameras: look.cameras,
            settings,
            size,
            source,
            words,
            gaps,
            statistics: look.statistics,
            group: None,
            broken: false,
            screen: Vec::new(),
        })
    }

    /// Where the columns of a row are.
    fn columns(layout: Option<&DeltaLayout>) -> RowWords {
        let Some(l) = layout else {
            let [position, rotation, log_scale, opacity, harmonics, attention] = [ABSENT; 6];
            return RowWords {
                position,
                rotation,
                log_scale,
                opacity,
                harmonics,
                attention,
                ..RowWords::default()
            };
        };
        let start = |columns: &Range<usize>| if columns.is_empty() { ABSENT } else { columns.start as u32 };
        RowWords {
            width: l.width as u32,
            position: start(&l.position),
            rotation: start(&l.rotation),
            log_scale: start(&l.log_scale),
            opacity: start(&l.opacity),
            harmonics: start(&l.harmonics),
            attention: start(&l.attention),
            added: l.harmonics.len() as u32,
            ..RowWords::default()
        }
    }

    /// Whether all gradients are finite, and the densification signal.
    pub(super) fn found(self) -> (bool, Vec<f32>) {
        (!self.broken, self.screen)
    }

    fn group(&self) -> Result<&Group> {
        self.group.as_ref().ok_or_else(|| Error::Internal("no frames are at hand".into()))
    }
}

impl Ends for FromRows<'_, '_> {
    fn inputs(&mut self, range: Range<usize>) -> Result<Inputs> {
        let inputs = Inputs::to_be_made(
            self.keeper.rasterizer,
            &self.shape,
            self.cameras,
            self.settings,
            self.size,
            range.clone(),
        )?;
        let (gpu, n) = (self.gpu, self.keeper.surfels);
        let mut lent = Vec::new();
        let mut lend = |loan: Loan| {
            let buffer = (*loan).clone();
            lent.push(loan);
            buffer
        };
        let mut first_number = 0;
        let (first_row, values, gradients, read, clear) = match &mut self.source {
            Source::None => (0, lend(gpu.storage(4)), lend(gpu.storage(4)), 0, 0),
            Source::Host { rows, width } => {
                first_number = range.start * n * *width;
                let bytes = 4 * range.len() * n * *width;
                let values = gpu.upload_with(bytes, |to| rows.fill(first_number, to))?;
                (0, lend(values), lend(gpu.storage(bytes as u64)), bytes, bytes as u64)
            }
            Source::Shared(shared) => {
                let clear = if range.start == 0 { 4 * shared.numbers } else { 0 };
                (range.start * n, shared.values.clone(), shared.gradients.clone(), 0, clear)
            }
        };
        let words = RowWords {
            copies: inputs.params.copies,
            first_row: first_row as u32,
            fresh: u32::from(range.start == 0),
            ..self.words
        };
        let rows = u64::from(words.copies) * n as u64;
        let per_row = rows.div_ceil(256);
        let per_surfel = (n as u64).div_ceil(256);
        let groups = [
            per_row + (rows * u64::from(words.drawn)).div_ceil(256),
            per_surfel + (n as u64 * u64::from(words.stored)).div_ceil(256),
        ];
        let constants =
            |geometry: u64| gpu.branching(&RowWords { geometry_groups: geometry as u32, ..words }.words());
        self.group = Some(Group {
            forward: constants(per_row),
            backward: constants(per_surfel),
            values,
            gradients,
            first_number,
            read,
            clear: if self.gaps { clear } else { 0 },
            groups,
            _lent: lent,
        });
        Ok(inputs)
    }

    fn before(&self, recorder: &mut Recorder<'_>, inputs: &Inputs) -> Result<()> {
        let group = self.group()?;
        let buffers: [(u32, &wgpu::Buffer); 6] = [
            (0, &group.forward),
            (1, self.held.geometry()),
            (2, self.held.harmonics()),
            (3, &group.values),
            (4, &inputs.surfels),
            (5, &inputs.colors),
        ];
        recorder.stage("activate", Reduce::Threads, vec![], &buffers, group.groups[0])
    }

    fn after(&self, recorder: &mut Recorder<'_>, inputs: &Inputs, returned: &Returned) -> Result<()> {
        let group = self.group()?;
        if inputs.frames.start == 0 {
            recorder.clear(&self.held.broken, 4);
        }
        recorder.clear(&group.gradients, group.clear);
        let buffers: [(u32, &wgpu::Buffer); 8] = [
            (0, &group.backward),
            (1, self.held.geometry()),
            (2, &group.values),
            (3, &returned.surfels),
            (4, &returned.colors),
            (5, &group.gradients),
            (6, &self.held.sums),
            (7, &self.held.broken),
        ];
        recorder.stage("activate_backward", Reduce::Threads, vec![], &buffers, group.groups[1])
    }

    fn sources(&self, inputs: &Inputs, returned: &Returned) -> [(wgpu::Buffer, u64); READ] {
        let broken = || (*self.held.broken).clone();
        let screen = if self.statistics { 8 * inputs.instances() } else { 0 };
        [(broken(), 0), (broken(), 4), ((*returned.screen).clone(), screen)]
    }

    fn take(&mut self, i: usize, data: &[u8]) {
        match i {
            1 => self.broken |= data.iter().any(|b| *b != 0),
            2 => append(&mut self.screen, data),
            _ => {}
        }
    }

    fn fetch(&mut self) -> Result<()> {
        let (Some(Group { gradients, first_number, read, .. }), Source::Host { rows, .. }) =
            (&self.group, &mut self.source)
        else {
            return Ok(());
        };
        let start = Instant::now();
        self.gpu.fetch(gradients, *read, |at, data| rows.take(first_number + at / 4, &numbers(data)))?;
        if self.keeper.rasterizer.timing != Timing::Off {
            let time = start.elapsed().as_secs_f64() * 1e3;
            self.keeper.rasterizer.note_times(vec![("host: fetches gradients", time)]);
        }
        Ok(())
    }
}
