//! What a pickle is made of, and the table of the globals that it may name.

/// Why a pickle was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names a function or class outside the table: `module.name`.
    Forbidden(String),
    /// It is damaged, too large, or uses what no state dict uses.
    Broken(String),
}

pub(super) type Outcome<T> = std::result::Result<T, Refusal>;

/// A [`Refusal::Broken`] from a description of what was found.
pub(super) fn broken<T>(found: impl Into<String>) -> Outcome<T> {
    Err(Refusal::Broken(found.into()))
}

/// The number type of a storage, as PyTorch names its storage classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Scalar {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Scalar::F64 | Scalar::I64 => 8,
            Scalar::F32 | Scalar::I32 => 4,
            Scalar::F16 | Scalar::Bf16 | Scalar::I16 => 2,
            Scalar::I8 | Scalar::U8 | Scalar::Bool => 1,
        }
    }
}

/// A storage that lies outside the pickle, named by a persistent id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StorageRef<'a> {
    pub(super) scalar: Scalar,
    /// The name under which the container holds it.
    pub(super) key: &'a str,
    /// Elements, as declared.
    pub(super) count: usize,
}

/// A strided view of a storage; offset and strides count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorRef<'a> {
    pub(super) storage: StorageRef<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A global of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    Storage(Scalar),
    RebuildTensor,
    RebuildParameter,
    OrderedDict,
    Size,
    /// What NumPy's arrays are rebuilt by.
    Reconstruct,
    ArrayType,
    DTypeType,
    /// Text to bytes, as Python 3 writes bytes for Python 2.
    Encode,
    /// Known and harmless, and never part of a weight: calls and instances become [`Value::Opaque`].
    Ignored,
}

/// What a pickle is made of. Containers are indices into [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Bytes that a call made, in [`Pickle::made`].
    Made(usize),
    /// A NumPy array and the type of one, in [`Pickle`].
    Array(usize),
    DType(usize),
    List(usize),
    Tuple(usize),
    Dict(usize),
    Tensor(usize),
    Storage(usize),
    Global(Global),
    /// Something that is not a weight.
    Opaque,
}

/// The outcome of a pickle: its value and the arena that the value refers to.
#[derive(Debug, Default)]
pub(super) struct Pickle<'a> {
    /// Lists and tuples.
    pub(super) sequences: Vec<Vec<Value<'a>>>,
    /// Dicts, in the order of insertion.
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) tensors: Vec<TensorRef<'a>>,
    pub(super) storages: Vec<StorageRef<'a>>,
    pub(super) arrays: Vec<ArrayRef<'a>>,
    pub(super) dtypes: Vec<DType<'a>>,
    pub(super) made: Vec<Vec<u8>>,
}

/// A NumPy array as its pickle describes it; empty until its state is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ArrayRef<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DType<'a>,
    pub(super) fortran_order: bool,
    /// Bytes, or the list of an array of objects.
    pub(super) data: Option<Value<'a>>,
}

/// A NumPy type: `f4` and the order of its bytes, `<`, `>` or `|`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DType<'a> {
    pub(super) kind: &'a str,
    pub(super) order: &'a str,
}

pub(super) fn find_global(module: &str, name: &str) -> Outcome<Global> {
    use Scalar::*;
    Ok(match (module, name) {
        ("torch", "DoubleStorage") => Global::Storage(F64),
        ("torch", "FloatStorage") => Global::Storage(F32),
        ("torch", "HalfStorage") => Global::Storage(F16),
        ("torch", "BFloat16Storage") => Global::Storage(Bf16),
        ("torch", "LongStorage") => Global::Storage(I64),
        ("torch", "IntStorage") => Global::Storage(I32),
        ("torch", "ShortStorage") => Global::Storage(I16),
        ("torch", "CharStorage") => Global::Storage(I8),
        ("torch", "ByteStorage") => Global::Storage(U8),
        ("torch", "BoolStorage") => Global::Storage(Bool),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "Size") => Global::Size,
        // What trainers save beside the weights: numpy scalars of metrics, devices and dtypes.
        ("torch", "device" | "float64" | "float32" | "float16" | "bfloat16" | "int64" | "uint8" | "bool")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Ignored,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Reconstruct,
        ("numpy", "ndarray") => Global::ArrayType,
        ("numpy", "dtype") => Global::DTypeType,
        ("_codecs", "encode") => Global::Encode,
        _ => return Err(Refusal::Forbidden(format!("{module}.{name}"))),
    })
}
