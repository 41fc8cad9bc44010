//! Rows that come to the GPU part by part, against the same rows in one slice. On whatever adapter there is; a machine
//! without any fails.

mod common;

use common::goals::WEIGHTS;
use common::kept::{Case, RATES, case, kept, look, look_with, put};
use common::twins::{gpu, open};
use std::ops::Range;
use surfeltalk::gpu::Gpu;
use surfeltalk::gpu::context::Restrictions;
use surfeltalk::gpu::upload::Unwritten;
use surfeltalk::raster::Rasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::host_rows::HostRows;
use surfeltalk::raster::keep::{Keeper, Looked, Rows};
use surfeltalk::{Error, Result};

/// Numbers that are written and taken at a time; no row and no frame ends there.
const PART: usize = 1009;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The group of frames whose rows do not come, or whose gradient is not taken.
    Fill(usize),
    Take(usize),
    /// One number less, or one more.
    TooFew,
    TooMany,
}

/// Rows that come in parts.
struct Parts<'a> {
    rows: &'a [f32],
    gradient: Vec<f32>,
    fault: Fault,
    /// Which numbers were asked for and given back.
    filled: Vec<Range<usize>>,
    taken: Vec<Range<usize>>,
}

impl<'a> Parts<'a> {
    fn new(rows: &'a [f32], fault: Fault) -> Self {
        Parts { rows, gradient: vec![f32::NAN; rows.len()], fault, filled: Vec::new(), taken: Vec::new() }
    }
}

fn lost(what: &str) -> Error {
    Error::DeviceLost(format!("{what} is gone"))
}

impl HostRows for Parts<'_> {
    fn numbers(&self) -> usize {
        self.rows.len()
    }

    fn fill(&mut self, first: usize, to: &mut Unwritten<'_>) -> Result<()> {
        let range = first..first + to.numbers();
        let (mut parts, group) = (self.rows[range.clone()].chunks(PART), self.filled.len());
        to.write(parts.next().expect("there are rows"))?;
        if self.fault == Fault::Fill(group) {
            return Err(lost("who has the rows"));
        }
        self.filled.push(range.clone());
        let last = if self.fault == Fault::TooFew { range.len() / PART - 1 } else { usize::MAX };
        parts.take(last).try_for_each(|part| to.write(part))?;
        if self.fault == Fault::TooMany { to.write(&[0.0]) } else { Ok(()) }
    }

    fn take(&mut self, first: usize, gradient: &[f32]) -> Result<()> {
        if self.fault == Fault::Take(self.taken.len()) {
            return Err(lost("who wants the gradient"));
        }
        let range = first..first + gradient.len();
        self.gradient[range.clone()].copy_from_slice(gradient);
        self.taken.push(range);
        Ok(())
    }
}

/// All frames together, and two at a time.
fn rasterizers() -> [GpuRasterizer; 2] {
    // Fourteen channels of two frames and not of three.
    let binding_bytes = Some(56 * 64 * 48 * 5 / 2);
    [gpu(), GpuRasterizer::new(open(Restrictions { binding_bytes, ..Restrictions::default() }))]
}

fn five_frames() -> Case {
    case(12, 150, 5, [64, 48])
}

