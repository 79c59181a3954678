"""Detection, the rival: torchvision's RetinaNet (Lin et al. 2017: anchors, focal loss, smooth L1, non-maximum suppression) on the same backbone with the same first
weights, trained on the same packed pictures with the same split, epochs, batches, moves, mosaic, tones, optimiser, schedule and average of weights as our detector.
What is its own: a feature pyramid of 64 channels with P3 to P7, heads of four 3x3 convolutions with group normalisation (torchvision's second version; without, a head
learns slowly in so few steps), nine anchors a place of 3 strides and more, which fits the objects of these pictures better than the published 4. Its peak learning
rate is chosen among --rates by the scores on validation pictures (bench/detect.sh), its test pictures are looked at once. Debian's python3-torch, python3-torchvision.
   /usr/bin/python3 bench/detect_rival.py WORK RATE [--epochs 40] [--batch 8] [--threads 2] [--minutes 600]
WORK holds manifest.jsonl and set.pack (sightline-detect-bench prepare). Writes WORK/rival-RATE-validation.json and -test.json as `sightline predict --json` would, for
sightline-detect-bench score; weights are averaged, convolutions are computed in bf16 where that is faster (--f32: not). Every epoch is kept in WORK: a killed run goes on."""
import argparse
import json
import math
import os
import pathlib
import struct
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from packed_set import PackedSet

WIDTH, GREY, SEED = 64, 114.0, 7
MOSAIC_SHARE, LEAST_VISIBLE, LEAST_SIDE = 0.85, 0.25, 2


class Scenes(PackedSet):
    def __init__(self, path):
        super().__init__(path)
        self.first = numpy.frombuffer(bytes(self.part(8 * (self.count + 1))), dtype="<u8").astype(int)
        record = numpy.dtype([("label", "<i4"), ("box", "<f4", 4), ("ignored", "<u4")])
        self.objects = numpy.frombuffer(bytes(self.part(24 * self.head["objects"])), dtype=record)
        assert len(self.objects) == self.first[-1]

    def sample(self, i):
        objects = self.objects[self.first[i] : self.first[i + 1]]
        objects = objects[objects["ignored"] == 0]  # RetinaNet has no word for what is neither
        return torch.from_numpy(numpy.array(self.pixels[i])).permute(2, 0, 1).float(), objects["box"].copy(), objects["label"].astype(numpy.int64)


def moved(picture, boxes, labels, scale, mirrored, offset, part):
    """The part (left, top, right, bottom) of a picture that shows the source scaled, mirrored, and put at `offset`, with the boxes as they are cut by it."""
    side = picture.shape[-1]
    left, top, right, bottom = part
    y, x = torch.meshgrid(torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5, indexing="ij")
    from_x, from_y = (x - offset[0]) / scale, (y - offset[1]) / scale
    if mirrored:
        from_x = side - from_x
    grid = torch.stack([from_x, from_y], 2) * 2 / side - 1
    shown = F.grid_sample((picture - GREY)[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0] + GREY
    if mirrored:
        boxes = numpy.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], 1)
    boxes = boxes * scale + numpy.array([offset[0], offset[1], offset[0], offset[1]], dtype=numpy.float32)
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    boxes = numpy.clip(boxes, [left, top, left, top], [right, bottom, right, bottom]).astype(numpy.float32)
    across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    kept = (across >= LEAST_SIDE) & (down >= LEAST_SIDE) & (across * down >= LEAST_VISIBLE * whole)
    return shown, boxes[kept], labels[kept]


