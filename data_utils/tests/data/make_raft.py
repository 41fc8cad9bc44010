"""Optical flow of RAFT-small by PyTorch, with made-up and with the published weights: data_utils/tests/data/raft.npy.

The network is written after Teed & Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (ECCV 2020), in
the layout of the published raft-small.pth. The made-up weights come from their names: value i of a tensor comes from
splitmix64 of FNV-1a(name) + i. Run: python make_raft.py raft-small.pth

The array is: made-up weights, flow at 1/8 of the size [2, 16, 20] and every 8th row and column of the full flow
[2, 16, 20]; then the same of the published weights.
"""
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from made_up import unit

HEIGHT, WIDTH, SHIFT = 128, 160, (3, -2)


def pictures():
    """Blurred noise, and the same moved by SHIFT pixels, [height, width, 3] bytes; whole numbers throughout."""
    room, reach = 8, 2
    h, w = HEIGHT + 2 * room, WIDTH + 2 * room
    noise = np.floor(unit("picture", 3 * h * w) * 256).astype(np.int64).reshape(h, w, 3)
    window = np.zeros((h - 2 * reach, w - 2 * reach, 3), np.int64)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            window += noise[dy:dy + h - 2 * reach, dx:dx + w - 2 * reach]
    smooth = np.clip(window * 3 // 25 - 255, 0, 255).astype(np.uint8)

    def crop(x, y):
        at = room - reach
        return smooth[at + y:at + y + HEIGHT, at + x:at + x + WIDTH]

    return crop(0, 0), crop(-SHIFT[0], -SHIFT[1])


class Bottleneck(nn.Module):
    def __init__(self, i, o, norm, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o // 4, 1)
        self.conv2 = nn.Conv2d(o // 4, o // 4, 3, stride, 1)
        self.conv3 = nn.Conv2d(o // 4, o, 1)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride)) if stride > 1 else None
        self.norm = norm

    def forward(self, x):
        y = F.relu(self.norm(self.conv1(x)))
        y = F.relu(self.norm(self.conv2(y)))
        y = F.relu(self.norm(self.conv3(y)))
        return F.relu((x if self.downsample is None else self.norm(self.downsample(x))) + y)


class Encoder(nn.Module):
    def __init__(self, out, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 2, 3)
        self.layer1 = nn.Sequential(Bottleneck(32, 32, norm, 1), Bottleneck(32, 32, norm, 1))
        self.layer2 = nn.Sequential(Bottleneck(32, 64, norm, 2), Bottleneck(64, 64, norm, 1))
        self.layer3 = nn.Sequential(Bottleneck(64, 96, norm, 2), Bottleneck(96, 96, norm, 1))
        self.conv2 = nn.Conv2d(96, out, 1)
        self.norm = norm

    def forward(self, x):
        return self.conv2(self.layer3(self.layer2(self.layer1(F.relu(self.norm(self.conv1(x)))))))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.convz, self.convr, self.convq = (nn.Conv2d(96 + 146, 96, 3, padding=1) for _ in range(3))

    def forward(self, h, x):
        hx = torch.cat([h, x], 1)
        z, r = torch.sigmoid(self.convz(hx)), torch.sigmoid(self.convr(hx))
        return (1 - z) * h + z * torch.tanh(self.convq(torch.cat([r * h, x], 1)))


class Motion(nn.Module):
    def __init__(self):
        super().__init__()
        self.convc1 = nn.Conv2d(196, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def forward(self, flow, correlation):
        f = F.relu(self.convf2(F.relu(self.convf1(flow))))
        both = torch.cat([F.relu(self.convc1(correlation)), f], 1)
        return torch.cat([F.relu(self.conv(both)), flow], 1)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(96, 128, 3, padding=1)
        self.conv2 = nn.Conv2d(128, 2, 3, padding=1)

    def forward(self, x):
        return self.conv2(F.relu(self.conv1(x)))


class Update(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.gru, self.flow_head = Motion(), Gru(), Head()


class Raft(nn.Module):
    def __init__(self):
        super().__init__()
        self.fnet = Encoder(128, F.instance_norm)
        self.cnet = Encoder(160, lambda x: x)
        self.update_block = Update()

    def look(self, pyramid, coords):
        """Correlations around `coords` [1, 2, h, w]; the first axis of a window runs along x."""
        _, _, h, w = coords.shape
        at = coords.permute(0, 2, 3, 1).reshape(h * w, 1, 1, 2)
        steps = torch.arange(-3.0, 4.0)
        window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)[None]
        found = []
        for level, plane in enumerate(pyramid):
            size = torch.tensor([plane.shape[3] - 1.0, plane.shape[2] - 1.0])
            places = 2 * (at / 2**level + window) / size - 1
            found.append(F.grid_sample(plane, places, align_corners=True).reshape(h, w, 49))
        return torch.cat(found, -1).permute(2, 0, 1)[None]

    def forward(self, first, second):
        a, b = self.fnet(first), self.fnet(second)
        _, channels, h, w = a.shape
        all_pairs = a.reshape(channels, h * w).T @ b.reshape(channels, h * w) / channels**0.5
        pyramid = [all_pairs.reshape(h * w, 1, h, w)]
        for _ in range(3):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2, 2))
        hidden, context = torch.split(self.cnet(first), [96, 64], 1)
        hidden, context = torch.tanh(hidden), torch.relu(context)
        y, x = torch.meshgrid(torch.arange(float(h)), torch.arange(float(w)), indexing="ij")
        start = torch.stack([x, y])[None]
        flow = torch.zeros_like(start)
        for _ in range(12):
            motion = self.update_block.encoder(flow, self.look(pyramid, start + flow))
            hidden = self.update_block.gru(hidden, torch.cat([context, motion], 1))
            flow = flow + self.update_block.flow_head(hidden)
        full = 8 * F.interpolate(flow, (8 * h, 8 * w), mode="bilinear", align_corners=True)
        return flow, full


def fill(net):
    for name, tensor in net.state_dict().items():
        u = unit(name, tensor.numel())
        fan = tensor[0].numel()
        scale = np.float32(2.0 * np.sqrt(6.0 / fan)) if tensor.dim() == 4 else np.float32(0.2)
        if name.startswith("update_block.flow_head.conv2"):
            scale *= np.float32(0.25)
        tensor.copy_(torch.from_numpy((u - np.float32(0.5)) * scale).reshape(tensor.shape))


with torch.no_grad():
    net = Raft().eval()
    planes = [torch.from_numpy(2 * (p.astype(np.float32) / 255) - 1).permute(2, 0, 1)[None] for p in pictures()]
    rows = []
    fill(net)
    published = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
    for weights in (None, {name.removeprefix("module."): t for name, t in published.items()}):
        if weights:
            net.load_state_dict(weights)
        flow, full = net(*planes)
        print(flow.std().item(), full.mean((0, 2, 3)), (full[0, :, 16:-16, 16:-16].mean((1, 2))))
        rows += [flow.numpy().ravel(), full[:, :, ::8, ::8].numpy().ravel()]
    np.save(__file__.replace("make_raft.py", "raft.npy"), np.concatenate(rows).astype(np.float32))