fn parts(keeper: &mut dyn Keeper, case: &Case, parts: &mut Parts<'_>) -> Result<Looked> {
    look_with(keeper, case, None, Rows::Host(&case.layout, parts), &WEIGHTS)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn same(a: &(Looked, Vec<f32>), b: &(Looked, Vec<f32>)) -> bool {
    let ((a, of_a), (b, of_b)) = (a, b);
    a.scores == b.scores
        && a.finite == b.finite
        && a.radii == b.radii
        && bits(&a.screen) == bits(&b.screen)
        && bits(of_a) == bits(of_b)
}

#[test]
fn parts_give_the_bits_of_slices() {
    let case = five_frames();
    let frame = case.rows.len() / 5;
    for (rasterizer, groups) in rasterizers().iter().zip([1, 3]) {
        let keeper = || {
            let mut keeper = rasterizer.keeper().expect("the GPU keeps");
            put(&mut *keeper, &kept(&case.cloud));
            keeper
        };
        let (mut whole, mut piecewise) = (keeper(), keeper());
        let expected = look(&mut *whole, &case, Some(&case.rows), &WEIGHTS);
        let mut source = Parts::new(&case.rows, Fault::None);
        let looked = parts(&mut *piecewise, &case, &mut source).expect("looked");
        assert!(source.filled == source.taken && source.filled.len() == groups, "{:?}", source.filled);
        assert!(source.filled.iter().all(|part| part.start % frame == 0 && part.end % frame == 0));
        let found = (looked, source.gradient);
        assert!(same(&found, &expected), "{groups} groups");
        // The gradients that stayed there are the same too.
        for keeper in [&mut whole, &mut piecewise] {
            keeper.step(&RATES).expect("a step");
        }
        assert!(whole.get().expect("kept") == piecewise.get().expect("kept"));
        // The comparison can fail.
        let mut moved = case.rows.clone();
        let last = moved.len() - case.layout.width + case.layout.position.start;
        moved[last] += 1e-3;
        put(&mut *piecewise, &kept(&case.cloud));
        let mut source = Parts::new(&moved, Fault::None);
        let looked = parts(&mut *piecewise, &case, &mut source).expect("looked");
        assert!(!same(&(looked, source.gradient), &expected));
    }
}

#[test]
fn a_source_that_fails_ends_the_look_and_nothing_else() {
    let case = five_frames();
    let [_, rasterizer] = rasterizers();
    let mut keeper = rasterizer.keeper().expect("the GPU keeps");
    put(&mut *keeper, &kept(&case.cloud));
    let expected = look(&mut *keeper, &case, Some(&case.rows), &WEIGHTS);
    let made = keeper.device().buffers_made();
    for (fault, exit_code, groups) in [
        (Fault::Fill(0), 3, 0),
        (Fault::Fill(1), 3, 1),
        (Fault::Take(0), 3, 0),
        (Fault::Take(2), 3, 2),
        (Fault::TooFew, 1, 0),
        (Fault::TooMany, 1, 0),
    ] {
        let mut source = Parts::new(&case.rows, fault);
        let error = parts(&mut *keeper, &case, &mut source).expect_err("it fails");
        assert_eq!((error.exit_code(), source.taken.len()), (exit_code, groups), "{fault:?}: {error}");
        let again = look(&mut *keeper, &case, Some(&case.rows), &WEIGHTS);
        assert!(same(&again, &expected), "after {fault:?}");
    }
    assert_eq!(keeper.device().buffers_made(), made, "what was lent came back");
}

#[test]
fn rows_longer_than_what_travels_at_a_time_come_back_in_their_order() {
    // 9 MB; what the frames of two pictures are drawn from, and not of three.
    let case = case(13, 17_000, 5, [64, 48]);
    let lesser = Restrictions { binding_bytes: Some(112 * 17_000 * 5 / 2), ..Restrictions::default() };
    let looked = [gpu(), GpuRasterizer::new(open(lesser))].map(|rasterizer| {
        let mut keeper = rasterizer.keeper().expect("the GPU keeps");
        put(&mut *keeper, &kept(&case.cloud));
        let mut source = Parts::new(&case.rows, Fault::None);
        let looked = parts(&mut *keeper, &case, &mut source).expect("looked");
        let ends: Vec<usize> = source.taken.iter().map(|part| part.end).collect();
        let starts: Vec<usize> = source.taken.iter().map(|part| part.start).collect();
        assert!(starts[0] == 0 && starts[1..] == ends[..ends.len() - 1], "{:?}", source.taken);
        assert_eq!(ends.last(), Some(&case.rows.len()));
        (source.filled.len(), source.taken.len(), (looked, source.gradient))
    });
    let [(1, 2, together), (3, 3, by_groups)] = &looked else {
        panic!("groups and parts: {:?}", looked.map(|(groups, parts, _)| (groups, parts)));
    };
    assert!(bits(&together.1) == bits(&by_groups.1) && together.0.scores == by_groups.0.scores);
    assert!(together.1.iter().any(|g| *g != 0.0));
}

/// Rows whose device goes away, when it wants them or has given a gradient back.
struct Leaving<'a> {
    device: Gpu,
    rows: &'a [f32],
    filled_first: bool,
}

impl HostRows for Leaving<'_> {
    fn numbers(&self) -> usize {
        self.rows.len()
    }

    fn fill(&mut self, first: usize, to: &mut Unwritten<'_>) -> Result<()> {
        if !self.filled_first {
            self.device.destroy();
        }
        to.write(&self.rows[first..first + to.numbers()])
    }

    fn take(&mut self, _: usize, _: &[f32]) -> Result<()> {
        self.device.destroy();
        Ok(())
    }
}

#[test]
fn a_device_that_goes_away_on_the_way_is_an_error() {
    let case = five_frames();
    for filled_first in [false, true] {
        let [_, rasterizer] = rasterizers();
        let mut keeper = rasterizer.keeper().expect("the GPU keeps");
        put(&mut *keeper, &kept(&case.cloud));
        let device = keeper.device().clone();
        let mut leaving = Leaving { device, rows: &case.rows, filled_first };
        let error = look_with(&mut *keeper, &case, None, Rows::Host(&case.layout, &mut leaving), &WEIGHTS)
            .expect_err("the device is gone");
        assert_eq!(error.exit_code(), 3, "{error}");
    }
}
