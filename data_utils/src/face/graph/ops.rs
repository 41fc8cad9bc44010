//! The small operators: elementwise with broadcasting, sums along axes, and everything that only moves elements.

use super::misfit::Misfit;
use crate::formats::tflite::{Binary, Unary};
use pulp::{Arch, Simd, WithSimd};

/// Elements from each dimension to the next, row-major.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The position of element `index` of a tensor of this shape along each axis.
fn position(mut index: usize, shape: &[usize], out: &mut [usize]) {
    for axis in (0..shape.len()).rev() {
        out[axis] = index % shape[axis];
        index /= shape[axis];
    }
}

/// One input, elementwise, in place.
pub(super) fn unary(kind: Unary, values: &mut [f32]) {
    let all = |values: &mut [f32], f: fn(f32) -> f32| values.iter_mut().for_each(|v| *v = f(*v));
    match kind {
        Unary::Relu => {
            Arch::new().dispatch(|| values.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { 0.0 }))
        }
        Unary::Logistic => all(values, |v| 1.0 / (1.0 + (-v).exp())),
        Unary::Neg => all(values, |v| -v),
        Unary::Sqrt => all(values, f32::sqrt),
        Unary::Rsqrt => all(values, |v| 1.0 / v.sqrt()),
    }
}

/// x where positive, slope · x elsewhere, in place; slopes belong to the last axis.
pub(super) fn prelu(values: &mut [f32], slopes: &[f32]) {
    Arch::new().dispatch(Prelu { values, slopes });
}

struct Prelu<'a> {
    values: &'a mut [f32],
    slopes: &'a [f32],
}

impl WithSimd for Prelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        const LANES: usize = 8;
        let sloped = |v: f32, slope: f32| {
            let below = slope * v;
            if v > 0.0 { v } else { below }
        };
        for pixel in self.values.chunks_exact_mut(self.slopes.len()) {
            let (values, rest) = pixel.as_chunks_mut::<LANES>();
            let (slopes, last) = self.slopes.as_chunks::<LANES>();
            for (v, s) in values.iter_mut().zip(slopes) {
                *v = std::array::from_fn(|lane| sloped(v[lane], s[lane]));
            }
            rest.iter_mut().zip(last).for_each(|(v, s)| *v = sloped(*v, *s));
        }
    }
}

/// Two inputs, elementwise; an operand of another shape than the result is spread by an index table.
#[derive(Debug)]
pub(super) struct Pairwise {
    kind: Binary,
    relu: bool,
    spread: [Option<Vec<u32>>; 2],
}

impl Pairwise {
    pub(super) fn new(
        kind: Binary,
        relu: bool,
        operands: [&[usize]; 2],
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let wrong = || Misfit(format!("{kind:?} of {operands:?} to {output:?}"));
        let rank = operands[0].len().max(operands[1].len());
        let extent =
            |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |a| shape[a]);
        if output.len() != rank {
            return Err(wrong());
        }
        for (axis, &n) in output.iter().enumerate() {
            let (a, b) = (extent(operands[0], axis), extent(operands[1], axis));
            if n != a.max(b) || (a != n && a != 1) || (b != n && b != 1) {
                return Err(wrong());
            }
        }
        let spread = operands.map(|shape| (shape != output).then(|| spread(shape, output)));
        Ok(Pairwise { kind, relu, spread })
    }

    /// Whether operand `i` has the result's shape, so that the result may take its place.
    pub(super) fn is_full(&self, i: usize) -> bool {
        self.spread[i].is_none()
    }

    /// Writes operand `i` spread over the result.
    pub(super) fn place(&self, i: usize, operand: &[f32], y: &mut [f32]) {
        match &self.spread[i] {
            None => y.copy_from_slice(operand),
            Some(table) => y.iter_mut().zip(table).for_each(|(y, &k)| *y = operand[k as usize]),
        }
    }

    /// `y` holds operand `1 - i`; combines it with operand `i`.
    pub(super) fn combine(&self, i: usize, operand: &[f32], y: &mut [f32]) {
        let first = i == 0;
        match self.kind {
            Binary::Add => self.each(i, operand, y, |a, b| a + b),
            Binary::Mul => self.each(i, operand, y, |a, b| a * b),
            Binary::Sub if first => self.each(i, operand, y, |a, b| b - a),
            Binary::Sub => self.each(i, operand, y, |a, b| a - b),
            Binary::Div if first => self.each(i, operand, y, |a, b| b / a),
            Binary::Div => self.each(i, operand, y, |a, b| a / b),
            Binary::SquaredDifference => self.each(i, operand, y, |a, b| (a - b) * (a - b)),
        }
        if self.relu {
            unary(Unary::Relu, y);
        }
    }

    #[inline(always)]
    fn each(&self, i: usize, operand: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        match &self.spread[i] {
            None => Arch::new().dispatch(|| y.iter_mut().zip(operand).for_each(|(y, o)| *y = f(*y, *o))),
            Some(table) => y.iter_mut().zip(table).for_each(|(y, &k)| *y = f(*y, operand[k as usize])),
        }
    }
}

