#!/usr/bin/env python3
"""Golden numbers of the detect metrics: writes detect.json beside this file. Needs NumPy (python3-numpy).

A slow and literal computation of what COCOeval publishes for boxes (the rules are in docs/detect.md), written without looking at
src/tasks: every array is there in full, [overlap][recall][class][area][most], every class, area range and number of boxes is matched anew,
a picture that is chosen twice is really there twice. NumPy does what NumPy does in pycocotools: linspace, mergesort, searchsorted, mean.

Run: /usr/bin/python3 tests/golden/detect_golden.py
"""
import json
import os

import numpy as np

from generator import Generator

OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = [1, 10, 100]
AREAS = [("all", 0, 1e5**2), ("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, 1e5**2)]


# A box is kept as [x, y, width, height], as in COCO's files. Rows of truth: [label, left, top, right, bottom, flags], flags 1 crowd,
# 2 difficult; rows of found: [label, left, top, right, bottom, score].
def corner_and_size(row):
    return [row[1], row[2], row[3] - row[1], row[4] - row[2]]


def overlap(found, thing, crowd):
    width = min(found[0] + found[2], thing[0] + thing[2]) - max(found[0], thing[0])
    height = min(found[1] + found[3], thing[1] + thing[3]) - max(found[1], thing[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    found_area = found[2] * found[3]
    return both / (found_area if crowd else found_area + thing[2] * thing[3] - both)


def match_picture(picture, label, least, most):
    """Of the 100 best boxes: scores, [overlap][box] matched and ignored; how many things are to be found."""
    things = []
    for row in picture["truth"]:
        if row[0] != label:
            continue
        box = corner_and_size(row)
        area = box[2] * box[3]
        crowd, difficult = bool(row[5] & 1), bool(row[5] & 2)
        things.append({"box": box, "crowd": crowd, "ignore": crowd or difficult or area < least or area > most})
    things.sort(key=lambda thing: thing["ignore"])  # Python's sort is stable
    found = [row for row in picture["found"] if row[0] == label]
    order = np.argsort([-row[5] for row in found], kind="mergesort")[: MOST[-1]]
    found = [found[i] for i in order]
    matched = np.zeros((len(OVERLAPS), len(found)), dtype=bool)
    ignored = np.zeros((len(OVERLAPS), len(found)), dtype=bool)
    for t, threshold in enumerate(OVERLAPS):
        taken = set()
        for d, row in enumerate(found):
            box = corner_and_size(row)
            best, partner = min(threshold, 1 - 1e-10), None
            for g, thing in enumerate(things):
                if g in taken and not thing["crowd"]:
                    continue
                if partner is not None and not things[partner]["ignore"] and thing["ignore"]:
                    break
                value = overlap(box, thing["box"], thing["crowd"])
                if value >= best:
                    best, partner = value, g
            if partner is not None:
                taken.add(partner)
                matched[t, d] = True
                ignored[t, d] = things[partner]["ignore"]
            else:
                ignored[t, d] = box[2] * box[3] < least or box[2] * box[3] > most
    return [row[5] for row in found], matched, ignored, sum(not thing["ignore"] for thing in things)


def evaluate(pictures, classes):
    shape = (len(OVERLAPS), len(RECALLS), classes, len(AREAS), len(MOST))
    precision = -np.ones(shape)
    recall = -np.ones((shape[0],) + shape[2:])
    for k in range(classes):
        for a, (_, least, largest) in enumerate(AREAS):
            matches = [match_picture(picture, k, least, largest) for picture in pictures]
            wanted = sum(each[3] for each in matches)
            if wanted == 0:
                continue
            for m, most in enumerate(MOST):
                scores = np.concatenate([each[0][:most] for each in matches])
                order = np.argsort(-scores, kind="mergesort")
                matched = np.concatenate([each[1][:, :most] for each in matches], axis=1)[:, order]
                ignored = np.concatenate([each[2][:, :most] for each in matches], axis=1)[:, order]
                for t in range(len(OVERLAPS)):
                    right = np.cumsum(matched[t] & ~ignored[t]).astype(float)
                    wrong = np.cumsum(~matched[t] & ~ignored[t]).astype(float)
                    reached = right / wanted
                    exact = right / (wrong + right + np.spacing(1))
                    recall[t, k, a, m] = reached[-1] if len(reached) else 0
                    for r, place in enumerate(np.searchsorted(reached, RECALLS, side="left")):
                        precision[t, r, k, a, m] = exact[place:].max() if place < len(exact) else 0
    return precision, recall


def mean_of(values):
    values = values[values > -1]
    return float(np.mean(values)) if len(values) else None


def best_score(pictures, label):
    """All boxes that reach a score are taken: the score with the largest F1 at an overlap of 0.5, the highest of equals."""
    matches = [match_picture(picture, label, 0, 1e5**2) for picture in pictures]
    wanted = sum(each[3] for each in matches)
    best = None
    for score in sorted({s for each in matches for s in each[0]}, reverse=True):
        hits = counted = 0
        for scores, matched, ignored, _ in matches:
            for d, s in enumerate(scores):
                if s >= score and not ignored[0, d]:
                    counted += 1
                    hits += int(matched[0, d])
        if hits == 0:
            continue
        f1 = 2 * hits / (counted + wanted)
        if best is None or f1 > best["f1"]:
            best = {"score": score, "f1": f1, "precision": hits / counted, "recall": hits / wanted}
    return best or {"f1": 0.0, "recall": 0.0}


def figures(pictures, classes):
    precision, recall = evaluate(pictures, classes)
    values = {
        "mAP50-95": mean_of(precision[:, :, :, 0, 2]),
        "mAP50": mean_of(precision[0, :, :, 0, 2]),
        "mAP75": mean_of(precision[5, :, :, 0, 2]),
    }
    for m, most in enumerate(MOST):
        values[f"AR{most}"] = mean_of(recall[:, :, 0, m])
    for a, (name, _, _) in enumerate(AREAS[1:], 1):
        values[f"mAP50-95_{name}"] = mean_of(precision[:, :, :, a, 2])
        values[f"AR_{name}"] = mean_of(recall[:, :, a, 2])
    per_class = []
    for k in range(classes):
        count = sum(match_picture(picture, k, 0, 1e5**2)[3] for picture in pictures)
        own = {}
        if count:
            own = {"mAP50-95": mean_of(precision[:, :, k, 0, 2]), "mAP50": mean_of(precision[0, :, k, 0, 2])}
            own.update(best_score(pictures, k))
        per_class.append({"count": count, "values": own})
    return {
        "count": sum(each["count"] for each in per_class),
        "values": {name: value for name, value in values.items() if value is not None},
        "per_class": per_class,
    }


SIDES = [8, 20, 31, 32, 33, 60, 95, 96, 97, 150]  # areas on both sides of 32² and 96², and on them


def drawn(seed, pictures, classes, labels_used, things, extra, step, scores, crowd, difficult):
    """Things and found boxes on a grid of `step` pixels; scores are multiples of 1/scores, so that many are equal."""
    random = Generator(seed)
    result = []
    for p in range(pictures):
        truth, found = [], []
        for _ in range(0 if p % 5 == 4 else random.below(things + 1)):
            width, height = random.among(SIDES), random.among(SIDES)
            left, top = random.below(250) * step, random.below(250) * step
            flags = 1 if random.uniform() < crowd else 2 if random.uniform() < difficult else 0
            truth.append([random.among(labels_used), left, top, left + width, top + height, flags])
        for row in truth:
            for _ in range(random.below(4)):
                moved = [row[i] + step * random.among([0, 0, 0, 1, -1, 3, -4, 9]) for i in range(1, 5)]
                label = row[0] if random.uniform() < 0.9 else random.below(classes)
                found.append([label] + moved + [random.below(scores + 1) / scores])
        for _ in range(random.below(extra + 1)):
            left, top = random.below(250) * step, random.below(250) * step
            found.append([random.below(classes), left, top, left + random.among(SIDES), top + random.among(SIDES), random.below(scores + 1) / scores])
        found = [row for row in found if row[3] > row[1] and row[4] > row[2]]
        order = sorted(range(len(found)), key=lambda _: random.uniform())
        result.append({"truth": truth, "found": [found[i] for i in order]})
    chosen = [random.below(pictures) for _ in range(pictures)]
    return {"classes": classes, "pictures": result, "chosen": chosen}


CASES = {
    "one class": drawn(1, 6, 1, [0], 8, 6, 1, 10, 0, 0),
    "three classes, many ties": drawn(2, 8, 3, [0, 1, 2], 12, 8, 1, 4, 0, 0),
    "crowds and difficult ones": drawn(3, 8, 3, [0, 1, 2], 12, 8, 1, 20, 0.2, 0.2),
    "mostly crowds": drawn(4, 6, 2, [0, 1], 8, 8, 1, 5, 0.7, 0.2),
    "a class without objects": drawn(5, 6, 4, [0, 2], 10, 8, 1, 10, 0.1, 0.1),
    "no objects at all": drawn(6, 3, 2, [0], 0, 8, 1, 10, 0, 0),
    "tenths of pixels": drawn(7, 8, 3, [0, 1, 2], 12, 8, 0.1, 10, 0.1, 0.1),
    "scores without ties": drawn(8, 8, 2, [0, 1], 12, 8, 0.1, 1000003, 0.05, 0.05),
    "one score for all": drawn(9, 8, 2, [0, 1], 12, 8, 1, 1, 0.1, 0.1),
    "more than a hundred boxes": drawn(10, 2, 1, [0], 90, 150, 1, 50, 0.05, 0.05),
    "more classes than NumPy sums in one piece": drawn(11, 10, 12, list(range(11)), 20, 6, 1, 10, 0.05, 0.05),
}


def main():
    lines = []
    for name, case in CASES.items():
        case = dict(case, name=name)
        pictures = case["pictures"]
        case["figures"] = figures(pictures, case["classes"])
        case["figures_of_chosen"] = figures([pictures[p] for p in case["chosen"]], case["classes"])
        lines.append(json.dumps(case, separators=(",", ":")))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "detect.json")
    with open(path, "w") as file:
        file.write('{"cases":[\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
