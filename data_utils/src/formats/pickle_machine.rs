//! The stack machine that a pickle is a program for, with the instructions that PyTorch's pickles use.
//!
//! Stack, memo and parts are capped, so that memory follows the length of the program and never a number in it.

use super::pickle_numpy::length;
use super::pickle_value::{Global, Outcome, Pickle, StorageRef, TensorRef, Value, broken, find_global};
use std::collections::BTreeMap;

/// The most values on the stack or in the memo, the most containers, and the most items copied by calls.
const OBJECT_LIMIT: usize = 1 << 18;
const TENSOR_LIMIT: usize = 1 << 14;
const MARK_LIMIT: usize = 1024;
/// No function of the table takes more.
const ARGUMENT_LIMIT: usize = 8;

#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    parts: Pickle<'a>,
    /// Dict items that calls have copied so far.
    copied: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Machine { bytes, ..Machine::default() }
    }

    /// Runs up to STOP; gives the value, its parts, and the number of bytes it took.
    pub(super) fn run(mut self) -> Outcome<(Value<'a>, Pickle<'a>, usize)> {
        loop {
            let code = self.take(1)?[0];
            if code == b'.' {
                let value = self.pop()?;
                return Ok((value, self.parts, self.at));
            }
            self.step(code)?;
            let objects = self.parts.sequences.len() + self.parts.dicts.len();
            if self.stack.len().max(self.memo.len()).max(objects).max(self.copied) > OBJECT_LIMIT
                || self.parts.tensors.len().max(self.parts.storages.len()).max(self.parts.numpys())
                    > TENSOR_LIMIT
                || self.marks.len() > MARK_LIMIT
            {
                return broken("a pickle of more parts than any state dict has");
            }
        }
    }

    fn step(&mut self, code: u8) -> Outcome<()> {
        match code {
            0x80 => drop(self.take(1)?),                             // PROTO
            0x95 => drop(self.take(8)?),                             // FRAME
            b'(' => self.marks.push(self.stack.len()),               // MARK
            b'0' => drop(self.pop()?),                               // POP
            b'1' => drop(self.pop_mark()?),                          // POP_MARK
            b'2' => self.push(self.peek()?),                         // DUP
            b'N' => self.push(Value::None),                          // NONE
            0x88 => self.push(Value::Bool(true)),                    // NEWTRUE
            0x89 => self.push(Value::Bool(false)),                   // NEWFALSE
            b'J' => self.int(4, true)?,                              // BININT
            b'K' => self.int(1, false)?,                             // BININT1
            b'M' => self.int(2, false)?,                             // BININT2
            0x8a => self.long()?,                                    // LONG1
            b'G' => self.take(8).map(|_| self.push(Value::Float))?,  // BINFLOAT
            b'X' => self.text(4)?,                                   // BINUNICODE
            0x8c | b'U' => self.text(1)?,                            // SHORT_BINUNICODE, SHORT_BINSTRING
            0x8d => self.text(8)?,                                   // BINUNICODE8
            b'T' => self.text(4)?,                                   // BINSTRING
            b'B' => self.blob(4)?,                                   // BINBYTES
            b'C' => self.blob(1)?,                                   // SHORT_BINBYTES
            0x8e => self.blob(8)?,                                   // BINBYTES8
            b']' => self.list(Vec::new()),                           // EMPTY_LIST
            b')' => self.tuple(Vec::new()),                          // EMPTY_TUPLE
            b'}' => self.dict(Vec::new()),                           // EMPTY_DICT
            b'l' => self.pop_mark().map(|items| self.list(items))?,  // LIST
            b't' => self.pop_mark().map(|items| self.tuple(items))?, // TUPLE
            0x85..=0x87 => {
                // TUPLE1, TUPLE2, TUPLE3
                let from = self
                    .stack
                    .len()
                    .checked_sub(usize::from(code - 0x84))
                    .filter(|&from| from >= self.floor());
                let Some(from) = from else { return broken("a pickle that empties its stack") };
                let items = self.stack.split_off(from);
                self.tuple(items);
            }
            b'd' => {
                // DICT
                let items = self.pop_mark()?;
                self.dict(Vec::new());
                self.insert(items)?;
            }
            b'a' => {
                // APPEND
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => self.pop_mark().and_then(|items| self.extend(items))?, // APPENDS
            b's' => {
                // SETITEM
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => self.pop_mark().and_then(|items| self.insert(items))?, // SETITEMS
            b'c' => {
                // GLOBAL
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(find_global(module, name)?));
            }
            0x93 => {
                // STACK_GLOBAL
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return broken("a pickle whose global has no name");
                };
                self.push(Value::Global(find_global(module, name)?));
            }
            b'R' | 0x81 => {
                // REDUCE, NEWOBJ
                let (arguments, function) = (self.pop()?, self.pop()?);
                let (Value::Global(global), Value::Tuple(arguments)) = (function, arguments) else {
                    return broken("a pickle that calls what is no function");
                };
                let made = self.call(global, arguments)?;
                self.push(made);
            }
            b'b' => {
                // BUILD: attributes of an object, never weights; or what an array holds
                let (state, object) = (self.pop()?, self.peek()?);
                self.parts.build(object, state)?;
            }
            b'Q' => {
                // BINPERSID
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.parts.storages.push(storage);
                self.push(Value::Storage(self.parts.storages.len() - 1));
            }
            b'q' => self.put(1)?, // BINPUT
            b'r' => self.put(4)?, // LONG_BINPUT
            0x94 => {
                // MEMOIZE
                let (key, value) = (self.memo.len() as u32, self.peek()?);
                self.memo.insert(key, value);
            }
            b'h' => self.get(1)?, // BINGET
            b'j' => self.get(4)?, // LONG_BINGET
            _ => return broken(format!("a pickle with instruction 0x{code:02x} at byte {}", self.at - 1)),
        }
        Ok(())
    }

    /// The next `n` bytes of the program.
    fn take(&mut self, n: usize) -> Outcome<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return broken(format!("a pickle that ends too early, at byte {}", self.bytes.len()));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of `n` bytes, at most 8.
    fn unsigned(&mut self, n: usize) -> Outcome<u64> {
        let mut wide = [0u8; 8];
        wide[..n].copy_from_slice(self.take(n)?);
        Ok(u64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(256).position(|&b| b == b'\n');
        let Some(length) = length else { return broken("a pickle with a name without end") };
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).or_else(|_| broken("a pickle with a name that is not text"))
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(value);
    }

    fn int(&mut self, n: usize, signed: bool) -> Outcome<()> {
        let bits = self.unsigned(n)?;
        self.push(Value::Int(if signed { i64::from(bits as u32 as i32) } else { bits as i64 }));
        Ok(())
    }

    fn long(&mut self) -> Outcome<()> {
        let n = self.take(1)?[0];
        let digits = self.take(usize::from(n))?;
        // Longer integers are magic numbers and random seeds, never shapes.
        let value = if digits.len() > 8 {
            Value::Opaque
        } else {
            let fill = if digits.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [fill; 8];
            wide[..digits.len()].copy_from_slice(digits);
            Value::Int(i64::from_le_bytes(wide))
        };
        self.push(value);
        Ok(())
    }

    fn counted(&mut self, n: usize) -> Outcome<&'a [u8]> {
        let length = self.unsigned(n)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Text with a length of `n` bytes; Python 2 strings come this way too and may be no text.
    fn text(&mut self, n: usize) -> Outcome<()> {
        let bytes = self.counted(n)?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text));
        Ok(())
    }

    fn blob(&mut self, n: usize) -> Outcome<()> {
        let bytes = self.counted(n)?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    /// Where the part of the stack begins that the innermost mark protects.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn peek(&self) -> Outcome<Value<'a>> {
        match self.stack.last() {
            Some(&value) if self.stack.len() > self.floor() => Ok(value),
            _ => broken("a pickle that empties its stack"),
        }
    }

    fn pop(&mut self) -> Outcome<Value<'a>> {
        let value = self.peek()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Value<'a>>> {
        let Some(mark) = self.marks.pop() else { return broken("a pickle without a mark") };
        Ok(self.stack.split_off(mark))
    }

    fn list(&mut self, items: Vec<Value<'a>>) {
        self.parts.sequences.push(items);
        self.push(Value::List(self.parts.sequences.len() - 1));
    }

    fn tuple(&mut self, items: Vec<Value<'a>>) {
        self.parts.sequences.push(items);
        self.push(Value::Tuple(self.parts.sequences.len() - 1));
    }

    fn dict(&mut self, items: Vec<(Value<'a>, Value<'a>)>) {
        self.parts.dicts.push(items);
        self.push(Value::Dict(self.parts.dicts.len() - 1));
    }

    fn extend(&mut self, items: Vec<Value<'a>>) -> Outcome<()> {
        match self.peek()? {
            Value::List(at) => self.parts.sequences[at].extend(items),
            Value::Opaque => {}
            _ => return broken("a pickle that appends to what is no list"),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<Value<'a>>) -> Outcome<()> {
        if !items.len().is_multiple_of(2) {
            return broken("a pickle with a key without a value");
        }
        match self.peek()? {
            Value::Dict(at) => {
                self.parts.dicts[at].extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])))
            }
            Value::Opaque => {}
            _ => return broken("a pickle that sets items of what is no dict"),
        }
        Ok(())
    }

    fn put(&mut self, n: usize) -> Outcome<()> {
        let (key, value) = (self.unsigned(n)? as u32, self.peek()?);
        self.memo.insert(key, value);
        Ok(())
    }

    fn get(&mut self, n: usize) -> Outcome<()> {
        let key = self.unsigned(n)? as u32;
        let Some(&value) = self.memo.get(&key) else {
            return broken("a pickle that recalls what it never kept");
        };
        self.push(value);
        Ok(())
    }

    fn call(&mut self, global: Global, arguments: usize) -> Outcome<Value<'a>> {
        let arguments = &self.parts.sequences[arguments];
        if global == Global::Ignored {
            return Ok(Value::Opaque);
        }
        if arguments.len() > ARGUMENT_LIMIT {
            return broken(format!("a pickle that calls {global:?} with {} arguments", arguments.len()));
        }
        let arguments = arguments.clone();
        if let Some(made) = self.parts.numpy(global, &arguments)? {
            return Ok(made);
        }
        match (global, arguments.as_slice()) {
            (Global::RebuildTensor, [Value::Storage(storage), offset, shape, strides, ..]) => {
                let (offset, shape) = (length(*offset)?, self.parts.lengths(*shape)?);
                let strides = self.parts.lengths(*strides)?;
                if shape.len() != strides.len() {
                    return broken(format!(
                        "a tensor of {} axes with {} strides",
                        shape.len(),
                        strides.len()
                    ));
                }
                self.parts.tensors.push(TensorRef {
                    storage: self.parts.storages[*storage],
                    offset,
                    shape,
                    strides,
                });
                Ok(Value::Tensor(self.parts.tensors.len() - 1))
            }
            (Global::RebuildParameter, [data @ Value::Tensor(_), ..]) => Ok(*data),
            (Global::OrderedDict, []) => {
                self.parts.dicts.push(Vec::new());
                Ok(Value::Dict(self.parts.dicts.len() - 1))
            }
            (Global::OrderedDict, [Value::List(pairs)]) => {
                self.copied += self.parts.sequences[*pairs].len();
                if self.copied > OBJECT_LIMIT {
                    return broken("a pickle of more parts than any state dict has");
                }
                let mut items = Vec::new();
                for pair in &self.parts.sequences[*pairs] {
                    let (Value::List(pair) | Value::Tuple(pair)) = pair else {
                        return broken("a dict of no pairs");
                    };
                    let [key, value] = self.parts.sequences[*pair][..] else {
                        return broken("a dict of no pairs");
                    };
                    items.push((key, value));
                }
                self.parts.dicts.push(items);
                Ok(Value::Dict(self.parts.dicts.len() - 1))
            }
            (Global::Size, [lengths @ Value::Tuple(_)]) => Ok(*lengths),
            _ => broken(format!("a pickle that calls {global:?} with other than its arguments")),
        }
    }

    /// Reads a persistent id: `('storage', type, key, device, count[, view])`.
    fn storage(&self, id: Value<'a>) -> Outcome<StorageRef<'a>> {
        let Value::Tuple(at) = id else { return broken("a pickle with a reference that is no storage") };
        match self.parts.sequences[at][..] {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(scalar)),
                Value::Text(key),
                Value::Text(_),
                count,
            ]
            | [
                Value::Text("storage"),
                Value::Global(Global::Storage(scalar)),
                Value::Text(key),
                Value::Text(_),
                count,
                Value::None,
            ] => Ok(StorageRef { scalar, key, count: length(count)? }),
            [Value::Text("storage"), _, _, _, _, _] => {
                broken("a storage that is a view of another, from PyTorch before 0.4")
            }
            _ => broken("a whole pickled module instead of its state dict"),
        }
    }
}