/// For each element of the result, the element of an operand of shape `shape` that meets it.
fn spread(shape: &[usize], output: &[usize]) -> Vec<u32> {
    let (own, lead) = (strides(shape), output.len() - shape.len());
    let mut at = vec![0; output.len()];
    let index = |at: &[usize]| -> usize {
        shape.iter().enumerate().map(|(axis, n)| if *n == 1 { 0 } else { at[lead + axis] * own[axis] }).sum()
    };
    (0..output.iter().product::<usize>())
        .map(|i| {
            position(i, output, &mut at);
            index(&at) as u32
        })
        .collect()
}

/// The sum, or the mean, over some axes.
#[derive(Debug)]
pub(super) struct Reduce {
    /// For each element of the input, where it is added.
    to: Vec<u32>,
    scale: f32,
}

impl Reduce {
    /// `axes` count from the end when negative; the result may keep summed axes as 1 or drop them.
    pub(super) fn new(input: &[usize], axes: &[i32], mean: bool, output: &[usize]) -> Result<Self, Misfit> {
        let mut kept = input.to_vec();
        for &axis in axes {
            kept[wrapped(axis, input.len())?] = 1;
        }
        let elements = kept.iter().product::<usize>();
        if elements != output.iter().product::<usize>() {
            return Err(Misfit(format!("a sum over {axes:?} of {input:?} to {output:?}")));
        }
        let summed = input.iter().product::<usize>() / elements;
        Ok(Reduce { to: spread(&kept, input), scale: if mean { 1.0 / summed as f32 } else { 1.0 } })
    }

    pub(super) fn run(&self, x: &[f32], y: &mut [f32]) {
        y.fill(0.0);
        x.iter().zip(&self.to).for_each(|(v, &k)| y[k as usize] += v);
        y.iter_mut().for_each(|v| *v *= self.scale);
    }
}

fn wrapped(axis: i32, rank: usize) -> Result<usize, Misfit> {
    let from_start = if axis < 0 { i64::from(axis) + rank as i64 } else { i64::from(axis) };
    usize::try_from(from_start)
        .ok()
        .filter(|a| *a < rank)
        .ok_or(Misfit(format!("axis {axis} of rank {rank}")))
}

/// Copies of consecutive elements from inputs into the result, zeros elsewhere: transposing, padding, slicing
/// and concatenating.
#[derive(Debug)]
pub(super) struct Move {
    runs: Vec<Run>,
    zeros: bool,
}

#[derive(Debug)]
struct Run {
    input: u32,
    from: u32,
    to: u32,
    len: u32,
}

impl Move {
    /// `source` says for each element of the result which input and which element of it it is, or none for zero.
    fn new(elements: usize, mut source: impl FnMut(usize) -> Option<(usize, usize)>) -> Self {
        let mut moves = Move { runs: Vec::new(), zeros: false };
        for to in 0..elements {
            let Some((input, from)) = source(to) else {
                moves.zeros = true;
                continue;
            };
            let (input, from, to) = (input as u32, from as u32, to as u32);
            match moves.runs.last_mut() {
                Some(run) if run.input == input && run.to + run.len == to && run.from + run.len == from => {
                    run.len += 1
                }
                _ => moves.runs.push(Run { input, from, to, len: 1 }),
            }
        }
        moves
    }

