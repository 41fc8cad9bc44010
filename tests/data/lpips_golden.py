"""Makes lpips_golden.json: LPIPS v0.1 and its gradient by PyTorch in float64, for networks with weights from a formula.

    python lpips_golden.py > lpips_golden.json                        (torch, numpy)
    python lpips_golden.py lpips_squeeze_full.pt > lpips_golden_trained.json   the same for trained weights

The networks are torchvision's squeezenet1_1, alexnet and vgg16 (features only), written out here, with the taps and
heads of the lpips package (lpips/lpips.py, pretrained_networks.py).
"""
import json
import sys
import numpy as np
import torch
import torch.nn.functional as F

FIRE = {3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128), 9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256)}
SHIFT = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(1, 3, 1, 1)
SCALE = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(1, 3, 1, 1)


def uniform(stream, count):
    """splitmix64 of (stream, index), the upper 24 bits as a float in 0..1."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(32)) + np.arange(count, dtype=np.uint64)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


class Formula:
    """Makes each tensor when it is first asked for; the n-th tensor is stream n."""

    def __init__(self):
        self.made = {}

    def __call__(self, name, dims):
        if name not in self.made:
            u = uniform(len(self.made) + 1, int(np.prod(dims)))
            if name.startswith("lin"):
                v = u
            elif len(dims) == 1:
                v = 0.2 * u - 0.1
            else:
                v = (2.0 * u - 1.0) * np.sqrt(6.0 / (dims[1] * dims[2] * dims[3]))
            self.made[name] = torch.tensor(v.astype(np.float32).astype(np.float64)).view(dims)
        return self.made[name]


def conv(w, name, x, out, side, stride=1, padding=0):
    kernel, bias = w(name + ".weight", (out, x.shape[1], side, side)), w(name + ".bias", (out,))
    return F.conv2d(x, kernel, bias, stride=stride, padding=padding)


def squeeze(w, x):
    x = F.relu(conv(w, "features.0", x, 64, 3, 2))
    yield x
    for last in ([3, 4], [6, 7], [9], [10], [11], [12]):
        if last[0] in (3, 6, 9):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for i in last:
            inner, outer = FIRE[i]
            s = F.relu(conv(w, f"features.{i}.squeeze", x, inner, 1))
            one = F.relu(conv(w, f"features.{i}.expand1x1", s, outer, 1))
            three = F.relu(conv(w, f"features.{i}.expand3x3", s, outer, 3, 1, 1))
            x = torch.cat([one, three], 1)
        yield x


def alex(w, x):
    x = F.relu(conv(w, "features.0", x, 64, 11, 4, 2))
    yield x
    x = F.relu(conv(w, "features.3", F.max_pool2d(x, 3, 2), 192, 5, 1, 2))
    yield x
    x = F.relu(conv(w, "features.6", F.max_pool2d(x, 3, 2), 384, 3, 1, 1))
    yield x
    for i in (8, 10):
        x = F.relu(conv(w, f"features.{i}", x, 256, 3, 1, 1))
        yield x


def vgg(w, x):
    for number, (channels, indices) in enumerate(
            [(64, [0, 2]), (128, [5, 7]), (256, [10, 12, 14]), (512, [17, 19, 21]), (512, [24, 26, 28])]):
        if number:
            x = F.max_pool2d(x, 2, 2)
        for i in indices:
            x = F.relu(conv(w, f"features.{i}", x, channels, 3, 1, 1))
        yield x


def lpips(network, w, a, b):
    unit = lambda f: f / (torch.sqrt((f * f).sum(1, keepdim=True)) + 1e-10)
    taps = []
    for k, (x, y) in enumerate(zip(network(w, (2 * a - 1 - SHIFT) / SCALE), network(w, (2 * b - 1 - SHIFT) / SCALE))):
        head = w(f"lin{k}.model.1.weight", (1, x.shape[1], 1, 1))
        taps.append((head * (unit(x) - unit(y)) ** 2).sum(1).mean())
    return taps


def picture(stream, height, width):
    c, r, k = np.meshgrid(*(np.arange(n, dtype=np.int64) for n in (3, height, width)), indexing="ij")
    smooth = ((r * 3 + k * 5 + c * 40) % 200).astype(np.float64) / 200.0
    return (0.7 * smooth + 0.3 * uniform(stream, 3 * height * width).reshape(3, height, width)).astype(np.float32)


def case(network, w, height, width):
    a = picture(1001, height, width)
    b = (0.7 * a.astype(np.float64) + 0.3 * picture(1002, height, width).astype(np.float64)).astype(np.float32)
    wide = lambda v: torch.tensor(v.astype(np.float64))[None]
    x = wide(a).requires_grad_()
    taps = lpips(network, w, x, wide(b))
    sum(taps).backward()
    g = x.grad.flatten()
    samples = {int(i): float(g[i]) for i in range(0, g.numel(), g.numel() // 60)}
    return {"network": network.__name__, "height": height, "width": width,
            "distance": float(sum(taps).detach()), "taps": [float(t.detach()) for t in taps],
            "gradient_norm": float(g.norm()), "gradient": samples}


if len(sys.argv) > 1:
    trained = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
    slices = {0: 1, 3: 2, 4: 2, 6: 3, 7: 3, 9: 4, 10: 5, 11: 6, 12: 7}

    def named(name, dims):
        if name.startswith("features."):
            index = int(name.split(".")[1])
            name = name.replace("features.", f"net.slice{slices[index]}.", 1)
        return trained[name].double()

    print(json.dumps([case(squeeze, named, 97, 64)], indent=1))
else:
    # Odd sizes: pools that hang over, strides that do not come out even.
    print(json.dumps([case(squeeze, Formula(), 61, 48), case(alex, Formula(), 75, 64), case(vgg, Formula(), 32, 45)],
                     indent=1))
