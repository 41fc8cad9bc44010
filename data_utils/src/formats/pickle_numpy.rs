//! NumPy's arrays inside pickles: `_reconstruct(ndarray, …)` and `dtype(…)`, each followed by its state.

use super::pickle_value::{ArrayRef, DType, Global, Outcome, Pickle, Value, broken};

/// The most axes NumPy allows.
const AXES_LIMIT: usize = 32;

impl<'a> Pickle<'a> {
    /// How many arrays, types and made bytes there are.
    pub(super) fn numpys(&self) -> usize {
        self.arrays.len() + self.dtypes.len() + self.made.len()
    }

    /// What a call of NumPy's functions gives; none for other functions.
    pub(super) fn numpy(&mut self, global: Global, arguments: &[Value<'a>]) -> Outcome<Option<Value<'a>>> {
        Ok(Some(match (global, arguments) {
            (Global::Reconstruct, [Value::Global(Global::ArrayType), ..]) => {
                self.arrays.push(ArrayRef::default());
                Value::Array(self.arrays.len() - 1)
            }
            (Global::DTypeType, [Value::Text(kind), ..]) => {
                self.dtypes.push(DType { kind, order: "" });
                Value::DType(self.dtypes.len() - 1)
            }
            (Global::Encode, [Value::Text(text), Value::Text("latin1")]) => {
                let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
                let Ok(bytes) = bytes else { return broken("bytes written as text that is not Latin-1") };
                self.made.push(bytes);
                Value::Made(self.made.len() - 1)
            }
            (Global::Reconstruct | Global::ArrayType | Global::DTypeType | Global::Encode, _) => {
                Value::Opaque
            }
            _ => return Ok(None),
        }))
    }

    /// BUILD: fills an array or a type; attributes of other objects are left out.
    pub(super) fn build(&mut self, object: Value<'a>, state: Value<'a>) -> Outcome<()> {
        let Value::Tuple(at) = state else { return Ok(()) };
        match (object, &self.sequences[at][..]) {
            (Value::DType(dtype), [_, Value::Text(order), ..]) => {
                if let Some(dtype) = self.dtypes.get_mut(dtype) {
                    dtype.order = order;
                }
            }
            (Value::Array(array), [_, shape, Value::DType(dtype), Value::Bool(fortran_order), data]) => {
                let dtype = self.dtypes.get(*dtype).copied().unwrap_or_default();
                let (fortran_order, data) = (*fortran_order, Some(*data));
                let shape = self.lengths(*shape)?;
                if let Some(array) = self.arrays.get_mut(array) {
                    *array = ArrayRef { shape, dtype, fortran_order, data };
                }
            }
            (Value::Array(_), _) => return broken("a NumPy array with another state than NumPy's"),
            _ => {}
        }
        Ok(())
    }

    /// The bytes of a value that is any.
    pub(super) fn bytes(&self, value: Value<'a>) -> Option<&[u8]> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Text(text) => Some(text.as_bytes()),
            Value::Made(at) => self.made.get(at).map(Vec::as_slice),
            _ => None,
        }
    }

    /// The lengths of a shape.
    pub(super) fn lengths(&self, value: Value<'a>) -> Outcome<Vec<usize>> {
        let (Value::Tuple(at) | Value::List(at)) = value else { return broken("a tensor without a shape") };
        let items = &self.sequences[at];
        if items.len() > AXES_LIMIT {
            return broken(format!("a tensor of {} axes", items.len()));
        }
        items.iter().map(|&item| length(item)).collect()
    }
}

/// A length that a pickle names.
pub(super) fn length(value: Value<'_>) -> Outcome<usize> {
    match value {
        Value::Int(n) => usize::try_from(n).or_else(|_| broken(format!("a tensor with a length of {n}"))),
        _ => broken("a tensor with a length that is no integer"),
    }
}