def augmented(data, i, others, late, random):
    picture, boxes, labels = data.sample(i)
    side, coin = data.side, lambda: random.random() < 0.5
    if late or coin():
        most, shift = (0.05, 0.04) if late else (1 / 3, 0.1)
        scale = 1 + random.uniform(-most, most)
        offset = [(side - side * scale) / 2 + random.uniform(-shift, shift) * side for _ in range(2)]
        picture, boxes, labels = moved(picture, boxes, labels, scale, coin(), offset, (0, 0, side, side))
    else:
        x, y = (int(round(random.uniform(0.3, 0.7) * side)) for _ in range(2))
        own, canvas, all_boxes, all_labels = random.integers(4), torch.full((3, side, side), GREY), [], []
        for place in range(4):
            one = (picture, boxes, labels) if place == own else data.sample(others[random.integers(len(others))])
            right, bottom, scale = place % 2 == 1, place >= 2, random.uniform(0.5, 1)
            part = (x if right else 0, y if bottom else 0, side if right else x, side if bottom else y)
            offset = (x - (0 if right else side * scale), y - (0 if bottom else side * scale))
            shown, moved_boxes, moved_labels = moved(*one, scale, coin(), offset, part)
            canvas[:, part[1] : part[3], part[0] : part[2]] = shown
            all_boxes.append(moved_boxes)
            all_labels.append(moved_labels)
        picture, boxes, labels = canvas, numpy.concatenate(all_boxes), numpy.concatenate(all_labels)
    if not late:
        picture = (picture - 127.5) * random.uniform(0.8, 1.2) + 127.5 + 255 * random.uniform(-0.2, 0.2)
    return picture.clamp(0, 255), {"boxes": torch.from_numpy(boxes.reshape(-1, 4)), "labels": torch.from_numpy(labels)}


