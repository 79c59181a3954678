"""Landmarks, the rival: direct regression of the coordinates (as in Feng et al. 2018, with their wing loss) from the mean of the last map of the same backbone with the same
first weights, trained on the same pictures with the same split, side, epochs, batches, moves (mirror with left and right exchanged, turn, scale, shift, tones, blanked square),
optimiser, schedule and average of weights. Its peak learning rate is the best of --rates by its mean error on validation pictures. Debian's python3-torch, python3-opencv.
   /usr/bin/python3 bench/landmarks_rival.py split POINTS.csv WORK/points.csv       identities go whole to train, validation or test; columns get our names
   /usr/bin/python3 bench/landmarks_rival.py answer PICTURES WORK [--epochs 30] [--rates 0.001 0.0003] [--side 160] [--threads 2]
   /usr/bin/python3 bench/landmarks_rival.py judge WORK OURS.json                   with the mean face as the third: errors over the distance of the eyes,
                                                                                    differences with intervals over identities (2,000 draws)"""
import argparse
import copy
import csv
import hashlib
import json
import math
import pathlib
import random
import re

import numpy

POINTS = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]
SOURCE = ["le", "re", "n", "lm", "rm"]
MIRRORED, GREY, SEED = [1, 0, 2, 4, 3], 114, 7


def identity_of(name):
    return re.sub(r"_\d+\.jpg$", "", name)


def split(source, target):
    with open(target, "w", encoding="utf-8") as out:
        out.write("path,split," + ",".join(f"{name}_x,{name}_y" for name in POINTS) + "\n")
        for row in csv.DictReader(open(source, encoding="utf-8")):
            place = hashlib.sha256(identity_of(row["file"]).encode()).digest()[0]
            part = "test" if place < 64 else "validation" if place < 88 else "train"
            out.write(f"{row['file']},{part}," + ",".join(row[name + axis] for name in SOURCE for axis in "xy") + "\n")


def table(work):
    rows = list(csv.DictReader(open(work / "points.csv", encoding="utf-8")))
    places = numpy.array([[[float(row[f"{name}_{axis}"]) for axis in "xy"] for name in POINTS] for row in rows], dtype=numpy.float32)
    return [row["path"] for row in rows], [row["split"] for row in rows], places


def errors(answers, truth):
    apart = numpy.linalg.norm(answers - truth, axis=2)
    return apart / numpy.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)[:, None]


