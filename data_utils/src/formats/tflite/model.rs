//! A network as its file describes it.

/// Largest rank of a tensor that is read.
pub const MAX_RANK: usize = 6;
/// Largest number of elements of one tensor; the networks of a face need a tenth of it.
pub const MAX_ELEMENTS: usize = 1 << 22;

/// A network: tensors, operators in running order, and which tensors go in and come out.
#[derive(Debug, Clone)]
pub struct Model {
    /// Every tensor; operators speak of them by index.
    pub tensors: Vec<Tensor>,
    /// Operators in the order in which they run.
    pub operators: Vec<Operator>,
    /// Tensors the caller fills.
    pub inputs: Vec<usize>,
    /// Tensors the caller reads.
    pub outputs: Vec<usize>,
}

/// A tensor: a constant when it has data, otherwise a value computed at run time.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its name, at most 64 bytes of it.
    pub name: String,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements when constant.
    pub data: Option<Constant>,
}

/// Elements of a constant tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Real numbers, widened from f16 where the file has that.
    Real(Vec<f32>),
    /// Integers: shapes, axes, paddings, permutations.
    Integer(Vec<i32>),
}

/// One operator; operand `None` stands for an optional input that is left out.
#[derive(Debug, Clone)]
pub struct Operator {
    /// What it does.
    pub op: Op,
    /// Tensors read.
    pub inputs: Vec<Option<usize>>,
    /// The tensor written.
    pub output: usize,
}

/// How a window's border is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// As many outputs as inputs / stride, rounded up; the smaller half of the border goes first.
    Same,
    /// Only windows that lie inside.
    Valid,
}

/// Window step and border of convolutions and pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Steps along height and width.
    pub stride: [usize; 2],
    /// Border.
    pub padding: Padding,
    /// max(0, x) after it.
    pub relu: bool,
}

/// Elementwise operators of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// max(0, x).
    Relu,
    /// 1 / (1 + exp(−x)).
    Logistic,
    /// −x.
    Neg,
    /// √x.
    Sqrt,
    /// 1 / √x.
    Rsqrt,
}

/// Elementwise operators of two inputs, with broadcasting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// (a − b)².
    SquaredDifference,
}

/// The operators that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Convolution: image, weights OHWI, bias.
    Conv2d(Window),
    /// Convolution of each channel by itself: image, weights 1HWC, bias.
    DepthwiseConv2d(Window),
    /// Largest value of each window of this height and width.
    MaxPool2d(Window, [usize; 2]),
    /// x where positive, slope · x elsewhere: values, slopes of the last axis.
    Prelu,
    /// One input, elementwise.
    Unary(Unary),
    /// Two inputs, elementwise; `relu`: max(0, x) after it.
    Binary {
        /// Which.
        kind: Binary,
        /// max(0, x) after it.
        relu: bool,
    },
    /// Sum over the axes of input 1, divided by their extent when `mean`.
    Reduce {
        /// Divide by the number of summed elements.
        mean: bool,
    },
    /// Half-precision constant to real: the same constant here.
    Dequantize,
    /// The same elements under the output's shape.
    Reshape,
    /// Axes permuted by input 1.
    Transpose,
    /// Zeros around, input 1 `[rank, 2]` before and after each axis.
    Pad,
    /// Inputs one after the other along an axis, counted from the end when negative.
    Concatenation {
        /// The axis.
        axis: i32,
    },
    /// Elements from input 1 to input 2 in steps of input 3; a mask bit says that axis starts or ends at its end.
    StridedSlice {
        /// Axes whose begin is ignored.
        begin_mask: u32,
        /// Axes whose end is ignored.
        end_mask: u32,
        /// Axes of which one element is taken and the axis dropped.
        shrink_mask: u32,
    },
}
