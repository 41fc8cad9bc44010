//! From a model's tensors and operators to steps over shared places.

use super::misfit::Misfit;
use super::network::{Graph, Kernel, Source, Step};
use super::{channels, conv, ops};
use crate::formats::tflite::{Constant, Model, Op, Operator};
use std::sync::Mutex;

/// Multiply-adds of one run beyond which a file is no face network (the largest has 0.1 billion).
const MAX_WORK: usize = 4 << 30;
/// Elements of all values together, of which places and index tables are made.
const MAX_VALUES: usize = 1 << 25;

/// What a tensor is: known before running, or computed by a step (or given).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Constant(usize),
    Value(usize),
}

/// A computed value.
#[derive(Debug)]
struct Value {
    len: usize,
    /// The last step that reads it; `usize::MAX` for an output of the network.
    last: usize,
}

/// A step whose places are not chosen yet.
struct Draft {
    kernel: Kernel,
    inputs: Vec<Known>,
    output: usize,
}

struct Planner<'a> {
    model: &'a Model,
    known: Vec<Option<Known>>,
    constants: Vec<&'a [f32]>,
    values: Vec<Value>,
    drafts: Vec<Draft>,
}

pub(super) fn plan(model: &Model) -> Result<Graph, Misfit> {
    let &[input] = model.inputs.as_slice() else {
        return Err(Misfit(format!("{} inputs, not one", model.inputs.len())));
    };
    let (known, values) = (vec![None; model.tensors.len()], Vec::new());
    let mut planner = Planner { model, known, constants: Vec::new(), values, drafts: Vec::new() };
    planner.value(input)?;
    for (index, operator) in model.operators.iter().enumerate() {
        planner.add(operator).map_err(|Misfit(what)| Misfit(format!("operator {index}: {what}")))?;
    }
    planner.finish(input)
}

