//! From the tables of a FlatBuffers file to a [`Model`]. Field numbers are those of the schema.

use super::model::{
    Binary, Constant, MAX_ELEMENTS, MAX_RANK, Model, Op, Operator, Padding, Tensor, Unary, Window,
};
use crate::formats::flatbuffer::{Malformed, Table};
use std::fmt;

const MAX_OPERANDS: usize = 8;
/// Largest number of tensors, operators or buffers; entries of a file may share their bytes, so its length
/// alone does not bound what they take here.
const MAX_ENTRIES: usize = 4096;
const MAX_NAME: usize = 64;

/// Why a file is not read.
pub(super) enum Fault {
    Malformed(Malformed),
    Unsupported(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed(malformed) => malformed.fmt(f),
            Fault::Unsupported(what) => what.fmt(f),
        }
    }
}

impl From<Malformed> for Fault {
    fn from(m: Malformed) -> Self {
        Fault::Malformed(m)
    }
}

type Read<T> = std::result::Result<T, Fault>;

fn unsupported<T>(what: impl Into<String>) -> Read<T> {
    Err(Fault::Unsupported(what.into()))
}

/// The model in the bytes of a file.
pub(super) fn read(bytes: &[u8]) -> Read<Model> {
    let root = Table::root(bytes, b"TFL3")?;
    let graphs = tables(&root, 2)?;
    let [graph] = graphs.as_slice() else {
        return unsupported(format!("{} subgraphs, not one", graphs.len()));
    };
    let mut codes = Vec::new();
    for code in tables(&root, 1)? {
        // Files before schema 3a keep the code in the byte field; later ones in the wide field or in both.
        codes.push(code.i32(3, 0)?.max(i32::from(code.i8(0, 0)?)));
    }
    let mut buffers = Vec::new();
    for buffer in tables(&root, 4)? {
        buffers.push(buffer.vector(0, 1)?.bytes());
    }
    // Tensors may share a buffer, and halves double when widened; all constants together stay within this.
    let mut budget = 2 * bytes.len();
    let mut tensors = Vec::new();
    for tensor in tables(graph, 0)? {
        tensors.push(read_tensor(&tensor, &buffers, &mut budget)?);
    }
    let mut operators = Vec::new();
    for operator in tables(graph, 3)? {
        operators.push(read_operator(&operator, &codes, tensors.len())?);
    }
    let ends = |slot: usize| -> Read<Vec<usize>> {
        let vector = graph.vector(slot, 4)?;
        if vector.len() > MAX_OPERANDS {
            return unsupported(format!("{} inputs or outputs", vector.len()));
        }
        vector.i32s().map(|i| index(i, tensors.len())).collect()
    };
    let (inputs, outputs) = (ends(1)?, ends(2)?);
    Ok(Model { tensors, operators, inputs, outputs })
}

/// The tables of a list.
fn tables<'a>(parent: &Table<'a>, slot: usize) -> Read<Vec<Table<'a>>> {
    let entries = parent.vector(slot, 4)?;
    if entries.len() > MAX_ENTRIES {
        return unsupported(format!("{} tables in a list", entries.len()));
    }
    Ok(entries.tables().collect::<std::result::Result<Vec<_>, _>>()?)
}

fn read_tensor(table: &Table<'_>, buffers: &[&[u8]], budget: &mut usize) -> Read<Tensor> {
    let name = table.vector(3, 1)?.bytes();
    let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]).into_owned();
    let dims = table.vector(0, 4)?;
    if dims.len() > MAX_RANK {
        return unsupported(format!("tensor {name} of rank {}", dims.len()));
    }
    let mut shape = Vec::with_capacity(dims.len());
    for dim in dims.i32s() {
        match usize::try_from(dim) {
            Ok(d) if d > 0 => shape.push(d),
            _ => return unsupported(format!("tensor {name} with a dimension of {dim}")),
        }
    }
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_ELEMENTS);
    let Some(elements) = elements else {
        return unsupported(format!("tensor {name} of {shape:?} elements"));
    };
    if table.table(6)?.is_some() {
        return unsupported(format!("sparse tensor {name}"));
    }
    let Some(bytes) = buffers.get(table.u32(2, 0)? as usize) else {
        return unsupported(format!("tensor {name} in a buffer that is not there"));
    };
    if bytes.is_empty() {
        return Ok(Tensor { name, shape, data: None });
    }
    let (kind, width) = match table.i8(1, 0)? {
        0 => ("f32", 4),
        1 => ("f16", 2),
        2 => ("i32", 4),
        other => return unsupported(format!("tensor {name} of element type {other}")),
    };
    if bytes.len() != elements * width {
        return unsupported(format!("{} bytes for {elements} {kind} of tensor {name}", bytes.len()));
    }
    *budget = match budget.checked_sub(elements * 4) {
        Some(left) => left,
        None => return unsupported("constants larger than the file"),
    };
    let words = bytes.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]);
    let data = match kind {
        "f32" => Constant::Real(words.map(f32::from_le_bytes).collect()),
        "f16" => Constant::Real(
            bytes.chunks_exact(2).map(|c| half_to_f32(u16::from_le_bytes([c[0], c[1]]))).collect(),
        ),
        _ => Constant::Integer(words.map(i32::from_le_bytes).collect()),
    };
    Ok(Tensor { name, shape, data: Some(data) })
}

