"""Anomaly, the rival: PaDiM as published (Defard et al. 2021) on the backbone that comes with the program: maps at strides 4, 8 and 16, the coarser ones repeated onto the
finest grid, 100 channels of them drawn at random, a mean and a covariance (+ 0.01 I) for each place, Mahalanobis distance, brought to the picture's size, Gaussian of 4
pixels, its maximum. Same pictures to learn from, same side, stretched as ours. Debian's python3-torch.
   /usr/bin/python3 bench/anomaly_rival.py BACKBONE.safetensors DATA OUT.json [SIDE]
DATA is in MVTec's layout; all of train/good is learned from (it needs no threshold). OUT.json is as `sightline predict --json` writes it, with scores."""
import json
import pathlib
import struct
import sys

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

from detect_rival import Sight

CHANNELS, EPSILON, SIGMA, LAYERS, BATCH = 100, 0.01, 4, (2, 5, 7), 16


def scale_of(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        said = json.loads(file.read(length))["__metadata__"]
    return [torch.tensor([float(v) for v in said[key].split(",")]).view(1, -1, 1, 1) for key in ("sightline_mean", "sightline_scale")]


def pictures(files, side):
    stack = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        smaller = max(picture.size) > side
        stack.append(numpy.asarray(picture.resize((side, side), Image.BOX if smaller else Image.BILINEAR)))
    return torch.from_numpy(numpy.stack(stack)).permute(0, 3, 1, 2).float()


def embed(net, x, chosen):
    maps = []
    for i, (conv, norm, (_, _, residual)) in enumerate(zip(net.convs, net.norms, net.LAYERS)):
        y = norm(conv(x))
        x = F.relu(y + x if residual else y)
        if i in LAYERS:
            maps.append(x)
        if i == LAYERS[-1]:
            break
    grid = maps[0].shape[-2:]
    return torch.cat([F.interpolate(m, grid, mode="nearest") for m in maps], 1)[:, chosen]


def smoothed(maps):
    reach = 4 * SIGMA
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).float() / SIGMA) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    padded = F.pad(maps[:, None], (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, taps), taps.transpose(2, 3))[:, 0]


@torch.no_grad()
def main(weights, data, out, side=256):
    data, side = pathlib.Path(data), int(side)
    torch.manual_seed(1024)
    torch.set_num_threads(2)
    net = Sight()
    net.begin_with(weights)
    net.eval()
    mean, scale = scale_of(weights)
    channels = sum(net.LAYERS[i][0] for i in LAYERS)
    chosen = torch.randperm(channels)[:CHANNELS]
    train, test = (sorted(p for p in (data / part).rglob("*") if p.suffix in (".png", ".jpg")) for part in ("train/good", "test"))
    describe = lambda files: embed(net, (pictures(files, side) - mean) / scale, chosen)
    batches = lambda files: (files[i : i + BATCH] for i in range(0, len(files), BATCH))
    total = squares = 0
    for files in batches(train):
        x = describe(files).flatten(2).permute(2, 0, 1).double()  # places × pictures × channels
        total, squares = total + x.sum(1), squares + torch.matmul(x.transpose(1, 2), x)
    count = len(train)
    mu = total / count
    covariance = (squares - count * mu[:, :, None] * mu[:, None, :]) / (count - 1) + EPSILON * torch.eye(CHANNELS)
    inverse = torch.linalg.inv(covariance).float()
    mu = mu.float()
    answers = []
    for files in batches(test):
        x = describe(files)
        height, width = x.shape[-2:]
        apart = x.flatten(2).permute(2, 0, 1) - mu[:, None]
        distances = torch.matmul(apart, inverse).mul(apart).sum(2).clamp_min(0).sqrt().T.reshape(-1, 1, height, width)
        maps = smoothed(F.interpolate(distances, (side, side), mode="bilinear", align_corners=False)[:, 0])
        answers += [{"file": str(file), "score": float(m.max())} for file, m in zip(files, maps)]
    pathlib.Path(out).write_text(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
