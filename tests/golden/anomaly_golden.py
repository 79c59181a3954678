#!/usr/bin/env python3
"""Golden numbers of the anomaly metrics, computed independently in plain Python: writes anomaly.json beside this file.

Definitions: docs/anomaly.md. Pairs are counted one by one, thresholds are tried one by one, regions are found by joining labels.
Run: python3 tests/golden/anomaly_golden.py
"""
import json
import os
from fractions import Fraction

from generator import Generator


def auroc(good, bad):
    """Over all pairs; exact."""
    if not good or not bad:
        return None
    wins = sum(Fraction(1) if b > g else Fraction(1, 2) if b == g else Fraction(0) for b in bad for g in good)
    return float(wins / (len(good) * len(bad)))


def average_precision(good, bad):
    if not bad:
        return None
    total, before = Fraction(0), Fraction(0)
    for threshold in sorted(set(good + bad), reverse=True):
        found = sum(b >= threshold for b in bad)
        alarms = found + sum(g >= threshold for g in good)
        recall = Fraction(found, len(bad))
        total += (recall - before) * Fraction(found, alarms)
        before = recall
    return float(total)


def regions(mask):
    """Sets of (row, column) that hang together over edges or corners."""
    found = []
    for r, row in enumerate(mask):
        for c, value in enumerate(row):
            if not value:
                continue
            touching = [s for s in found if any((r + i, c + j) in s for i in (-1, 0, 1) for j in (-1, 0, 1))]
            joined = {(r, c)}.union(*touching)
            found = [s for s in found if not any(s is t for t in touching)] + [joined]
    return found


def aupro(pictures, most=Fraction(3, 10)):
    good, defects = [], []
    for picture in pictures:
        if picture["map"] is None:
            continue
        inside = set()
        for region in regions(picture["mask"]) if picture["mask"] else []:
            defects.append([picture["map"][r][c] for r, c in region])
            inside |= region
        good += [v for r, row in enumerate(picture["map"]) for c, v in enumerate(row) if (r, c) not in inside]
    if not good or not defects:
        return None
    points = [(Fraction(0), Fraction(0))]
    for threshold in sorted(set(good + [v for d in defects for v in d]), reverse=True):
        false = Fraction(sum(v >= threshold for v in good), len(good))
        overlap = sum(Fraction(sum(v >= threshold for v in d), len(d)) for d in defects) / len(defects)
        points.append((false, overlap))
    area = Fraction(0)
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x0 >= most:
            break
        if x1 > most:
            y1 = y0 + (y1 - y0) * (most - x0) / (x1 - x0)
            x1 = most
        area += (x1 - x0) * (y0 + y1) / 2
    return float(area / most)


def figures(pictures, kinds):
    good = [p["score"] for p in pictures if not p["bad"]]
    bad = [p["score"] for p in pictures if p["bad"]]
    pixels = [[], []]
    for p in pictures:
        for r, row in enumerate(p["map"] or []):
            for c, value in enumerate(row):
                pixels[1 if p["mask"] and p["mask"][r][c] else 0].append(value)
    values = {
        "image_auroc": auroc(good, bad),
        "average_precision": average_precision(good, bad),
        "pixel_auroc": auroc(pixels[0], pixels[1]),
        "aupro": aupro(pictures),
        "detection_rate": sum(s > 0.5 for s in bad) / len(bad) if bad else None,
        "false_alarm_rate": sum(s > 0.5 for s in good) / len(good) if good else None,
    }
    per_class = []
    for k in range(kinds):
        own = [p["score"] for p in pictures if p["bad"] and p["label"] == k]
        one = {"image_auroc": auroc(good, own), "detection_rate": sum(s > 0.5 for s in own) / len(own)} if own else {}
        per_class.append({"count": len(own), "values": {n: v for n, v in one.items() if v is not None}})
    return {"count": len(bad), "values": {n: v for n, v in values.items() if v is not None}, "per_class": per_class}


def drawn(seed, count, kinds, rows, columns, steps, bad_share, with_masks=True):
    """Scores and map values are multiples of 1/steps (map values of about 1/65535), so that many are equal; levels are given as integers."""
    random = Generator(seed)
    pictures = []
    for _ in range(count):
        bad = random.uniform() < bad_share
        label = 1 + random.below(kinds - 1) if bad else 0
        score = min(1.0, max(0.0, (random.below(steps) + (random.below(steps // 2) if bad else 0)) / steps))
        mask, grid = None, []
        if bad and with_masks:
            mask = [[0] * columns for _ in range(rows)]
            for _ in range(1 + random.below(4)):
                r, c = random.below(rows), random.below(columns)
                for _ in range(1 + random.below(6)):
                    mask[r][c] = 255
                    r, c = min(rows - 1, max(0, r + random.below(3) - 1)), min(columns - 1, max(0, c + random.below(3) - 1))
        for r in range(rows):
            grid.append([min(steps, random.below(steps) + (random.below(steps) if mask and mask[r][c] else 0)) * (65535 // steps) for c in range(columns)])
        pictures.append({"bad": bad, "label": label, "score": score, "mask": mask, "map": grid if with_masks or not bad else None})
    return {"kinds": kinds, "rows": rows, "columns": columns, "pictures": pictures, "chosen": [random.below(count) for _ in range(count)]}


CASES = {
    "many ties": drawn(1, 12, 3, 6, 7, 8, 0.5),
    "fine steps": drawn(2, 14, 4, 7, 5, 3000, 0.4),
    "two levels": drawn(3, 10, 2, 6, 6, 2, 0.5),
    "mostly good": drawn(4, 14, 3, 5, 8, 20, 0.15),
    "no masks": drawn(5, 12, 3, 4, 4, 20, 0.5, with_masks=False),
    "only good": drawn(6, 4, 2, 4, 4, 20, 0),
    "none good": drawn(7, 4, 2, 5, 5, 20, 1),
}


def main():
    lines = []
    for name, case in CASES.items():
        pictures = case["pictures"]
        case = dict(case, name=name, figures=figures(pictures, case["kinds"]),
                    figures_of_chosen=figures([pictures[p] for p in case["chosen"]], case["kinds"]))
        lines.append(json.dumps(case, separators=(",", ":")))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "anomaly.json")
    with open(path, "w") as file:
        file.write('{"cases":[\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
