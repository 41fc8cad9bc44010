"""Makes operators.tflite, a little network of all 22 operators that the reader knows, and operators.bin, its
input and the outputs of LiteRT's own interpreter (reference kernels, no delegate) as little-endian f32.

    pip install ai-edge-litert flatbuffers numpy
    python make_operators.py
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

rng = np.random.default_rng(7)
model = s.ModelT()
model.version, model.description = 3, "all operators"
model.buffers, model.operatorCodes = [s.BufferT()], []
graph = s.SubGraphT()
graph.tensors, graph.operators = [], []
TYPES = {"float32": s.TensorType.FLOAT32, "float16": s.TensorType.FLOAT16, "int32": s.TensorType.INT32}


def tensor(shape, dtype="float32", data=None):
    t = s.TensorT()
    t.shape, t.type, t.name, t.buffer = list(shape), TYPES[dtype], f"t{len(graph.tensors)}", 0
    if data is not None:
        b = s.BufferT()
        b.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        model.buffers.append(b)
        t.buffer = len(model.buffers) - 1
    graph.tensors.append(t)
    return len(graph.tensors) - 1


def op(name, inputs, shape, options=None, dtype="float32"):
    code = getattr(s.BuiltinOperator, name)
    codes = [c.builtinCode for c in model.operatorCodes]
    if code not in codes:
        c = s.OperatorCodeT()
        c.builtinCode = c.deprecatedBuiltinCode = code
        c.version = 2 if name == "DEQUANTIZE" else 1
        model.operatorCodes.append(c)
        codes.append(code)
    o = s.OperatorT()
    o.opcodeIndex, o.inputs, o.outputs = codes.index(code), list(inputs), [tensor(shape, dtype)]
    if options is not None:
        kind = type(options).__name__[:-1]
        o.builtinOptionsType, o.builtinOptions = getattr(s.BuiltinOptions, kind), options
    graph.operators.append(o)
    return o.outputs[0]


def integers(values):
    data = np.array(values, np.int32)
    return tensor(data.shape, "int32", data)


def reals(shape, low=-1.0, high=1.0):
    return tensor(shape, data=rng.uniform(low, high, shape).astype("<f4"))


def halves(shape):
    half = tensor(shape, "float16", rng.uniform(-0.6, 0.6, shape).astype("<f2"))
    return op("DEQUANTIZE", [half], shape)


def options(kind, **values):
    o = getattr(s, kind + "T")()
    for key, value in values.items():
        assert hasattr(o, key), key
        setattr(o, key, value)
    return o


SAME, VALID, RELU = s.Padding.SAME, s.Padding.VALID, s.ActivationFunctionType.RELU
image = tensor([1, 13, 10, 3])
x = op("CONV_2D", [image, halves([10, 5, 3, 3]), halves([10])], [1, 7, 5, 10],
       options("Conv2DOptions", padding=SAME, strideH=2, strideW=2))
x = op("PRELU", [x, reals([1, 1, 10])], [1, 7, 5, 10])
y = op("DEPTHWISE_CONV_2D", [x, halves([1, 3, 3, 10]), halves([10])], [1, 7, 5, 10],
       options("DepthwiseConv2DOptions", padding=SAME, strideH=1, strideW=1, depthMultiplier=1,
               fusedActivationFunction=RELU))
y = op("CONV_2D", [y, halves([42, 1, 1, 10]), halves([42])], [1, 7, 5, 42],
       options("Conv2DOptions", padding=VALID, strideH=1, strideW=1, fusedActivationFunction=RELU))
y = op("DEPTHWISE_CONV_2D", [y, halves([1, 3, 2, 42]), halves([42])], [1, 3, 2, 42],
       options("DepthwiseConv2DOptions", padding=VALID, strideH=2, strideW=2, depthMultiplier=1))
p = op("MAX_POOL_2D", [x], [1, 3, 2, 10],
       options("Pool2DOptions", padding=VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2))
q = op("MAX_POOL_2D", [x], [1, 4, 3, 10],
       options("Pool2DOptions", padding=SAME, strideH=2, strideW=2, filterHeight=3, filterWidth=3))
p = op("PAD", [p, integers([[0, 0], [0, 0], [0, 0], [0, 32]])], [1, 3, 2, 42], options("PadOptions"))
q = op("PAD", [q, integers([[0, 0], [1, 2], [0, 1], [3, 0]])], [1, 7, 4, 13], options("PadOptions"))
z = op("ADD", [p, y], [1, 3, 2, 42], options("AddOptions"))
features = op("RELU", [z], [1, 3, 2, 42])

mean = op("MEAN", [z, integers([-1])], [1, 3, 2, 1], options("ReducerOptions", keepDims=True))
centred = op("SUB", [z, mean], [1, 3, 2, 42], options("SubOptions"))
spread = op("MEAN", [op("SQUARED_DIFFERENCE", [z, mean], [1, 3, 2, 42]), integers([1, 2])], [1, 42],
            options("ReducerOptions", keepDims=False))
spread = op("RSQRT", [op("ADD", [spread, reals([], 0.01, 0.02)], [1, 42], options("AddOptions"))], [1, 42])
z = op("MUL", [centred, spread], [1, 3, 2, 42], options("MulOptions", fusedActivationFunction=0))
squares = op("MUL", [z, z], [1, 3, 2, 42], options("MulOptions"))
length = op("SQRT", [op("SUM", [squares, integers([3])], [1, 3, 2, 1],
                        options("ReducerOptions", keepDims=True))], [1, 3, 2, 1])
z = op("DIV", [op("NEG", [z], [1, 3, 2, 42], options("NegOptions")), length], [1, 3, 2, 42], options("DivOptions"))
z = op("TRANSPOSE", [z, integers([0, 3, 1, 2])], [1, 42, 3, 2], options("TransposeOptions"))
z = op("RESHAPE", [z, integers([1, 7, 36])], [1, 7, 36], options("ReshapeOptions", newShape=[1, 7, 36]))
flat = op("RESHAPE", [q, integers([1, 7, 52])], [1, 7, 52], options("ReshapeOptions", newShape=[1, 7, 52]))
z = op("CONCATENATION", [z, flat, z], [1, 7, 124], options("ConcatenationOptions", axis=-1))
z = op("STRIDED_SLICE", [z, integers([0, -6, 3]), integers([0, 7, 0]), integers([1, 2, 5])], [3, 25],
       options("StridedSliceOptions", beginMask=1, endMask=5, shrinkAxisMask=1))
scores = op("LOGISTIC", [z], [3, 25])

graph.inputs, graph.outputs = [image], [features, scores]
model.subgraphs = [graph]
builder = flatbuffers.Builder(4096)
builder.Finish(model.Pack(builder), b"TFL3")
data = bytes(builder.Output())
open("operators.tflite", "wb").write(data)
names = {v: k for k, v in vars(s.BuiltinOperator).items() if not k.startswith("_")}
print(len(data), "bytes,", len(model.operatorCodes), "operators:", *(names[c.builtinCode] for c in model.operatorCodes))

run = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
run.allocate_tensors()
values = rng.uniform(-1, 1, [1, 13, 10, 3]).astype("<f4")
run.set_tensor(run.get_input_details()[0]["index"], values)
run.invoke()
outputs = [run.get_tensor(d["index"]) for d in run.get_output_details()]
print([o.shape for o in outputs], [float(np.abs(o).mean()) for o in outputs])
np.concatenate([v.astype("<f4").ravel() for v in [values, *outputs]]).tofile("operators.bin")
