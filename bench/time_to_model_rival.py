"""From files to a finished model, the rival: full fine-tuning of the same imported MobileNetV2 as a careful PyTorch programmer does it (Debian's python3-torch and
python3-torchvision), on the sets that sightline-whole-sets wrote. Every candidate (optimiser and rate) is trained with flips and random crops, a cosine schedule,
clipped gradients and early stopping on validation pictures; the best one on validation is the rival, and its test pictures are looked at once. A linear probe on
the untouched features is fitted as well, which the rival must beat.
   bench/time_to_model_rival.py WORK [--sets waste,steel] [--candidates adam:0.0005,sgd:0.005] [--epochs 10] [--patience 3] [--minutes 30]
Says what it does. --minutes stops before the epoch that would not fit; the same command goes on there, also after a kill: every epoch is kept in WORK/rival."""
import argparse
import csv
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
import torch
import torch.nn.functional as F
import torchvision
from onnx import numpy_helper
from PIL import Image
from torch import nn

SIDE, SHIFT, SEED, BATCH = 224, 12, 7, 32
# Expansion, channels, blocks, stride of the first (Sandler et al. 2018, table 2).
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
NOT_MIRRORED = {"signs"}  # a person who knows the task does not flip road signs


class Conv(nn.Module):
    """A convolution with TensorFlow's SAME padding (at stride 2 the odd pixel is on the right and below), bias, and ReLU6 unless linear."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, linear=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)
        self.linear = linear

    def forward(self, x):
        if self.conv.stride[0] == 2:
            x = F.pad(x, (0, 1, 0, 1))
        x = self.conv(x)
        return x if self.linear else F.relu6(x)


class Block(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        middle = inputs * expansion
        self.same = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(*([Conv(inputs, middle)] if expansion > 1 else []), Conv(middle, middle, 3, stride, groups=middle), Conv(middle, outputs, linear=True))

    def forward(self, x):
        return x + self.layers(x) if self.same else self.layers(x)


class MobileNetV2(nn.Module):
    """Normalisation is folded into the convolutions, as it is in the file."""

    def __init__(self, classes):
        super().__init__()
        layers, channels = [Conv(3, 32, 3, 2)], 32
        for expansion, outputs, count, stride in BLOCKS:
            for k in range(count):
                layers.append(Block(channels, outputs, expansion, stride if k == 0 else 1))
                channels = outputs
        self.body = nn.Sequential(*layers, Conv(channels, 1280))
        self.head = nn.Linear(1280, classes)

    def features(self, x):
        return self.body(x).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


def load_body(model, path):
    """The file's convolutions in its order, which is that of the modules. Returns the file's own classifier."""
    graph = onnx.load(path).graph
    tensors = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    ours = [module for module in model.body.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) != len(ours) + 1:
        sys.exit(f"rival: {path} has {len(convolutions)} convolutions, a MobileNetV2 has {len(ours) + 1}")
    with torch.no_grad():
        for node, module in zip(convolutions, ours):
            for name, parameter in zip(node.input[1:], (module.weight, module.bias)):
                if tensors[name].shape != parameter.shape:
                    sys.exit(f"rival: {path}: {name} has another shape than MobileNetV2's layer")
                parameter.copy_(tensors[name])
    weight, bias = (tensors[name] for name in convolutions[-1].input[1:])
    return weight.flatten(1), bias


def check_features(path):
    """The module gives what ONNX Runtime says of the file: features and answers, on noise."""
    model = MobileNetV2(10).eval()
    weight, bias = load_body(model, path)
    x = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(SEED)).clamp(-1, 1)
    with torch.no_grad():
        features = model.features(x)
        answers = F.softmax(features @ weight.T + bias, 1)
    with tempfile.TemporaryDirectory() as work:
        proto = onnx.load(path)
        pooled = next(node.output[0] for node in proto.graph.node if node.op_type == "GlobalAveragePool")
        proto.graph.output.append(onnx.helper.make_tensor_value_info(pooled, onnx.TensorProto.FLOAT, None))
        onnx.save(proto, f"{work}/net.onnx")
        x.numpy().tofile(f"{work}/x")
        script = """
