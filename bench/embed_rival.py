#!/usr/bin/env python3
"""Rivals and the judge of bench/embed.sh, in plain NumPy.

  embed_rival.py fisherfaces DATA FOLDS OUT.npz     Fisherfaces (Belhumeur et al. 1997): grey pixels, principal components, then the directions that
                                                    tell the training identities apart; trained on everybody who is in no pair of FOLDS (1,2,3)
  embed_rival.py from-predict ANSWERS.jsonl OUT.npz what `sightline predict --jsonl` wrote
  embed_rival.py judge DATA FOLDS NAME=FILE.npz ... verification by the protocol of LFW over FOLDS: the threshold of a fold from the others;
                                                    the first one against each other one: difference with its interval (1,000 draws of identities)

DATA holds images/NAME/NAME_0001.jpg and pairs.txt.
"""
import json
import os
import sys

import cv2
import numpy as np

cv2.setNumThreads(2)


def read_pairs(data, folds):
    lines = open(os.path.join(data, "pairs.txt"), encoding="utf-8").read().splitlines()
    count, each = (int(x) for x in lines[0].split())
    pairs = []
    for at, line in enumerate(lines[1:1 + 2 * count * each]):
        f = line.split("\t")
        fold = at // (2 * each) + 1
        if fold in folds:
            other = f[0] if len(f) == 3 else f[2]
            pairs.append((f"{f[0]}/{f[0]}_{int(f[1]):04}.jpg", f"{other}/{other}_{int(f[-1]):04}.jpg", fold, len(f) == 3))
    return pairs


def listing(data):
    root = os.path.join(data, "images")
    return [f"{name}/{file}" for name in sorted(os.listdir(root)) for file in sorted(os.listdir(os.path.join(root, name)))]


def grey(data, path):
    picture = cv2.imread(os.path.join(data, "images", path), cv2.IMREAD_GRAYSCALE)
    picture = picture[12:108, 16:96]  # the face without the ground
    small = cv2.resize(picture, (32, 40), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return (small - small.mean()) / (small.std() + 1e-3)


def fisherfaces(data, folds, out, components=300, width=128, ridge=0.05):
    paths = listing(data)
    tested = {p.split("/")[0] for a, b, _, _ in read_pairs(data, folds) for p in (a, b)}
    pixels = np.stack([grey(data, path) for path in paths])
    names = np.array([path.split("/")[0] for path in paths])
    train = np.array([name not in tested for name in names])
    mean = pixels[train].mean(0)
    centred = pixels[train] - mean
    _, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    reduced = (pixels - mean) @ axes[:, -components:]
    x, who = reduced[train], names[train]
    order = {name: i for i, name in enumerate(sorted(set(who)))}
    k = np.array([order[name] for name in who])
    count = np.bincount(k)
    centres = np.stack([np.bincount(k, weights=x[:, d]) for d in range(x.shape[1])], 1) / count[:, None]
    inner = x - centres[k]
    several = count[k] > 1
    within = inner[several].T @ inner[several] / several.sum()
    within += ridge * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    white = vectors / np.sqrt(values)
    between = centres[count > 1] @ white
    _, _, directions = np.linalg.svd(between - between.mean(0), full_matrices=False)
    y = reduced @ white @ directions[:width].T
    y -= y[train].mean(0)
    np.savez(out, paths=np.array(paths), embeddings=(y / np.linalg.norm(y, axis=1, keepdims=True)).astype(np.float32))
    print(f"fisherfaces: {train.sum()} training pictures of {len(order)} identities, nobody of the {len(tested)} tested ones")


def from_predict(answers, out):
    paths, rows = [], []
    for line in open(answers, encoding="utf-8"):
        answer = json.loads(line)
        if "embedding" in answer:
            paths.append("/".join(answer["file"].split("/")[-2:]))
            rows.append(answer["embedding"])
    np.savez(out, paths=np.array(paths), embeddings=np.array(rows, np.float32))


def best_threshold(scores, same, weights):
    order = np.argsort(-scores, kind="stable")
    s, change = scores[order], np.where(same[order], weights[order], -weights[order])
    right = weights[~same].sum() + np.cumsum(change)
    ends = np.append(s[1:] < s[:-1], True)  # equals are taken together
    right = np.where(ends, right, -1)
    if right.max() <= weights[~same].sum():
        return s[0] + 1
    at = int(np.argmax(right))
    return (s[at] + s[at + 1]) / 2 if at + 1 < len(s) else s[at] - 1


def accuracy(scores, same, fold, weights):
    shares = []
    for f in np.unique(fold):
        own, others = (fold == f) & (weights > 0), (fold != f) & (weights > 0)
        if not own.any() or not others.any():
            continue
        threshold = best_threshold(scores[others], same[others], weights[others])
        shares.append((weights[own] * ((scores[own] >= threshold) == same[own])).sum() / weights[own].sum())
    return np.array(shares)


def judge(data, folds, named):
    pairs = read_pairs(data, folds)
    names = sorted({p.split("/")[0] for a, b, _, _ in pairs for p in (a, b)})
    place = {name: i for i, name in enumerate(names)}
    first = np.array([place[a.split("/")[0]] for a, _, _, _ in pairs])
    second = np.array([place[b.split("/")[0]] for _, b, _, _ in pairs])
    fold = np.array([f for _, _, f, _ in pairs])
    same = np.array([s for _, _, _, s in pairs])
    scores = {}
    for name, file in named:
        loaded = np.load(file)
        at = {path: i for i, path in enumerate(loaded["paths"])}
        rows = loaded["embeddings"]
        scores[name] = np.array([float(rows[at[a]] @ rows[at[b]]) for a, b, _, _ in pairs])
        shares = accuracy(scores[name], same, fold, np.ones(len(pairs)))
        print(f"{name}: {100 * shares.mean():.2f} ± {100 * shares.std(ddof=1) / len(shares) ** 0.5:.2f} % over {len(shares)} folds, {len(pairs)} pairs")
    rng = np.random.default_rng(7)
    draws = [np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names)) for _ in range(1000)]
    ours = named[0][0]
    for rival, _ in named[1:]:
        differences = []
        for drawn in draws:
            weights = np.where(same, drawn[first], drawn[first] * drawn[second]).astype(float)
            differences.append(accuracy(scores[ours], same, fold, weights).mean() - accuracy(scores[rival], same, fold, weights).mean())
        low, high = np.quantile(differences, (0.025, 0.975))
        ones = np.ones(len(pairs))
        gap = accuracy(scores[ours], same, fold, ones).mean() - accuracy(scores[rival], same, fold, ones).mean()
        print(f"{ours} ahead of {rival} by {100 * gap:.2f} points (95% interval {100 * low:.2f} to {100 * high:.2f})")


if __name__ == "__main__":
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "fisherfaces":
        fisherfaces(rest[0], {int(f) for f in rest[1].split(",")}, rest[2])
    elif what == "from-predict":
        from_predict(rest[0], rest[1])
    elif what == "judge":
        judge(rest[0], {int(f) for f in rest[1].split(",")}, [tuple(r.split("=", 1)) for r in rest[2:]])
    else:
        sys.exit(__doc__)