class Sight(nn.Module):
    """src/modules/sight.cpp: maps at strides 8, 16, 32 of 96, 192, 320 channels."""

    # (channels, stride, whether the layer is a residual that is added to its input)
    LAYERS = [(32, 2, 0), (64, 2, 0), (64, 1, 1), (96, 2, 0), (96, 1, 1), (96, 1, 1), (192, 2, 0), (192, 1, 1), (320, 2, 0), (320, 1, 1)]
    MAPS = {5: "0", 7: "1", 9: "2"}

    def __init__(self):
        super().__init__()
        self.convs, self.norms, inputs = nn.ModuleList(), nn.ModuleList(), 3
        for channels, stride, _ in self.LAYERS:
            self.convs.append(nn.Conv2d(inputs, channels, 3, stride, 1, bias=False))
            self.norms.append(nn.BatchNorm2d(channels))
            inputs = channels

    def begin_with(self, path):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            head, data = json.loads(file.read(length)), file.read()
        kinds = {"F16": "<f2", "F32": "<f4"}

        def tensor(name):
            entry = head[name]
            begin, end = entry["data_offsets"]
            return torch.from_numpy(numpy.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"]).astype(numpy.float32))

        for i, (conv, norm) in enumerate(zip(self.convs, self.norms), 1):
            conv.weight.data.copy_(tensor(f"conv_{i}.weight"))
            for ours, theirs in ((norm.weight, "scale"), (norm.bias, "bias"), (norm.running_mean, "mean"), (norm.running_var, "variance")):
                ours.data.copy_(tensor(f"batch_normalization_{i}.{theirs}"))

    def forward(self, x):
        maps = {}
        for i, (conv, norm, (_, _, residual)) in enumerate(zip(self.convs, self.norms, self.LAYERS)):
            y = norm(conv(x))
            x = F.relu(x + y if residual else y)
            if i in self.MAPS:
                maps[self.MAPS[i]] = x
        return maps


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.sight = Sight()
        self.pyramid = FeaturePyramidNetwork([96, 192, 320], WIDTH, extra_blocks=LastLevelP6P7(WIDTH, WIDTH))
        self.out_channels = WIDTH

    def forward(self, x):
        return self.pyramid(self.sight(x.contiguous(memory_format=torch.channels_last)))


def in_bf16(module):
    plain = module.forward

    def forward(*inputs):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = plain(*inputs)
        return {name: value.float() for name, value in outputs.items()}

    module.forward = forward


class Norm(nn.GroupNorm):
    def forward(self, x):
        return super().forward(x.float())  # it refuses bf16


def retinanet(classes, side, bf16):
    sizes = [tuple(3 * stride * 2 ** (k / 3) for k in range(3)) for stride in (8, 16, 32, 64, 128)]
    anchors = AnchorGenerator(tuple(sizes), ((0.5, 1.0, 2.0),) * len(sizes))
    head = RetinaNetHead(WIDTH, anchors.num_anchors_per_location()[0], classes, norm_layer=lambda channels: Norm(32, channels))
    head.regression_head._loss_type = "smooth_l1"
    body = Body()
    net = RetinaNet(body, classes, min_size=side, max_size=side, image_mean=[127.5] * 3, image_std=[64.0] * 3, anchor_generator=anchors, head=head,
                    score_thresh=0.01, nms_thresh=0.5, detections_per_img=100)
    if bf16:
        in_bf16(body)
        in_bf16(head)
    return net


def answers(net, data, samples, manifest):
    net.eval()
    found = []
    with torch.no_grad():
        for i in samples:
            output, about = net([data.sample(i)[0]])[0], manifest[i]
            # The letterbox, as image/geometry.cpp rounds it.
            scale = min(data.side / about["width"], data.side / about["height"])
            inner = [min(data.side, max(1, round(about[key] * scale))) for key in ("width", "height")]
            offset, stretch = [(data.side - each) // 2 for each in inner], [inner[0] / about["width"], inner[1] / about["height"]]
            objects = []
            for box, label, score in zip(output["boxes"].tolist(), output["labels"].tolist(), output["scores"].tolist()):
                edges = [(value - offset[k % 2]) / stretch[k % 2] for k, value in enumerate(box)]
                edges = [min(max(value, 0), about["width" if k % 2 == 0 else "height"]) for k, value in enumerate(edges)]
                if edges[0] < edges[2] and edges[1] < edges[3]:
                    objects.append({"label": label, "name": data.classes[label], "score": score, "box": edges})
            found.append({"file": about["path"], "objects": objects})
    return {"answers": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("rate", type=float)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--f32", action="store_true")
    parser.add_argument("--backbone", default=pathlib.Path(__file__).resolve().parent.parent / "backbones" / "sight-s.safetensors")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)

    data = Scenes(options.work / "set.pack")
    with open(options.work / "manifest.jsonl") as file:
        manifest = [line for line in map(json.loads, file) if "digest" in line]
    assert len(manifest) == len(data.splits), "manifest and packed set are not of one import"
    training = numpy.flatnonzero(data.splits == 0)
    net = retinanet(len(data.classes), data.side, not options.f32)
    net.backbone.sight.begin_with(options.backbone)
    net = net.to(memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    decayed = [each for each in net.parameters() if each.dim() > 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": [each for each in net.parameters() if each.dim() <= 1], "weight_decay": 0.0}],
                                  lr=options.rate)
    batches = math.ceil(len(training) / options.batch)
    steps, warmup = options.epochs * batches, 0.05

    kept, begin, seconds, first = options.work / f"rival-{options.rate:g}.pt", time.time(), 0.0, 0
    if kept.exists():
        state = torch.load(kept)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        average, first, seconds = state["average"], state["epoch"], state["seconds"]
    for epoch in range(first, options.epochs):
        if (time.time() - begin) / 60 > options.minutes:
            print(f"stopped after {epoch} of {options.epochs} epochs; the same command goes on")
            return
        epoch_begin = time.time()
        random = numpy.random.default_rng([SEED, epoch])
        net.train()
        total = 0.0
        for index, part in enumerate(numpy.array_split(random.permutation(training), batches)):
            step = epoch * batches + index
            progress = step / steps
            factor = progress / warmup if progress < warmup else (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
            for group in optimiser.param_groups:
                group["lr"] = options.rate * factor
            pictures, targets = zip(*(augmented(data, i, training, progress >= MOSAIC_SHARE, random) for i in part))
            loss = sum(net(list(pictures), list(targets)).values())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10)
            optimiser.step()
            total += loss.item() * len(part)
            decay = min(0.998, (1 + step) / (10 + step))
            for name, value in net.state_dict().items():
                average[name].lerp_(value, 1 - decay) if value.is_floating_point() else average[name].copy_(value)
        seconds += time.time() - epoch_begin
        print(f"rate {options.rate:g} epoch {epoch + 1}: loss {total / len(training):.4f}, {seconds:.0f} s", flush=True)
        torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict(), "average": average, "epoch": epoch + 1, "seconds": seconds}, f"{kept}.new")
        os.replace(f"{kept}.new", kept)
    net.load_state_dict(average)
    for name, split in (("validation", 1), ("test", 2)):
        with open(options.work / f"rival-{options.rate:g}-{name}.json", "w") as file:
            json.dump(answers(net, data, numpy.flatnonzero(data.splits == split), manifest), file)


if __name__ == "__main__":
    main()