def moved(picture, places, chance):
    import cv2

    side = picture.shape[0]
    places = places.copy()
    if chance.random() < 0.5:
        picture, places = picture[:, ::-1], places[MIRRORED]
        places[:, 0] = side - places[:, 0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), chance.uniform(-15, 15), 1 + chance.uniform(-0.15, 0.15))
    turn[:, 2] += [chance.uniform(-0.08, 0.08) * side for _ in range(2)]
    places = (places - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5
    picture = cv2.warpAffine(numpy.ascontiguousarray(picture), turn, (side, side), flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)
    tones = (picture.astype(numpy.float32) - 127.5) * chance.uniform(0.8, 1.2) + 127.5 + 255 * chance.uniform(-0.2, 0.2)
    if chance.random() < 0.5:
        size = int(side * chance.uniform(0.25, 0.375))
        left, top = [max(0, int(chance.random() * side) - size // 2) for _ in range(2)]
        tones[top : top + size, left : left + size] = tones.mean((0, 1))
    return numpy.clip(tones, 0, 255).astype(numpy.uint8), places.astype(numpy.float32)


def answer(options):
    import cv2
    import torch
    import torch.nn.functional as F
    from torch import nn

    from detect_rival import Sight

    class Regressor(nn.Module):
        def __init__(self):
            super().__init__()
            self.sight = Sight()
            self.last = nn.Linear(320, 2 * len(POINTS))
            nn.init.normal_(self.last.weight, std=0.001)

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                maps = self.sight(((x - 127.5) / 64).contiguous(memory_format=torch.channels_last))
            return self.last(maps["2"].float().mean((2, 3))).view(-1, len(POINTS), 2)

    def wing(apart, width=10.0, curvature=2.0):
        apart = apart.abs()
        rest = width - width * math.log(1 + width / curvature)
        return torch.where(apart < width, width * torch.log(1 + apart / curvature), apart - rest).mean()

    torch.set_num_threads(options.threads)
    names, splits, places = table(options.work)
    side = options.side
    pictures, scales = [], []
    for name in names:
        picture = cv2.cvtColor(cv2.imread(str(options.pictures / name)), cv2.COLOR_BGR2RGB)
        assert picture.shape[0] == picture.shape[1]
        scales.append(side / picture.shape[0])
        pictures.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR))
    scales = numpy.array(scales, dtype=numpy.float32)
    inside = places * scales[:, None, None]
    part = {kind: [i for i, each in enumerate(splits) if each == kind] for kind in ("train", "validation", "test")}
    mean_shape = inside[part["train"]].mean(0)

    def ask(net, indices):
        net.eval()
        answers = []
        with torch.no_grad():
            for at in range(0, len(indices), 32):
                batch = torch.from_numpy(numpy.stack([pictures[i] for i in indices[at : at + 32]])).permute(0, 3, 1, 2).float()
                answers.append(net(batch).numpy() + mean_shape)
        return numpy.concatenate(answers) / scales[indices][:, None, None]

    best = None
    for rate in options.rates:
        torch.manual_seed(SEED)
        chance = random.Random(SEED)
        net = Regressor()
        net.sight.begin_with(options.backbone)
        average = copy.deepcopy(net)
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
        batch, order = 16 if len(part["train"]) >= 1000 else 8, list(part["train"])
        steps, step = options.epochs * ((len(order) + batch - 1) // batch), 0
        for epoch in range(options.epochs):
            net.train()
            chance.shuffle(order)
            for at in range(0, len(order), batch):
                progress = step / steps
                factor = progress / 0.05 if progress < 0.05 else 0.5 + 0.5 * math.cos(math.pi * (progress - 0.05) / 0.95)
                optimizer.param_groups[0]["lr"] = rate * factor
                drawn = [moved(pictures[i], inside[i], chance) for i in order[at : at + batch]]
                x = torch.from_numpy(numpy.stack([each[0] for each in drawn])).permute(0, 3, 1, 2).float()
                wanted = torch.from_numpy(numpy.stack([each[1] for each in drawn]) - mean_shape)
                loss = wing(net(x) - wanted)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 10)
                optimizer.step()
                step += 1
                keep = min(0.998, step / (step + 10))
                with torch.no_grad():
                    for mine, other in zip(average.state_dict().values(), net.state_dict().values()):
                        mine.copy_(other if not mine.dtype.is_floating_point else keep * mine + (1 - keep) * other)
        error = errors(ask(average, part["validation"]), places[part["validation"]]).mean()
        print(f"rival at {rate:g}: nme {error:.4f} on validation pictures", flush=True)
        if best is None or error < best[0]:
            best = (error, average)
    answers = ask(best[1], part["test"])
    json.dump({names[i]: each.tolist() for i, each in zip(part["test"], answers)}, open(options.work / "rival.json", "w", encoding="utf-8"))
    json.dump((mean_shape / scales.mean()).tolist(), open(options.work / "mean.json", "w", encoding="utf-8"))


def judge(work, ours):
    names, splits, places = table(work)
    test = [i for i, each in enumerate(splits) if each == "test"]
    said = {pathlib.Path(one["file"]).name: [[p["x"], p["y"]] for p in one["landmarks"]] for one in json.load(open(ours, encoding="utf-8"))["answers"]}
    rival, mean = json.load(open(work / "rival.json", encoding="utf-8")), json.load(open(work / "mean.json", encoding="utf-8"))
    truth = places[test]
    models = {"ours": [said[names[i]] for i in test], "coordinates": [rival[names[i]] for i in test], "mean face": [mean for _ in test]}
    each = {name: errors(numpy.array(answers), truth) for name, answers in models.items()}
    for name, error in each.items():
        print(f"{name}: nme {error.mean():.4f}, pck_0.1 {(error <= 0.1).mean():.4f}, pck_0.05 {(error <= 0.05).mean():.4f}, "
              f"success_0.1 {(error.mean(1) <= 0.1).mean():.4f}, {len(test)} pictures")
    groups = {}
    for k, i in enumerate(test):
        groups.setdefault(identity_of(names[i]), []).append(k)
    groups, chance = list(groups.values()), random.Random(SEED)
    for metric, value in (("nme, rival - ours", lambda e: -e.mean(1)), ("pck_0.05, ours - rival", lambda e: (e <= 0.05).mean(1))):
        difference = value(each["ours"]) - value(each["coordinates"])
        draws = []
        for _ in range(2000):
            drawn = [k for _ in groups for k in groups[chance.randrange(len(groups))]]
            draws.append(difference[drawn].mean())
        draws.sort()
        print(f"{metric}: {100 * difference.mean():+.2f} points ({100 * draws[50]:+.2f} to {100 * draws[1949]:+.2f})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["split", "answer", "judge"])
    parser.add_argument("first", type=pathlib.Path)
    parser.add_argument("second", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.0003])
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--f32", dest="bf16", action="store_false")
    parser.add_argument("--backbone", default=pathlib.Path(__file__).resolve().parent.parent / "backbones" / "sight-s.safetensors")
    options = parser.parse_args()
    if options.action == "split":
        split(options.first, options.second)
    elif options.action == "judge":
        judge(options.first, options.second)
    else:
        options.pictures, options.work = options.first, options.second
        answer(options)


main()