const fs = require('fs'), work = process.argv[1], ort = require(process.argv[2] + '/node_modules/onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(work + '/net.onnx'), bytes = fs.readFileSync(work + '/x'), own = new Uint8Array(bytes.length);
  own.set(bytes);
  const results = await session.run({[session.inputNames[0]]: new ort.Tensor('float32', new Float32Array(own.buffer), [2, 3, 224, 224])});
  session.outputNames.forEach((name, i) => fs.writeFileSync(work + '/y' + i, Buffer.from(results[name].data.buffer, results[name].data.byteOffset, results[name].data.byteLength)));
})();"""
        rivals = os.environ.get("SIGHTLINE_RIVALS", str(pathlib.Path(__file__).resolve().parent.parent / "build/rivals"))
        subprocess.run(["node", "-e", script, work, rivals], check=True)
        theirs = [torch.from_numpy(numpy.fromfile(f"{work}/y{i}", numpy.float32)).reshape(2, -1) for i in (0, 1)]
    for what, a, b in (("answers", answers, theirs[0]), ("features", features, theirs[1])):
        difference = ((a - b).abs().max() / b.abs().max()).item()
        print(f"the module against ONNX Runtime: {what} differ by {difference:.1e} of the largest")
        if not difference < 1e-4:
            sys.exit("rival: the module is not the file's net")


def read_set(work, name):
    rows = list(csv.DictReader(open(f"{work}/tables/{name}.csv", encoding="utf-8")))
    classes = sorted({row["label"] for row in rows})
    return {split: [(row["path"], classes.index(row["label"])) for row in rows if row["split"] == split] for split in ("train", "validation", "test")}, classes


def decode(work, name, rows):
    """N×3×224×224, u8, stretched to the net's size as our side does."""
    pictures = torch.empty(len(rows), 3, SIDE, SIDE, dtype=torch.uint8)
    for i, (path, _) in enumerate(rows):
        with Image.open(f"{work}/pool/{name}/{path}") as image:
            pixels = numpy.array(image.convert("RGB").resize((SIDE, SIDE), Image.BILINEAR))
        pictures[i] = torch.from_numpy(pixels).permute(2, 0, 1)
    return pictures, torch.tensor([label for _, label in rows])


def normalised(pictures, layout):
    return pictures.float().sub_(127.5).div_(127.5).contiguous(memory_format=layout)


def augmented(pictures, mirror, generator):
    count = len(pictures)
    wide = F.pad(pictures.float(), (SHIFT,) * 4, mode="reflect").to(torch.uint8)
    at = torch.randint(0, 2 * SHIFT + 1, (count, 2), generator=generator).tolist()
    out = torch.stack([wide[i, :, y:y + SIDE, x:x + SIDE] for i, (y, x) in enumerate(at)])
    if mirror:
        flipped = torch.rand(count, generator=generator) < 0.5
        out[flipped] = torchvision.transforms.functional.hflip(out[flipped])
    return out


@torch.no_grad()
def outputs(function, pictures, layout):
    return torch.cat([function(normalised(pictures[i:i + 2 * BATCH], layout)) for i in range(0, len(pictures), 2 * BATCH)])


def accuracy(answers, labels):
    return (answers.argmax(1) == labels).float().mean().item()


def faster_layout(path):
    """Two steps in each memory layout, after one that warms up."""
    seconds = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        model = MobileNetV2(10).to(memory_format=layout)
        load_body(model, path)
        x, y = torch.zeros(BATCH, 3, SIDE, SIDE).contiguous(memory_format=layout), torch.zeros(BATCH, dtype=torch.long)
        for step in range(3):
            if step == 1:
                begin = time.perf_counter()
            F.cross_entropy(model(x), y).backward()
        seconds[layout] = (time.perf_counter() - begin) / 2
    best = min(seconds, key=seconds.get)
    print("a step of 32 pictures: " + ", ".join(f"{str(layout)[6:]} {value:.2f} s" for layout, value in seconds.items()))
    return best


