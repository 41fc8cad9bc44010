//! A network that was laid out: its steps and values, and how they run.

use super::{channels, conv, ops};
use crate::formats::tflite::Unary;
use std::sync::{Mutex, PoisonError};

/// Where an operand is at run time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Constant(usize),
    Slot { slot: usize, len: usize },
}

/// One operator, ready to run.
#[derive(Debug)]
pub(super) enum Kernel {
    Conv(conv::Conv),
    Depthwise(channels::Depthwise),
    MaxPool(channels::MaxPool),
    Prelu(Vec<f32>),
    Unary(Unary),
    Pairwise(ops::Pairwise),
    Reduce(ops::Reduce),
    Move(ops::Move),
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) kernel: Kernel,
    pub(super) inputs: Vec<Source>,
    /// The operand whose place the result takes.
    pub(super) in_place: Option<usize>,
    pub(super) slot: usize,
    pub(super) len: usize,
}

/// A network ready to run; one may be run by several threads at once.
#[derive(Debug)]
pub struct Graph {
    pub(super) input_slot: usize,
    pub(super) input_shape: Vec<usize>,
    pub(super) outputs: Vec<Source>,
    pub(super) output_shapes: Vec<Vec<usize>>,
    pub(super) constants: Vec<Vec<f32>>,
    pub(super) steps: Vec<Step>,
    /// Elements of each place.
    pub(super) slots: Vec<usize>,
    /// Places of earlier runs, to be used again.
    pub(super) spare: Mutex<Vec<Vec<Vec<f32>>>>,
}

impl Graph {
    /// Shape of the input.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Shapes of the outputs, in the model's order.
    pub fn output_shapes(&self) -> &[Vec<usize>] {
        &self.output_shapes
    }

    /// Computes the outputs, row-major, in the model's order. `fill` writes the whole input (row-major,
    /// [`Graph::input_shape`]).
    pub fn run(&self, fill: impl FnOnce(&mut [f32])) -> Vec<Vec<f32>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut slots = spare.unwrap_or_else(|| self.slots.iter().map(|n| vec![0.0; *n]).collect());
        fill(&mut slots[self.input_slot][..self.input_shape.iter().product()]);
        for step in &self.steps {
            let mut place = std::mem::take(&mut slots[step.slot]);
            self.step(step, &slots, &mut place[..step.len]);
            slots[step.slot] = place;
        }
        let outputs = self.outputs.iter().map(|o| self.read(*o, &slots).to_vec()).collect();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(slots);
        outputs
    }

    fn read<'a>(&'a self, source: Source, slots: &'a [Vec<f32>]) -> &'a [f32] {
        match source {
            Source::Constant(i) => &self.constants[i],
            Source::Slot { slot, len } => &slots[slot][..len],
        }
    }

    fn step(&self, step: &Step, slots: &[Vec<f32>], y: &mut [f32]) {
        let input = |i: usize| self.read(step.inputs[i], slots);
        let elementwise = |y: &mut [f32]| {
            if step.in_place.is_none() {
                y.copy_from_slice(input(0));
            }
        };
        match &step.kernel {
            Kernel::Conv(conv) => conv.run(input(0), y),
            Kernel::Depthwise(conv) => conv.run(input(0), y),
            Kernel::MaxPool(pool) => pool.run(input(0), y),
            Kernel::Prelu(slopes) => {
                elementwise(y);
                ops::prelu(y, slopes);
            }
            Kernel::Unary(kind) => {
                elementwise(y);
                ops::unary(*kind, y);
            }
            Kernel::Pairwise(pair) => {
                let held = step.in_place.unwrap_or(0);
                if step.in_place.is_none() {
                    pair.place(held, input(held), y);
                }
                pair.combine(1 - held, input(1 - held), y);
            }
            Kernel::Reduce(reduce) => reduce.run(input(0), y),
            Kernel::Move(moves) => {
                let inputs: Vec<&[f32]> = (0..step.inputs.len()).map(input).collect();
                moves.run(&inputs, y);
            }
        }
    }
}
