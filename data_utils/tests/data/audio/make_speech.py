"""Makes the weights of the speech features and the numbers that their tests are held against.

python make_speech.py FOLDER    (onnx, onnxruntime, numpy, safetensors)

FOLDER holds melspectrogram.onnx and embedding_model.onnx of the crate livekit-wakeword 0.1.3 (its folder onnx;
Apache-2.0). Writes ../../../weights/speech_trunk.safetensors: the layers of embedding_model.onnx up to its fourth
pooling, kernels as float16, biases and the mel matrix as float32. Writes speech_mel.npy, the front end's rows of
voice.wav by melspectrogram.onnx; speech_rows.npy, what the layers with the kernels as they are stored make of them, one
row for each video frame, after they were brought to one level; speech_rows_f32.npy, the same with the kernels of the
original.
"""
import sys
import wave
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HERE = Path(__file__).parent
LAST = "model/max_pooling2d_3/MaxPool:0"
# Rows of the front end that are repeated in front, so that row j of the result sits on video frame j.
IN_FRONT = 21
# In units of the front end, 10 dB + 2: the level all sounds are brought to, the least one that is taken for a voice's, and how
# far below the loudest so far a value may lie.
LEVEL, LEAST, RANGE = 12.2, 8.0, 8.0


def levelled(mel):
    """Each row moved as the loudest value so far asks."""
    loudest = np.maximum.accumulate(np.maximum(mel.max(1, keepdims=True), LEAST))
    return (np.maximum(mel, loudest - RANGE) + (LEVEL - loudest)).astype(np.float32)


def trunk(model):
    """The layers up to the fourth pooling, on rows [1, 1, time, 32]."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    nodes = []
    for node in model.graph.node[1:]:
        nodes.append(node)
        if LAST in node.output:
            break
    nodes[0].input[0] = "mel"
    for part in (cut.graph.node, cut.graph.input, cut.graph.output):
        del part[:]
    cut.graph.node.extend(nodes)
    cut.graph.input.append(helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, 1, "time", 32]))
    cut.graph.output.append(helper.make_tensor_value_info(LAST, TensorProto.FLOAT, None))
    return cut


def decibels(model):
    """The front end up to where it cuts off what lies far below the loudest value of the whole sound."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    name = next(n for n in model.graph.node if n.op_type == "ReduceMax").input[0]
    last = next(i for i, n in enumerate(model.graph.node) if name in n.output)
    del cut.graph.node[last + 1 :]
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return cut


def run(model, values):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def main(folder):
    front = onnx.load(folder / "melspectrogram.onnx")
    network = trunk(onnx.load(folder / "embedding_model.onnx"))
    matrix = {i.name: numpy_helper.to_array(i) for i in front.graph.initializer}["1.melW"]
    tensors = {"mel": matrix.astype(np.float32)}
    rounded = onnx.ModelProto()
    rounded.CopyFrom(network)
    initial = {i.name: i for i in rounded.graph.initializer}
    convolutions = [n for n in network.graph.node if n.op_type == "Conv"]
    for i, node in enumerate(convolutions):
        kernel, bias = (numpy_helper.to_array(initial[name]) for name in node.input[1:])
        tensors[f"{i}.weight"] = kernel.astype(np.float16)
        tensors[f"{i}.bias"] = bias.astype(np.float32)
        stored = kernel.astype(np.float16).astype(np.float32)
        initial[node.input[1]].CopyFrom(numpy_helper.from_array(stored, node.input[1]))
    save_file(tensors, HERE / "../../../weights/speech_trunk.safetensors")

    with wave.open(str(HERE / "voice.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
    mel = run(decibels(front), (samples * np.float32(32767))[None]).reshape(-1, 32) / np.float32(10) + np.float32(2)
    np.save(HERE / "speech_mel.npy", mel)
    count = -(-len(samples) // 640)
    padded = np.pad(levelled(mel), ((IN_FRONT, 4 * count + 36 - IN_FRONT - len(mel)), (0, 0)), "edge")[None, None]
    for name, model in [("speech_rows.npy", rounded), ("speech_rows_f32.npy", network)]:
        rows = run(model, padded)[0].transpose(1, 0, 2).reshape(-1, 192)
        np.save(HERE / name, rows)
        print(name, rows.shape, rows.std())


main(Path(sys.argv[1]))