def probe(path, data, layout):
    """Multinomial logistic regression on standardised features by L-BFGS, weight decay chosen on validation."""
    begin = time.perf_counter()
    model = MobileNetV2(1).eval().to(memory_format=layout)
    load_body(model, path)
    x = {split: outputs(model.features, pictures, layout) for split, (pictures, _) in data.items() if split != "test"}
    mean, deviation = x["train"].mean(0), x["train"].std(0) + 1e-5
    labels, best = data["train"][1], None
    classes = int(max(each.max() for _, each in data.values())) + 1
    for decay in (1e-4, 1e-3, 1e-2, 1e-1):
        weight, bias = torch.zeros(classes, x["train"].shape[1], requires_grad=True), torch.zeros(classes, requires_grad=True)
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure():
            optimiser.zero_grad()
            loss = F.cross_entropy(((x["train"] - mean) / deviation) @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        # The weights of this turn, not of the last one.
        answer = lambda features, w=weight.detach(), b=bias.detach(): ((features - mean) / deviation) @ w.T + b
        value = accuracy(answer(x["validation"]), data["validation"][1])
        if best is None or value > best[0]:
            best = (value, decay, answer)
    seconds = time.perf_counter() - begin
    test = accuracy(best[2](outputs(model.features, data["test"][0], layout)), data["test"][1])
    print(f"  probe: decay {best[1]:g}, validation {best[0]:.4f}, test {test:.4f}, {seconds:.1f} s without decoding")
    return {"validation": best[0], "test": test, "seconds": seconds, "decay": best[1]}


def write_whole(path, save):
    save(path + ".part")
    os.replace(path + ".part", path)


def train(path, data, classes, candidate, folder, mirror, layout, options, deadline):
    """One candidate, epoch by epoch; what is done is read from the folder. Returns its record."""
    kind, rate = candidate.split(":")
    rate = float(rate)
    file, record_file = f"{folder}/{candidate}.pt", f"{folder}/{candidate}.json"
    if os.path.exists(record_file):
        record = json.load(open(record_file))
        if record["finished"]:
            return record
    pictures, labels = data["train"]
    begin = time.perf_counter()
    torch.manual_seed(SEED)
    model = MobileNetV2(classes).to(memory_format=layout)
    load_body(model, path)
    if kind == "adam":
        optimiser = torch.optim.Adam(model.parameters(), rate)
    elif kind == "sgd":
        optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    else:
        sys.exit(f"rival: no optimiser \"{kind}\"; there are adam and sgd")
    steps = -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs * steps)
    record = {"candidate": candidate, "finished": False, "epochs": [], "best": -1.0, "best_epoch": 0}
    best = None
    if os.path.exists(file):
        state = torch.load(file)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        record, best = state["record"], state["best"]
        print(f"  {candidate}: goes on after epoch {len(record['epochs'])}")
    set_up = time.perf_counter() - begin
    while len(record["epochs"]) < options.epochs and len(record["epochs"]) - record["best_epoch"] < options.patience:
        if deadline and record["epochs"] and time.time() + record["epochs"][-1]["seconds"] > deadline or deadline and time.time() > deadline:
            print(f"  {candidate}: no time for another epoch")
            return record
        begin = time.perf_counter() - (set_up if not record["epochs"] else 0)
        epoch = len(record["epochs"]) + 1
        generator = torch.Generator().manual_seed(SEED * 1000 + epoch)
        order = torch.randperm(len(labels), generator=generator)
        model.train()
        for i in range(0, len(order), BATCH):
            which = order[i:i + BATCH]
            loss = F.cross_entropy(model(normalised(augmented(pictures[which], mirror, generator), layout)), labels[which])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        model.eval()
        value = accuracy(outputs(model, data["validation"][0], layout), data["validation"][1])
        record["epochs"].append({"seconds": time.perf_counter() - begin, "validation": value, "loss": loss.item()})
        if value > record["best"]:
            record["best"], record["best_epoch"] = value, epoch
            best = {key: each.clone() for key, each in model.state_dict().items()}
        print(f"  {candidate}: epoch {epoch}, validation {value:.4f}, {record['epochs'][-1]['seconds']:.1f} s", flush=True)
        write_whole(file, lambda to: torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(), "record": record, "best": best}, to))
    record["finished"] = True
    record["seconds"] = sum(each["seconds"] for each in record["epochs"])
    write_whole(f"{folder}/{candidate}.best", lambda to: torch.save(best, to))
    write_whole(record_file, lambda to: pathlib.Path(to).write_text(json.dumps(record, indent=1)))
    os.remove(file)
    return record


