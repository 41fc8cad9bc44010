"""Makes ssim_golden.json: SSIM by scikit-image and, as 3DGS trains with it, by PyTorch with its gradient.

    python ssim_golden.py > ssim_golden.json        (scikit-image, torch, numpy)
"""
import json
import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity


def picture(seed, channels, height, width):
    c, r, k = np.meshgrid(*(np.arange(n, dtype=np.uint64) for n in (channels, height, width)), indexing="ij")
    u = np.uint64
    h = (u(seed * 1000003) + c * u(7919) + r * u(104729) + k * u(1299709)) & u(0xFFFFFFFF)
    h = ((h ^ (h >> u(13))) * u(0x5BD1E995)) & u(0xFFFFFFFF)
    h = (h ^ (h >> u(15))) & u(0xFFFF)
    smooth = ((r * u(3) + k * u(5) + c * u(40)) % u(200)).astype(np.float64) / 200.0
    return (0.6 * smooth + 0.4 * h.astype(np.float64) / 65535.0).astype(np.float32)


def train_ssim(x, y):
    """3DGS utils/loss_utils.py ssim, in float64."""
    channels = x.shape[0]
    g = torch.tensor([np.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)], dtype=torch.float64)
    g = g / g.sum()
    window = torch.outer(g, g).expand(channels, 1, 11, 11).contiguous()
    conv = lambda v: F.conv2d(v[None], window, padding=5, groups=channels)
    mx, my = conv(x), conv(y)
    vx, vy, v = conv(x * x) - mx * mx, conv(y * y) - my * my, conv(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (((2 * mx * my + c1) * (2 * v + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean()


cases = []
for height, width in [(11, 11), (37, 52), (64, 48)]:
    x = picture(1, 3, height, width)
    y = (0.8 * x.astype(np.float64) + 0.2 * picture(2, 3, height, width).astype(np.float64)).astype(np.float32)
    whole = structural_similarity(
        x.astype(np.float64), y.astype(np.float64), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=1.0, channel_axis=0)
    tx = torch.tensor(x.astype(np.float64), requires_grad=True)
    value = train_ssim(tx, torch.tensor(y.astype(np.float64)))
    value.backward()
    gradient = tx.grad.flatten()
    samples = {int(i): float(gradient[i]) for i in range(0, gradient.numel(), max(1, gradient.numel() // 40))}
    cases.append({"height": height, "width": width, "scikit_image": float(whole), "torch": float(value),
                  "gradient": samples})
print(json.dumps({"cases": cases}, indent=1))
