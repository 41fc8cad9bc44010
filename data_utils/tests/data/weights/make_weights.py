"""Makes the small files that the weights reader is tested on.

python make_weights.py    (torch, numpy, safetensors)
"""
import collections
import os
import pickle

import numpy as np
import torch
from safetensors.torch import save_file


def parts():
    """A state dict with every kind of tensor the reader knows, views included."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    model = collections.OrderedDict()
    model["plain"] = torch.tensor([[1.5, -2.0], [0.25, 4.0]])
    model["transposed"] = base.t()
    model["column"] = base[1:, 2]
    model["expanded"] = torch.tensor([7.0]).expand(3)
    model["scalar"] = torch.tensor(3)
    model["empty"] = torch.zeros(0, 5)
    model["half"] = torch.tensor([1.0, -0.5], dtype=torch.float16)
    model["bfloat"] = torch.tensor([3.0, -1.0], dtype=torch.bfloat16)
    model["double"] = torch.tensor([0.1], dtype=torch.float64)
    model["int32"] = torch.tensor([-70000], dtype=torch.int32)
    model["int16"] = torch.tensor([-300], dtype=torch.int16)
    model["int8"] = torch.tensor([-3], dtype=torch.int8)
    model["uint8"] = torch.tensor([200], dtype=torch.uint8)
    model["bool"] = torch.tensor([True, False])
    return model


class Malicious:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


if __name__ == "__main__":
    checkpoint = {
        "model": parts(),
        "layers": [torch.ones(2), {"bias": torch.zeros(1)}],
        "parameter": torch.nn.Parameter(torch.tensor([5.0])),
        "epoch": 3,
        "loss": np.float64(0.5),
        "name": "a checkpoint",
        7: torch.tensor([9.0]),
    }
    torch.save(checkpoint, "zip.pth")
    torch.save(checkpoint, "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"weight": torch.ones(2), "hook": Malicious()}, "malicious_zip.pth")
    torch.save({"weight": torch.ones(2), "hook": Malicious()}, "malicious_legacy.pth", _use_new_zipfile_serialization=False)
    with open("malicious.pkl", "wb") as file:
        pickle.dump(Malicious(), file, protocol=4)
    plain = {name: tensor.contiguous().clone() for name, tensor in parts().items()}
    save_file(plain, "plain.safetensors")