impl<'a> Planner<'a> {
    fn shape(&self, tensor: usize) -> &'a [usize] {
        &self.model.tensors[tensor].shape
    }

    fn elements(&self, tensor: usize) -> usize {
        self.shape(tensor).iter().product()
    }

    /// Makes `tensor` a new value.
    fn value(&mut self, tensor: usize) -> Result<usize, Misfit> {
        if self.known[tensor].is_some() || self.model.tensors[tensor].data.is_some() {
            return Err(Misfit(format!("tensor {tensor} is computed twice")));
        }
        let len = self.elements(tensor);
        if self.values.iter().map(|v| v.len).sum::<usize>() + len > MAX_VALUES {
            return Err(Misfit(format!("values of more than {MAX_VALUES} elements")));
        }
        self.values.push(Value { len, last: 0 });
        self.known[tensor] = Some(Known::Value(self.values.len() - 1));
        Ok(self.values.len() - 1)
    }

    /// An operand of the operator at hand, its real constant taken in when it is one.
    fn operand(&mut self, tensor: usize) -> Result<Known, Misfit> {
        if let Some(known) = self.known[tensor] {
            return Ok(known);
        }
        let Some(Constant::Real(data)) = &self.model.tensors[tensor].data else {
            return Err(Misfit(format!("tensor {tensor} is read before it is computed")));
        };
        self.constants.push(data);
        let known = Known::Constant(self.constants.len() - 1);
        self.known[tensor] = Some(known);
        Ok(known)
    }

    /// The elements of an operand that must be known now.
    fn real(&mut self, tensor: usize) -> Result<&'a [f32], Misfit> {
        match self.operand(tensor)? {
            Known::Constant(i) => Ok(self.constants[i]),
            Known::Value(_) => Err(Misfit(format!("weights in tensor {tensor}, which is computed"))),
        }
    }

    fn integers(&self, tensor: usize) -> Result<&'a [i32], Misfit> {
        match &self.model.tensors[tensor].data {
            Some(Constant::Integer(data)) => Ok(data),
            _ => Err(Misfit(format!("tensor {tensor} in place of integer constants"))),
        }
    }

    fn add(&mut self, operator: &Operator) -> Result<(), Misfit> {
        let output = operator.output;
        let tensor = |i: usize| {
            operator
                .inputs
                .get(i)
                .copied()
                .flatten()
                .ok_or(Misfit(format!("{:?} without operand {i}", operator.op)))
        };
        // The same elements under another name.
        if let Op::Dequantize | Op::Reshape = operator.op {
            let from = tensor(0)?;
            let known = self.operand(from)?;
            if self.elements(from) != self.elements(output) || self.known[output].is_some() {
                return Err(Misfit(format!("{:?} as {:?}", self.shape(from), self.shape(output))));
            }
            self.known[output] = Some(known);
            return Ok(());
        }
        let (kernel, operands) = self.kernel(operator, &tensor)?;
        let inputs = operands.into_iter().map(|t| self.operand(t)).collect::<Result<Vec<_>, _>>()?;
        for input in &inputs {
            if let Known::Value(v) = input {
                self.values[*v].last = self.drafts.len();
            }
        }
        let output = self.value(output)?;
        // A value nobody reads is free again after its own step.
        self.values[output].last = self.drafts.len();
        self.drafts.push(Draft { kernel, inputs, output });
        Ok(())
    }

    /// The kernel of an operator, and the tensors it reads at run time.
    fn kernel(
        &mut self,
        operator: &Operator,
        tensor: &dyn Fn(usize) -> Result<usize, Misfit>,
    ) -> Result<(Kernel, Vec<usize>), Misfit> {
        let model = self.model;
        let shape = |t: usize| model.tensors[t].shape.as_slice();
        let output = shape(operator.output);
        let first = tensor(0)?;
        let input = shape(first);
        let kernel = match operator.op {
            Op::Conv2d(window) | Op::DepthwiseConv2d(window) => {
                let weights = tensor(1)?;
                let bias = operator.inputs.get(2).copied().flatten();
                let bias = bias.map(|t| self.real(t)).transpose()?;
                let packed = (self.real(weights)?, shape(weights));
                if let Op::Conv2d(_) = operator.op {
                    Kernel::Conv(conv::Conv::new(input, packed, bias, window, output)?)
                } else {
                    Kernel::Depthwise(channels::Depthwise::new(input, packed, bias, window, output)?)
                }
            }
            Op::MaxPool2d(window, size) => {
                Kernel::MaxPool(channels::MaxPool::new(input, size, window, output)?)
            }
            Op::Prelu => {
                let slopes = self.real(tensor(1)?)?;
                if input != output || input.last() != Some(&slopes.len()) {
                    return Err(Misfit(format!("{} slopes for {input:?} to {output:?}", slopes.len())));
                }
                Kernel::Prelu(slopes.to_vec())
            }
            Op::Unary(kind) if input == output => Kernel::Unary(kind),
            Op::Unary(kind) => return Err(Misfit(format!("{kind:?} of {input:?} to {output:?}"))),
            Op::Binary { kind, relu } => {
                let second = tensor(1)?;
                let pair = ops::Pairwise::new(kind, relu, [input, shape(second)], output)?;
                return Ok((Kernel::Pairwise(pair), vec![first, second]));
            }
            Op::Reduce { mean } => {
                Kernel::Reduce(ops::Reduce::new(input, self.integers(tensor(1)?)?, mean, output)?)
            }
            Op::Transpose => Kernel::Move(ops::Move::transpose(input, self.integers(tensor(1)?)?, output)?),
            Op::Pad => Kernel::Move(ops::Move::pad(input, self.integers(tensor(1)?)?, output)?),
            Op::StridedSlice { begin_mask, end_mask, shrink_mask } => {
                let bounds =
                    [self.integers(tensor(1)?)?, self.integers(tensor(2)?)?, self.integers(tensor(3)?)?];
                let masks = [begin_mask, end_mask, shrink_mask];
                Kernel::Move(ops::Move::strided_slice(input, bounds, masks, output)?)
            }
            Op::Concatenation { axis } => {
                let all = (0..operator.inputs.len()).map(tensor).collect::<Result<Vec<_>, _>>()?;
                let inputs: Vec<&[usize]> = all.iter().map(|t| shape(*t)).collect();
                return Ok((Kernel::Move(ops::Move::concatenation(&inputs, axis, output)?), all));
            }
            Op::Dequantize | Op::Reshape => return Err(Misfit("an alias among kernels".into())),
        };
        Ok((kernel, vec![first]))
    }

    fn finish(mut self, input: usize) -> Result<Graph, Misfit> {
        let work = |kernel: &Kernel| match kernel {
            Kernel::Conv(conv) => conv.work(),
            Kernel::Depthwise(conv) => conv.work(),
            Kernel::MaxPool(pool) => pool.work(),
            _ => 0,
        };
        if self.drafts.iter().map(|d| work(&d.kernel)).fold(0, usize::saturating_add) > MAX_WORK {
            return Err(Misfit(format!("more than {MAX_WORK} multiplications")));
        }
        let model = self.model;
        let outputs = model.outputs.iter().map(|t| self.operand(*t)).collect::<Result<Vec<_>, _>>()?;
        for output in &outputs {
            if let Known::Value(v) = output {
                self.values[*v].last = usize::MAX;
            }
        }
        let (mut slots, mut free): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut slot_of = vec![0; self.values.len()];
        let mut claim = |len: usize, free: &mut Vec<usize>| {
            let slot = free.pop().unwrap_or_else(|| {
                slots.push(0);
                slots.len() - 1
            });
            slots[slot] = slots[slot].max(len);
            slot
        };
        slot_of[0] = claim(self.values[0].len, &mut free);
        let mut steps = Vec::with_capacity(self.drafts.len());
        for (index, draft) in self.drafts.into_iter().enumerate() {
            let values = &self.values;
            let dies = |known: Known| match known {
                Known::Value(v) => (values[v].last == index).then_some(v),
                Known::Constant(_) => None,
            };
            let in_place = match &draft.kernel {
                Kernel::Unary(_) | Kernel::Prelu(_) => dies(draft.inputs[0]).map(|_| 0),
                Kernel::Pairwise(pair) if draft.inputs[0] != draft.inputs[1] => {
                    (0..2).find(|i| pair.is_full(*i) && dies(draft.inputs[*i]).is_some())
                }
                _ => None,
            };
            let len = self.values[draft.output].len;
            let slot = match in_place.and_then(|i| dies(draft.inputs[i])) {
                Some(taken) => slot_of[taken],
                None => claim(len, &mut free),
            };
            let inputs = draft.inputs.iter().map(|k| source(*k, &slot_of, &self.values)).collect();
            for (i, known) in draft.inputs.iter().enumerate() {
                let again = draft.inputs[..i].contains(known);
                if let Some(v) = dies(*known).filter(|_| in_place != Some(i) && !again) {
                    free.push(slot_of[v]);
                }
            }
            slot_of[draft.output] = slot;
            if self.values[draft.output].last == index {
                free.push(slot);
            }
            steps.push(Step { kernel: draft.kernel, inputs, in_place, slot, len });
        }
        // Weights were repacked; only what steps read stays.
        let mut read = vec![false; self.constants.len()];
        for known in steps.iter().flat_map(|s: &Step| &s.inputs) {
            if let Source::Constant(i) = known {
                read[*i] = true;
            }
        }
        outputs.iter().for_each(|k| {
            if let Known::Constant(i) = k {
                read[*i] = true
            }
        });
        let kept = |(data, read): (&&[f32], bool)| if read { data.to_vec() } else { Vec::new() };
        Ok(Graph {
            input_slot: slot_of[0],
            input_shape: model.tensors[input].shape.clone(),
            outputs: outputs.iter().map(|k| source(*k, &slot_of, &self.values)).collect(),
            output_shapes: model.outputs.iter().map(|t| model.tensors[*t].shape.clone()).collect(),
            constants: self.constants.iter().zip(read).map(kept).collect(),
            steps,
            slots,
            spare: Mutex::new(Vec::new()),
        })
    }
}

fn source(known: Known, slot_of: &[usize], values: &[Value]) -> Source {
    match known {
        Known::Constant(i) => Source::Constant(i),
        Known::Value(v) => Source::Slot { slot: slot_of[v], len: values[v].len },
    }
}
