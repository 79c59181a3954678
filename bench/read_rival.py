"""Reading, the rival: LPRNet (Zherzdev & Gruzdev 2018) as sirius-ai/LPRNet_Pytorch trained it, weights as imported (Apache-2.0), on the 94x24 plates of
ocr_cn_plates; and the comparison with our answers. Debian's python3-torch, python3-pil, python3-numpy.
   /usr/bin/python3 bench/read_rival.py answer DATA WEIGHTS OUT.json          what LPRNet reads: {file: text}
   /usr/bin/python3 bench/read_rival.py score LABELS.csv OURS.json [RIVAL.json]
OURS.json is what `sightline predict --json` says (several files joined by commas: the pictures of several folds), RIVAL.json the same or what `answer` wrote; only
pictures that all speak of are counted. The difference comes with its 95% interval: pictures drawn with repetition, the same for both, 10,000 times."""
import csv
import json
import os
import struct
import sys
import time

import numpy


def weights_of(path):
    import torch

    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, about in head.items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        begin, end = about["data_offsets"]
        values = numpy.frombuffer(data[8 + length + begin : 8 + length + end], dtype="<f4").reshape(about["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def lprnet(weights, pictures):
    """N×3×24×94 → N×68×18, the blank last. The published forward pass."""
    import torch
    import torch.nn.functional as F

    def conv(x, name, **how):
        return F.conv2d(x, weights[name + ".weight"], weights[name + ".bias"], **how)

    def norm(x, name):
        return F.batch_norm(x, weights[name + ".running_mean"], weights[name + ".running_var"], weights[name + ".weight"], weights[name + ".bias"])

    def block(x, name):
        x = F.relu(conv(x, name + ".block.0"))
        x = F.relu(conv(x, name + ".block.2", padding=(1, 0)))
        x = F.relu(conv(x, name + ".block.4", padding=(0, 1)))
        return conv(x, name + ".block.6")

    def pool(x, stride):  # three-dimensional with a depth of one, as published: every stride[0]-th channel
        return F.max_pool2d(x[:, :: stride[0]], 3, stride[1:])

    kept = []
    x = F.relu(norm(conv(pictures, "backbone.0"), "backbone.1"))
    kept.append(F.avg_pool2d(x, 5, 5))
    x = F.relu(norm(block(pool(x, (1, 1, 1)), "backbone.4"), "backbone.5"))
    kept.append(F.avg_pool2d(x, 5, 5))
    x = F.relu(norm(block(pool(x, (2, 1, 2)), "backbone.8"), "backbone.9"))
    x = F.relu(norm(block(x, "backbone.11"), "backbone.12"))
    kept.append(F.avg_pool2d(x, (4, 10), (4, 2)))
    x = F.relu(norm(conv(pool(x, (4, 1, 2)), "backbone.16"), "backbone.17"))
    x = F.relu(norm(conv(x, "backbone.20"), "backbone.21"))
    kept.append(x)
    kept = [each / each.pow(2).mean() for each in kept]  # over the whole batch, as published: hence one picture at a time
    return conv(torch.cat(kept, 1), "container.0").mean(2)


def answer(data, weights_path, out):
    import torch
    from PIL import Image

    symbols = [line.strip() for line in open(os.path.join(data, "charset.txt"), encoding="utf-8") if line.strip()]
    weights = weights_of(weights_path)
    texts, times = {}, []
    with torch.no_grad():
        for row in csv.DictReader(open(os.path.join(data, "labels.csv"), encoding="utf-8")):
            picture = numpy.asarray(Image.open(os.path.join(data, "images", row["file"])).convert("RGB").resize((94, 24)), dtype=numpy.float32)
            begin = time.perf_counter()
            x = torch.from_numpy((picture[:, :, ::-1].copy() - 127.5) * 0.0078125).permute(2, 0, 1)[None]  # BGR, as it was trained
            said = lprnet(weights, x)[0].argmax(0).tolist()
            times.append(time.perf_counter() - begin)
            text, last = "", len(symbols) - 1
            for k in said:
                if k != last and k != len(symbols) - 1:
                    text += symbols[k]
                last = k
            texts[row["file"]] = text
    json.dump(texts, open(out, "w", encoding="utf-8"), ensure_ascii=False)
    print(f"LPRNet: {len(texts)} plates, {1000 * sorted(times)[len(times) // 2]:.2f} ms each in LibTorch (median, {torch.get_num_threads()} threads)")


def answers_of(path):
    texts = {}
    for each in path.split(","):
        document = json.load(open(each, encoding="utf-8"))
        if "answers" not in document:
            texts.update(document)
            continue
        for one in document["answers"]:
            texts[os.path.basename(one["file"])] = one["text"]
    return texts


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(last + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def score(labels, ours, rival=None):
    truth = {os.path.basename(row.get("file") or row["path"]): row["text"] for row in csv.DictReader(open(labels, encoding="utf-8"))}
    sides = [("ours", answers_of(ours))] + ([("rival", answers_of(rival))] if rival else [])
    names = sorted(name for name in truth if all(name in texts for _, texts in sides))
    right = []
    for who, texts in sides:
        exact = numpy.array([texts[name] == truth[name] for name in names], dtype=float)
        lost = sum(distance(truth[name], texts[name]) for name in names)
        characters = 1 - lost / sum(len(truth[name]) for name in names)
        after = numpy.mean([texts[name][1:] == truth[name][1:] for name in names])
        print(f"{who}: {int(exact.sum())} of {len(names)} texts right ({exact.mean():.4f}), characters {characters:.4f}, without the first one {after:.4f}")
        right.append(exact)
    if rival:
        difference = right[0] - right[1]
        draws = numpy.random.default_rng(7).integers(0, len(names), (10_000, len(names)))
        low, high = numpy.percentile(difference[draws].mean(1), [2.5, 97.5])
        print(f"ours - rival: {100 * difference.mean():+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})")


if __name__ == "__main__":
    {"answer": answer, "score": score}[sys.argv[1]](*sys.argv[2:])
