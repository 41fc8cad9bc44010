"""Makes ave_golden.npy and ave_sequence.npy: PyTorch's outputs of the audio-visual encoder with weights that
audio_ave.rs makes anew from the same formula, so that 11 MB of weights need not be stored.

python make_ave.py [weights.pth]    (torch, numpy; reads voice_mel.npy; saves the checkpoint too when a name is given)
"""
import sys
import zlib

import numpy as np
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, cin, cout, kernel_size, stride, padding, residual=False):
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(cin, cout, kernel_size, stride, padding), nn.BatchNorm2d(cout))
        self.act = nn.ReLU()
        self.residual = residual

    def forward(self, x):
        out = self.conv_block(x)
        if self.residual:
            out += x
        return self.act(out)


def encoder():
    b = Block
    return nn.Sequential(
        b(1, 32, 3, 1, 1), b(32, 32, 3, 1, 1, True), b(32, 32, 3, 1, 1, True),
        b(32, 64, 3, (3, 1), 1), b(64, 64, 3, 1, 1, True), b(64, 64, 3, 1, 1, True),
        b(64, 128, 3, 3, 1), b(128, 128, 3, 1, 1, True), b(128, 128, 3, 1, 1, True),
        b(128, 256, 3, (3, 2), 1), b(256, 256, 3, 1, 1, True),
        b(256, 512, 3, 1, 0), b(512, 512, 1, 1, 0))


def uniform(name, count):
    """splitmix64 of crc32(name) and the index, as count values in [-1, 1) that float32 holds exactly."""
    with np.errstate(over="ignore"):
        z = np.uint64(zlib.crc32(name.encode())) * np.uint64(0x100000001) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def seeded_state():
    """Weights of a size that keeps 13 blocks in range; variances positive, everything float32."""
    state = {}
    for name, tensor in encoder().state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1000)
            continue
        u = uniform(name, tensor.numel())
        if name.endswith("0.weight"):
            values = u * np.float32(1.5 / np.sqrt(np.prod(tensor.shape[1:])))
        elif name.endswith("1.weight"):
            values = 0.75 + 0.25 * u
        elif name.endswith("running_var"):
            values = 1.25 + u
        else:
            values = 0.125 * u
        state[name] = torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape)
    return state


def sequence_starts(columns):
    count = int((columns - 16) / 80.0 * float(25)) + 2
    for i in range(count):
        start = int(80.0 * (i / float(25)))
        yield columns - 16 if start + 16 > columns else start


if __name__ == "__main__":
    net = encoder().eval()
    state = seeded_state()
    net.load_state_dict(state)
    if len(sys.argv) > 1:
        torch.save(state, sys.argv[1])
    windows = torch.from_numpy((4 * uniform("windows", 5 * 80 * 16)).astype(np.float32)).reshape(5, 1, 80, 16)
    mel = torch.from_numpy(np.load("voice_mel.npy").T)
    with torch.no_grad():
        golden = net(windows).flatten(1)
        cut = torch.stack([mel[None, :, s:s + 16] for s in sequence_starts(mel.shape[1])])
        rows = net(cut).flatten(1)
    rows = torch.cat([rows[:1]] * 2 + [rows] + [rows[-1:]] * 2)
    np.save("ave_golden.npy", golden.numpy())
    np.save("ave_sequence.npy", rows.numpy())
    print(torch.__version__, golden.shape, rows.shape, golden.min(), golden.mean(), golden.max(), rows.mean(), (golden > 0).float().mean())
