#!/usr/bin/env python3
"""Golden numbers for tasks/landmarks.* and tasks/landmarks_metrics.*: writes landmarks.json beside itself.

Figures are counted from their definitions (docs/landmarks.md), the area under the curve step by step; maps are Gaussians written out cell by
cell, of which the place is known. Plain Python, no packages.

    python3 tests/golden/landmarks_golden.py
"""
import json
import math
import os

from generator import Generator


def gaussian_map(x, y, rows, columns, deviation):
    values = [[math.exp(-((c + 0.5 - x) ** 2 + (r + 0.5 - y) ** 2) / (2 * deviation**2)) for c in range(columns)] for r in range(rows)]
    total = sum(map(sum, values))
    return [[v / total for v in row] for row in values]


def peaks():
    generator = Generator(5)
    cases = []
    for i in range(24):
        rows, columns = 6 + generator.below(12), 6 + generator.below(12)
        x, y = generator.uniform() * columns, generator.uniform() * rows
        if i % 3 == 0:  # at an edge
            x = generator.among([0.1, 0.4, 0.9, columns - 0.2])
        values = gaussian_map(x, y, rows, columns, 1.0)
        largest = max((values[r][c], -r, -c) for r in range(rows) for c in range(columns))
        row, column = -largest[1], -largest[2]
        share = sum(
            values[r][c] for r in range(max(0, row - 2), min(rows, row + 3)) for c in range(max(0, column - 2), min(columns, column + 3))
        )
        cases.append({"rows": rows, "columns": columns, "x": x, "y": y, "share": share})
    return cases


def unit_of(names, points, width, height):
    known = {name: (p[0], p[1]) for name, p in zip(names, points) if p[2] > 0}
    if "left_eye" in known and "right_eye" in known and known["left_eye"] != known["right_eye"]:
        return math.dist(known["left_eye"], known["right_eye"])
    xs, ys = [p[0] for p in known.values()], [p[1] for p in known.values()]
    diagonal = math.hypot(max(xs) - min(xs), max(ys) - min(ys)) if known else 0
    return (diagonal or math.hypot(width, height)) / math.sqrt(2)


def figures_of(names, pictures):
    errors, means, pixels = [], [], []
    per_point = {name: [] for name in names}
    for picture in pictures:
        unit = unit_of(names, picture["truth"], picture["width"], picture["height"])
        own = []
        for name, truth, answer in zip(names, picture["truth"], picture["answer"]):
            if truth[2] == 0:
                continue
            apart = math.dist(truth[:2], answer[:2])
            own.append(apart / unit)
            pixels.append(apart)
            per_point[name].append(apart / unit)
        errors += own
        if own:
            means.append(sum(own) / len(own))
    steps = sorted({0.0, 0.1, *(m for m in means if m < 0.1)})  # between two of them the share stays
    area = sum((b - a) * sum(1 for m in means if m <= a) / len(means) for a, b in zip(steps, steps[1:])) / 0.1
    share = lambda values, most: sum(1 for v in values if v <= most) / len(values)
    values = {
        "nme": sum(means) / len(means),
        "error_px": sum(pixels) / len(pixels),
        "pck_0.1": share(errors, 0.1),
        "pck_0.05": share(errors, 0.05),
        "success_0.1": share(means, 0.1),
        "auc_0.1": area,
    }
    per_class = [{"count": len(v), "values": {"nme": sum(v) / len(v), "pck_0.1": share(v, 0.1)}} for v in per_point.values()]
    return {"count": len(errors), "values": values, "per_class": per_class}


def metrics():
    generator = Generator(17)
    cases = []
    for names in (["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"], ["tip", "base", "hinge"], ["needle"]):
        pictures = []
        for _ in range(12):
            width, height = 100 + generator.below(100), 100 + generator.below(100)
            truth, answer = [], []
            for _ in names:
                x, y = generator.uniform() * width, generator.uniform() * height
                said = generator.among([0, 1, 2, 2, 2, 2]) if len(names) > 1 else 2
                off = generator.among([1, 3, 8, 30])
                truth.append([x, y, said])
                answer.append([x + (generator.uniform() - 0.5) * off, y + (generator.uniform() - 0.5) * off])
            pictures.append({"width": width, "height": height, "truth": truth, "answer": answer})
        cases.append({"names": names, "pictures": pictures, "figures": figures_of(names, pictures)})
    return cases


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "landmarks.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"peaks": peaks(), "metrics": metrics()}, out, indent=1)
        out.write("\n")
