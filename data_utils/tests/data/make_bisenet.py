"""Scores of a face-parsing BiSeNet with made-up weights, by PyTorch: data_utils/tests/data/bisenet.npy.

The layout is that of 79999_iter.pth. Its 13 million weights would fill the repository, so both sides make them from
their names: value i of a tensor comes from splitmix64 of FNV-1a(name) + i. Run: python make_bisenet.py
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from made_up import unit


def fill(net):
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        u = unit(name, tensor.numel())
        if tensor.dim() == 4:
            fan = tensor.shape[1] * tensor.shape[2] * tensor.shape[3]
            value = (u - np.float32(0.5)) * np.float32(2.0 * np.sqrt(6.0 / fan))
        elif name.endswith("running_var"):
            value = u + np.float32(0.5)
        elif name.endswith("weight"):
            value = u * np.float32(0.4) + np.float32(0.8)
        else:
            value = (u - np.float32(0.5)) * np.float32(0.2)
        tensor.copy_(torch.from_numpy(value).reshape(tensor.shape))


class ConvBNReLU(nn.Module):
    def __init__(self, i, o, ks=3, stride=1, padding=1):
        super().__init__()
        self.conv = nn.Conv2d(i, o, ks, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsample = None
        if i != o or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu((x if self.downsample is None else self.downsample(x)) + y)


class Resnet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        f8 = self.layer2(self.layer1(x))
        f16 = self.layer3(f8)
        return f8, f16, self.layer4(f16)


class Attention(nn.Module):
    def __init__(self, i):
        super().__init__()
        self.conv = ConvBNReLU(i, 128)
        self.conv_atten = nn.Conv2d(128, 128, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(128)

    def forward(self, x):
        f = self.conv(x)
        a = F.avg_pool2d(f, f.shape[2:])
        return f * torch.sigmoid(self.bn_atten(self.conv_atten(a)))


class ContextPath(nn.Module):
    def __init__(self):
        super().__init__()
        self.resnet = Resnet18()
        self.arm16 = Attention(256)
        self.arm32 = Attention(512)
        self.conv_head32 = ConvBNReLU(128, 128)
        self.conv_head16 = ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, 1, 1, 0)

    def forward(self, x):
        f8, f16, f32 = self.resnet(x)
        avg = self.conv_avg(F.avg_pool2d(f32, f32.shape[2:]))
        up = F.interpolate(avg, f32.shape[2:], mode="nearest")
        up = F.interpolate(self.arm32(f32) + up, f16.shape[2:], mode="nearest")
        up = F.interpolate(self.arm16(f16) + self.conv_head32(up), f8.shape[2:], mode="nearest")
        return f8, self.conv_head16(up)


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.convblk = ConvBNReLU(256, 256, 1, 1, 0)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, fine, context):
        f = self.convblk(torch.cat([fine, context], 1))
        a = torch.sigmoid(self.conv2(F.relu(self.conv1(F.avg_pool2d(f, f.shape[2:])))))
        return f * a + f


class Output(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ConvBNReLU(256, 256)
        self.conv_out = nn.Conv2d(256, 19, 1, bias=False)

    def forward(self, x):
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.cp = ContextPath()
        self.ffm = Fusion()
        self.conv_out = Output()

    def forward(self, x):
        return self.conv_out(self.ffm(*self.cp(x)))


with torch.no_grad():
    net = BiSeNet().eval()
    fill(net)
    height, width = 64, 96
    image = np.floor(unit("picture", 3 * height * width) * 256).reshape(height, width, 3) / np.float32(255)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    x = torch.from_numpy(((image - mean) / std).transpose(2, 0, 1).copy())[None]
    scores = net(x)
    classes = F.interpolate(scores, (height, width), mode="bilinear", align_corners=True).argmax(1)
    flat = np.concatenate([scores.numpy().ravel(), classes.numpy().ravel().astype(np.float32)])
    np.save(__file__.replace("make_bisenet.py", "bisenet.npy"), flat.astype(np.float32))
    print(scores.std().item(), np.bincount(classes.numpy().ravel(), minlength=19))