def rival(path, work, name, layout, options, deadline):
    # What was done for other pictures or another schedule does not count.
    table = hashlib.sha256(pathlib.Path(f"{work}/tables/{name}.csv").read_bytes()).hexdigest()[:12]
    folder, result = f"{work}/rival/{name}-{table}-{options.epochs}-{options.patience}", f"{work}/rival/{name}.json"
    os.makedirs(folder, exist_ok=True)
    asked = {"candidates": options.candidates, "epochs": options.epochs, "patience": options.patience, "table": table}
    if os.path.exists(result) and json.load(open(result))["asked"] == asked:
        print(f"{name}: done before")
        return
    rows, classes = read_set(work, name)
    print(f"{name}: {len(classes)} classes, {', '.join(f'{split} {len(each)}' for split, each in rows.items())}")
    data, seconds = {}, {}
    for split, each in rows.items():
        begin = time.perf_counter()
        data[split] = decode(work, name, each)
        seconds[split] = time.perf_counter() - begin
    decoding = seconds["train"] + seconds["validation"]  # the test pictures are no part of making a model
    probed = probe(path, data, layout)
    records = [train(path, data, len(classes), candidate, folder, name not in NOT_MIRRORED, layout, options, deadline) for candidate in options.candidates]
    if not all(record["finished"] for record in records):
        print(f"{name}: not finished")
        return
    chosen = max(records, key=lambda record: record["best"])  # the first one asked for, among equals
    model = MobileNetV2(len(classes)).eval().to(memory_format=layout)
    model.load_state_dict(torch.load(f"{folder}/{chosen['candidate']}.best"))
    answers = outputs(model, data["test"][0], layout).argmax(1)
    test = (answers == data["test"][1]).float().mean().item()
    out = {"asked": asked, "set": name, "chosen": chosen["candidate"], "validation": chosen["best"], "test": test, "probe": probed, "decoding": decoding,
           "seconds": decoding + chosen["seconds"], "seconds_with_tuning": decoding + sum(record["seconds"] for record in records), "candidates": records,
           "answers": {path: classes[k] for (path, _), k in zip(rows["test"], answers.tolist())}, "threads": torch.get_num_threads()}
    write_whole(result, lambda to: pathlib.Path(to).write_text(json.dumps(out, ensure_ascii=False)))
    print(f"{name}: {chosen['candidate']}, test {test:.4f} (probe {probed['test']:.4f}), {out['seconds']:.1f} s from files to a model, {out['seconds_with_tuning']:.1f} s with all candidates")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work")
    parser.add_argument("--onnx", default="../shared/data/onnx/mobilenetv2_100_224_ptq.onnx")
    parser.add_argument("--sets", default="")
    parser.add_argument("--candidates", default="adam:0.0005,adam:0.0001,sgd:0.005", type=lambda text: text.split(","))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    deadline = time.time() + 60 * options.minutes if options.minutes else 0
    known = json.load(open(f"{options.work}/sets.json"))["sets"]
    wanted = options.sets.split(",") if options.sets else known
    if set(wanted) - set(known):
        sys.exit(f"rival: no set {', '.join(sorted(set(wanted) - set(known)))}; there are {', '.join(known)}")
    check_features(options.onnx)
    layout = faster_layout(options.onnx)
    for name in wanted:
        if deadline and time.time() > deadline:
            print("the time is up; the same command goes on")
            return
        rival(options.onnx, options.work, name, layout, options, deadline)


main()
