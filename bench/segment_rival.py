"""Segmentation, the rival: a U-Net (Ronneberger et al. 2015, with batch normalisation) of at least our net's operations, trained on the same packed pictures with the
same split, passes over the pictures, batches, moves (mirror, turn, scale, shift, tones), optimiser, schedule and average of weights. Objects as the usual U-Net for nuclei
has them: background, inside and border as three classes, by cross-entropy and Dice; pieces of the inside hang together as objects, and each border pixel goes to the
nearest of them. It begins at random: no weights for it are at hand. Debian's python3-torch, python3-opencv.
   /usr/bin/python3 bench/segment_rival.py WORK EPOCHS [--width 12] [--rate 0.001] [--batch 8] [--threads 2]
WORK holds manifest.jsonl and set.pack (sightline-segment-bench prepare). Writes WORK/rival/NAME_mask.png (and NAME_instances.png) for the test pictures; says parameters,
operations and milliseconds a picture. Convolutions are computed in bf16 (--f32: not)."""
import argparse
import json
import math
import pathlib
import time

import cv2
import numpy
import torch
import torch.nn.functional as F
from torch import nn

from packed_set import PackedSet

GREY, UNJUDGED, SEED = 114, 255, 7


class Masked(PackedSet):
    def __init__(self, path):
        super().__init__(path)
        shape = self.pixels.shape[:3]
        self.masks = self.part(math.prod(shape)).reshape(shape)
        self.instances = self.part(2 * math.prod(shape)).view("<u2").reshape(shape) if self.head["masks"] == 2 else None

    def target(self, i):
        """Classes; with objects 1 inside and 2 border: one of the eight neighbours is not of the object."""
        mask = numpy.array(self.masks[i])
        if self.instances is None:
            return mask
        numbers = numpy.array(self.instances[i]).astype(numpy.int32)
        border = numpy.zeros(mask.shape, bool)
        padded = numpy.pad(numbers, 1, mode="edge")
        for dy in range(3):
            for dx in range(3):
                border |= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]] != numbers
        return numpy.where(border & (numbers > 0) & (mask != UNJUDGED), 2, mask).astype(numpy.uint8)


def moved(picture, target, random):
    side = picture.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), random.uniform(-15, 15), 1 + random.uniform(-0.15, 0.15))
    turn[:, 2] += [random.uniform(-0.08, 0.08) * side for _ in range(2)]
    if random.random() < 0.5:
        picture, target = picture[:, ::-1], target[:, ::-1]
    picture = cv2.warpAffine(numpy.ascontiguousarray(picture), turn, (side, side), flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)
    target = cv2.warpAffine(numpy.ascontiguousarray(target), turn, (side, side), flags=cv2.INTER_NEAREST, borderValue=UNJUDGED)
    tones = (picture.astype(numpy.float32) - 127.5) * random.uniform(0.8, 1.2) + 127.5 + 255 * random.uniform(-0.2, 0.2)
    return numpy.clip(tones, 0, 255), target