    pub(super) fn transpose(input: &[usize], order: &[i32], output: &[usize]) -> Result<Self, Misfit> {
        let wrong = || Misfit(format!("axes of {input:?} in order {order:?} as {output:?}"));
        let order = order.iter().map(|a| wrapped(*a, input.len())).collect::<Result<Vec<_>, _>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..input.len()).collect::<Vec<_>>() || output.len() != input.len() {
            return Err(wrong());
        }
        if order.iter().zip(output).any(|(&axis, &n)| input[axis] != n) {
            return Err(wrong());
        }
        let (own, mut at) = (strides(input), vec![0; output.len()]);
        Ok(Move::new(output.iter().product(), |to| {
            position(to, output, &mut at);
            Some((0, order.iter().zip(&at).map(|(&axis, i)| own[axis] * i).sum()))
        }))
    }

    /// `paddings` `[rank, 2]`: zeros before and after each axis.
    pub(super) fn pad(input: &[usize], paddings: &[i32], output: &[usize]) -> Result<Self, Misfit> {
        let wrong = || Misfit(format!("{input:?} padded by {paddings:?} to {output:?}"));
        if paddings.len() != 2 * input.len() || output.len() != input.len() || paddings.iter().any(|p| *p < 0)
        {
            return Err(wrong());
        }
        let before: Vec<usize> = paddings.chunks_exact(2).map(|p| p[0] as usize).collect();
        if (0..input.len()).any(|a| before[a] + input[a] + paddings[2 * a + 1] as usize != output[a]) {
            return Err(wrong());
        }
        let (own, mut at) = (strides(input), vec![0; output.len()]);
        Ok(Move::new(output.iter().product(), |to| {
            position(to, output, &mut at);
            let mut from = 0;
            for axis in 0..input.len() {
                from += own[axis] * at[axis].checked_sub(before[axis]).filter(|i| *i < input[axis])?;
            }
            Some((0, from))
        }))
    }

    pub(super) fn concatenation(inputs: &[&[usize]], axis: i32, output: &[usize]) -> Result<Self, Misfit> {
        let wrong = || Misfit(format!("{inputs:?} joined along {axis} as {output:?}"));
        let axis = wrapped(axis, output.len())?;
        let apart = |shape: &[usize]| shape.iter().enumerate().any(|(a, n)| a != axis && *n != output[a]);
        if inputs.iter().any(|shape| shape.len() != output.len() || apart(shape))
            || inputs.iter().map(|shape| shape[axis]).sum::<usize>() != output[axis]
        {
            return Err(wrong());
        }
        let own: Vec<_> = inputs.iter().map(|shape| strides(shape)).collect();
        let mut at = vec![0; output.len()];
        Ok(Move::new(output.iter().product(), |to| {
            position(to, output, &mut at);
            let mut input = 0;
            while at[axis] >= inputs[input][axis] {
                at[axis] -= inputs[input][axis];
                input += 1;
            }
            Some((input, own[input].iter().zip(&at).map(|(s, i)| s * i).sum()))
        }))
    }

    /// `[begin, end, step]`, each `[rank]`; masks are those of [`crate::formats::tflite::Op::StridedSlice`].
    pub(super) fn strided_slice(
        input: &[usize],
        [begin, end, step]: [&[i32]; 3],
        [begin_mask, end_mask, shrink_mask]: [u32; 3],
        output: &[usize],
    ) -> Result<Self, Misfit> {
        let wrong =
            || Misfit(format!("{input:?} from {begin:?} to {end:?} in steps of {step:?} as {output:?}"));
        let rank = input.len();
        if begin.len() != rank || end.len() != rank || step.iter().any(|s| *s < 1) || step.len() != rank {
            return Err(wrong());
        }
        let mut ranges = Vec::with_capacity(rank);
        for axis in 0..rank {
            let n = input[axis] as i64;
            let clamped = |v: i32| if v < 0 { (i64::from(v) + n).max(0) } else { i64::from(v).min(n) };
            let bit = 1u32 << axis;
            let first = if begin_mask & bit != 0 { 0 } else { clamped(begin[axis]) };
            let last = match (shrink_mask & bit != 0, end_mask & bit != 0) {
                (true, _) => first + 1,
                (false, true) => n,
                (false, false) => clamped(end[axis]),
            };
            if last <= first || last > n {
                return Err(wrong());
            }
            let count = (last - first + i64::from(step[axis]) - 1) / i64::from(step[axis]);
            ranges.push((first as usize, step[axis] as usize, count as usize));
        }
        let taken: Vec<usize> = ranges.iter().map(|r| r.2).collect();
        let kept =
            taken.iter().enumerate().filter(|(axis, _)| shrink_mask & (1 << axis) == 0).map(|(_, n)| *n);
        if kept.collect::<Vec<_>>() != output {
            return Err(wrong());
        }
        let (own, mut at) = (strides(input), vec![0; rank]);
        Ok(Move::new(taken.iter().product(), |to| {
            position(to, &taken, &mut at);
            Some((0, (0..rank).map(|a| own[a] * (ranges[a].0 + at[a] * ranges[a].1)).sum()))
        }))
    }

    pub(super) fn run(&self, inputs: &[&[f32]], y: &mut [f32]) {
        if self.zeros {
            y.fill(0.0);
        }
        for run in &self.runs {
            let (from, to, len) = (run.from as usize, run.to as usize, run.len as usize);
            y[to..to + len].copy_from_slice(&inputs[run.input as usize][from..from + len]);
        }
    }
}