fn read_operator(table: &Table<'_>, codes: &[i32], tensors: usize) -> Read<Operator> {
    let Some(code) = codes.get(table.u32(0, 0)? as usize) else {
        return unsupported("an operator without a code");
    };
    let (ins, outs) = (table.vector(1, 4)?, table.vector(2, 4)?);
    if ins.len() > MAX_OPERANDS || outs.len() != 1 {
        return unsupported(format!("operator {code} with {} inputs and {} outputs", ins.len(), outs.len()));
    }
    let inputs = ins.i32s().map(|i| if i == -1 { Ok(None) } else { index(i, tensors).map(Some) });
    let inputs = inputs.collect::<Read<Vec<_>>>()?;
    let output = index(outs.i32s().next().unwrap_or(-1), tensors)?;
    Ok(Operator { op: read_op(*code, table.table(4)?)?, inputs, output })
}

fn read_op(code: i32, options: Option<Table<'_>>) -> Read<Op> {
    let byte = |slot, default| options.map_or(Ok(default), |o| o.i8(slot, default));
    let word = |slot, default| options.map_or(Ok(default), |o| o.i32(slot, default));
    let relu = |slot| match byte(slot, 0)? {
        0 => Ok(false),
        1 => Ok(true),
        other => unsupported(format!("fused activation {other}")),
    };
    let window = |activation, dilation: Option<usize>| {
        if let Some(slot) = dilation
            && (word(slot, 1)?, word(slot + 1, 1)?) != (1, 1)
        {
            return unsupported("a dilated convolution");
        }
        let padding = match byte(0, 0)? {
            0 => Padding::Same,
            1 => Padding::Valid,
            other => return unsupported(format!("padding {other}")),
        };
        Ok(Window { stride: [small(word(2, 0)?)?, small(word(1, 0)?)?], padding, relu: relu(activation)? })
    };
    let binary = |kind, relu| Op::Binary { kind, relu };
    Ok(match code {
        0 => binary(Binary::Add, relu(0)?),
        2 if !relu(1)? => Op::Concatenation { axis: word(0, 0)? },
        3 => Op::Conv2d(window(3, Some(4))?),
        4 => Op::DepthwiseConv2d(window(4, Some(5))?),
        6 => Op::Dequantize,
        14 => Op::Unary(Unary::Logistic),
        17 => Op::MaxPool2d(window(5, None)?, [small(word(4, 0)?)?, small(word(3, 0)?)?]),
        18 => binary(Binary::Mul, relu(0)?),
        19 => Op::Unary(Unary::Relu),
        22 => Op::Reshape,
        34 => Op::Pad,
        39 => Op::Transpose,
        40 => Op::Reduce { mean: true },
        41 => binary(Binary::Sub, relu(0)?),
        42 => binary(Binary::Div, relu(0)?),
        45 if (word(2, 0)?, word(3, 0)?) == (0, 0) => Op::StridedSlice {
            begin_mask: word(0, 0)? as u32,
            end_mask: word(1, 0)? as u32,
            shrink_mask: word(4, 0)? as u32,
        },
        54 => Op::Prelu,
        59 => Op::Unary(Unary::Neg),
        74 => Op::Reduce { mean: false },
        75 => Op::Unary(Unary::Sqrt),
        76 => Op::Unary(Unary::Rsqrt),
        99 => binary(Binary::SquaredDifference, false),
        other => return unsupported(format!("operator {other} or one of its options")),
    })
}

/// A stride or window extent: small, so that no product of a few overflows.
fn small(value: i32) -> Read<usize> {
    match usize::try_from(value) {
        Ok(v @ 1..=64) => Ok(v),
        _ => unsupported(format!("a stride or window of {value}")),
    }
}

fn index(i: i32, tensors: usize) -> Read<usize> {
    match usize::try_from(i) {
        Ok(i) if i < tensors => Ok(i),
        _ => unsupported(format!("tensor {i} of {tensors}")),
    }
}

/// IEEE 754 half to single precision, exact for every pattern.
fn half_to_f32(half: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(half >> 15) << 31, (half >> 10) & 31, u32::from(half & 1023));
    match exponent {
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((u32::from(exponent) + 112) << 23) | (fraction << 13)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_widen_exactly() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
        ] {
            assert_eq!(half_to_f32(bits), value);
        }
        assert!(half_to_f32(0x7c00).is_infinite() && half_to_f32(0x7e00).is_nan());
        assert_eq!(half_to_f32(0x8000).to_bits(), (-0.0f32).to_bits());
    }
}