class Twice(nn.Sequential):
    def __init__(self, inputs, channels):
        one = lambda a: [nn.Conv2d(a, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(True)]
        super().__init__(*one(inputs), *one(channels))


class UNet(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        widths = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList(Twice(3 if i == 0 else widths[i - 1], each) for i, each in enumerate(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * each, each, 2, 2) for each in widths[:-1])
        self.join = nn.ModuleList(Twice(2 * each, each) for each in widths[:-1])
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        maps = []
        for i, part in enumerate(self.down):
            x = part(x if i == 0 else F.max_pool2d(x, 2))
            maps.append(x)
        for i in reversed(range(len(self.up))):
            x = self.join[i](torch.cat([maps[i], self.up[i](x)], 1))
        return self.last(x)


def operations(net, side):
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += 2 * module.weight.numel() * inputs[0].shape[2] * inputs[0].shape[3]
        else:
            total += 2 * module.weight.numel() * output.shape[2] * output.shape[3]

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def loss_of(logits, targets):
    judged = (targets != UNJUDGED).float()
    classes = targets.long() * (targets != UNJUDGED)
    probabilities = F.log_softmax(logits, 1)
    loss = -(probabilities.gather(1, classes[:, None])[:, 0] * judged).sum() / judged.sum().clamp_min(1)
    probabilities, dice = probabilities.exp(), []
    for k in range(1, logits.shape[1]):
        given = (classes == k).float()
        if given.sum() > 0:
            dice.append(1 - (2 * (probabilities[:, k] * judged * given).sum() + 1) / ((probabilities[:, k] * judged).sum() + given.sum() + 1))
    return loss + sum(dice) / max(len(dice), 1)


def objects_of(best):
    """Numbers of objects from classes: pieces of the inside, and the border by the nearest of them."""
    count, numbers = cv2.connectedComponents((best == 1).astype(numpy.uint8), connectivity=4)
    if count > 1:
        _, nearest = cv2.distanceTransformWithLabels((numbers == 0).astype(numpy.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        of_label = numpy.zeros(nearest.max() + 1, numpy.int32)
        of_label[nearest[numbers > 0]] = numbers[numbers > 0]
        numbers = of_label[nearest] * (best > 0)
    pixels = numpy.bincount(numbers.ravel())
    for number in numpy.flatnonzero(pixels < 8):
        numbers[numbers == number] = 0
    _, numbers = numpy.unique(numbers, return_inverse=True)
    return numbers.reshape(best.shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("epochs", type=int)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--f32", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    data = Masked(options.work / "set.pack")
    with open(options.work / "manifest.jsonl") as file:
        manifest = [line for line in map(json.loads, file) if "digest" in line]
    assert len(manifest) == len(data.splits), "manifest and packed set are not of one import"
    training = numpy.flatnonzero(data.splits == 0)
    apart = data.instances is not None
    net = UNet(options.width, 3 if apart else len(data.classes) + 1)
    print(f"U-Net of width {options.width}: {sum(p.numel() for p in net.parameters())} parameters, {operations(net, data.side) / 1e6:.0f} MFLOP at {data.side}", flush=True)
    net = net.to(memory_format=torch.channels_last)
    run = lambda x: net(((x - 127.5) / 64).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)).float()
    average = {name: value.clone() for name, value in net.state_dict().items()}
    decayed = [p for p in net.parameters() if p.dim() > 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0}], lr=options.rate)
    begin, step, per_epoch = time.time(), 0, math.ceil(len(training) / options.batch)
    net.train()
    for epoch in range(options.epochs):
        random = numpy.random.default_rng([SEED, epoch])
        total = 0.0
        for part in numpy.array_split(random.permutation(training), per_epoch):
            progress = step / (per_epoch * options.epochs)
            rate = options.rate * (progress / 0.05 if progress < 0.05 else (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2)
            for group in optimiser.param_groups:
                group["lr"] = rate
            pictures, targets = zip(*(moved(numpy.array(data.pixels[i]), data.target(i), random) for i in part))
            pictures, targets = torch.from_numpy(numpy.stack(pictures)), torch.from_numpy(numpy.stack(targets))
            with torch.autocast("cpu", torch.bfloat16, enabled=not options.f32):
                logits = run(pictures)
            loss = loss_of(logits.float(), targets)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10)
            optimiser.step()
            total += loss.item() * len(part)
            decay = min(0.998, (1 + step) / (10 + step))
            for name, value in net.state_dict().items():
                average[name].lerp_(value, 1 - decay) if value.is_floating_point() else average[name].copy_(value)
            step += 1
        print(f"epoch {epoch + 1}: loss {total / len(training):.4f}, {time.time() - begin:.0f} s, {step} steps", flush=True)
    net.load_state_dict(average)
    net.eval()
    (options.work / "rival").mkdir(exist_ok=True)
    spent = []
    with torch.no_grad():
        for i in numpy.flatnonzero(data.splits == 2):
            about = manifest[i]
            first = time.time()
            scores = torch.softmax(run(torch.from_numpy(numpy.array(data.pixels[i])[None]).float()), 1)[0].numpy()
            spent.append(time.time() - first)
            # The letterbox, as image/geometry.cpp rounds it.
            scale = min(data.side / about["width"], data.side / about["height"])
            inner = [min(data.side, max(1, round(about[key] * scale))) for key in ("width", "height")]
            left, top = ((data.side - each) // 2 for each in inner)
            shown = [cv2.resize(each[top : top + inner[1], left : left + inner[0]], (about["width"], about["height"]), interpolation=cv2.INTER_LINEAR) for each in scores]
            best = numpy.argmax(numpy.stack(shown), 0)
            stem = str(options.work / "rival" / pathlib.Path(about["path"]).stem)
            if apart:
                numbers = objects_of(best)
                cv2.imwrite(stem + "_instances.png", numbers.astype(numpy.uint16))
                best = (numbers > 0).astype(numpy.uint8)
            cv2.imwrite(stem + "_mask.png", best.astype(numpy.uint8))
    print(f"{len(spent)} test pictures, {1000 * sorted(spent)[len(spent) // 2]:.1f} ms a picture in the median (LibTorch, f32)")


main()
