#!/usr/bin/env python3
"""Golden numbers of the segmentation metrics, computed independently in plain Python: writes segment.json beside this file.

Definitions: docs/segment.md. Everything is counted pixel by pixel and pair by pair, with exact fractions until the last step.
Run: python3 tests/golden/segment_golden.py
"""
import json
import os
from fractions import Fraction

from generator import Generator

UNJUDGED = 255
TOLERANCE = 2
OVERLAPS = [0.5 + 0.05 * i for i in range(10)]


def places(mask):
    return [(r, c) for r in range(len(mask)) for c in range(len(mask[0]))]


def border(mask, truth, label):
    """Pixels of the class with a judged neighbour, over an edge, that is not of it."""
    found = []
    for r, c in places(mask):
        if mask[r][c] != label or truth[r][c] == UNJUDGED:
            continue
        for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= y < len(mask) and 0 <= x < len(mask[0]) and truth[y][x] != UNJUDGED and mask[y][x] != label:
                found.append((r, c))
                break
    return found


def near(a, b):
    return sum(any((r - y) ** 2 + (c - x) ** 2 <= TOLERANCE**2 for y, x in b) for r, c in a)


def figures(pictures, classes):
    values, per_class = {}, []
    ious, dices, f1s = [], [], []
    background = None
    right = judged = 0
    for k in range(classes + 1):
        both = given = found = 0
        for picture in pictures:
            for r, c in places(picture["truth"]):
                t, p = picture["truth"][r][c], picture["found"][r][c]
                if t == UNJUDGED:
                    continue
                both += t == k and p == k
                given += t == k
                found += p == k
        right += both
        judged += given
        either = given + found - both
        if k == 0:
            background = Fraction(both, either) if either else Fraction(1)
            continue
        own = {}
        if either:
            ious.append(Fraction(both, either))
            dices.append(Fraction(2 * both, given + found))
            own["IoU"], own["dice"] = float(ious[-1]), float(dices[-1])
            if found:
                own["precision"] = both / found
            if given:
                own["recall"] = both / given
            counts = [0, 0, 0, 0]
            for picture in pictures:
                a, b = (border(picture[key], picture["truth"], k) for key in ("found", "truth"))
                counts = [x + y for x, y in zip(counts, (len(a), near(a, b), len(b), near(b, a)))]
            if counts[0] + counts[2]:
                precision = Fraction(counts[1], counts[0]) if counts[0] else Fraction(0)
                recall = Fraction(counts[3], counts[2]) if counts[2] else Fraction(0)
                f1s.append(2 * precision * recall / (precision + recall) if precision + recall else Fraction(0))
                own["boundary_f1"] = float(f1s[-1])
        per_class.append({"count": given, "values": own})
    if ious:
        values["mIoU"] = float(sum(ious) / len(ious))
        values["dice"] = float(sum(dices) / len(dices))
        values["mIoU_background"] = float((sum(ious) + background) / (len(ious) + 1))
    if f1s:
        values["boundary_f1"] = float(sum(f1s) / len(f1s))
    if judged:
        values["pixel_accuracy"] = right / judged
    count = sum(each["count"] for each in per_class)
    if any(picture["given"] is not None for picture in pictures):
        count = 0
        precisions, errors = [[] for _ in OVERLAPS], []
        for picture in pictures:
            given, found = picture["given"], picture["found_objects"]
            if given is None:
                continue
            a = {n: {p for p in places(given) if given[p[0]][p[1]] == n} for n in {v for row in given for v in row} - {0}}
            b = {n: {p for p in places(found) if found[p[0]][p[1]] == n} for n in {v for row in found for v in row} - {0}}
            count += len(a)
            for i, overlap in enumerate(OVERLAPS):
                matched = sum(len(x & y) / len(x | y) > overlap for x in a.values() for y in b.values())
                if a or b:
                    precisions[i].append(Fraction(matched, len(a) + len(b) - matched))
            if a:
                errors.append(abs(Fraction(len(b) - len(a), len(a))))
        means = [sum(each) / len(each) for each in precisions if each]
        if means:
            values["mask_ap"] = float(sum(means) / len(means))
            values["mask_ap50"] = float(means[0])
        if errors:
            values["count_error"] = float(sum(errors) / len(errors))
    return {"count": count, "values": values, "per_class": per_class}


def blobs(random, height, width, labels):
    """Overlapping boxes: values among labels, numbers of their own."""
    mask = [[0] * width for _ in range(height)]
    numbers = [[0] * width for _ in range(height)]
    for n in range(random.below(6)):
        top, left = random.below(height), random.below(width)
        bottom, right, label = top + 1 + random.below(7), left + 1 + random.below(7), random.among(labels)
        for r in range(top, min(bottom, height)):
            for c in range(left, min(right, width)):
                mask[r][c], numbers[r][c] = label, n + 1
    return mask, numbers


def shaken(random, rows, shift):
    """Moved by some pixels, with holes."""
    height, width = len(rows), len(rows[0])
    dy, dx = random.below(2 * shift + 1) - shift, random.below(2 * shift + 1) - shift
    out = [[rows[r - dy][c - dx] if 0 <= r - dy < height and 0 <= c - dx < width else 0 for c in range(width)] for r in range(height)]
    return [[0 if random.uniform() < 0.05 else value for value in row] for row in out]


def renumbered(rows):
    """Numbers without gaps, in the order in which they are met."""
    known = {0: 0}
    return [[known.setdefault(value, len(known)) for value in row] for row in rows]


def semantic(random, height, width, classes):
    truth, _ = blobs(random, height, width, range(1, classes + 1))
    found = shaken(random, truth, 2)
    if random.uniform() < 0.3:
        found, _ = blobs(random, height, width, range(1, classes + 1))
    truth = [[UNJUDGED if random.uniform() < 0.03 else value for value in row] for row in truth]
    return {"truth": truth, "found": found, "given": None, "found_objects": None}


def instances(random, height, width):
    _, given = blobs(random, height, width, [1])
    found = shaken(random, given, 1)
    if random.uniform() < 0.3:  # two taken for one
        found = [[min(value, 2) for value in row] for row in found]
    given, found = renumbered(given), renumbered(found)
    one = lambda rows: [[1 if value else 0 for value in row] for row in rows]
    return {"truth": one(given), "found": one(found), "given": given, "found_objects": found}


def main():
    random = Generator(2026)
    cases = []
    for classes, count, apart in ((1, 6, False), (3, 8, False), (4, 2, False), (1, 10, True), (1, 1, True)):
        pictures = []
        for _ in range(count):
            height, width = 4 + random.below(14), 4 + random.below(14)
            pictures.append(instances(random, height, width) if apart else semantic(random, height, width, classes))
        chosen = [random.below(count) for _ in range(count)]
        cases.append({
            "classes": classes,
            "pictures": pictures,
            "figures": figures(pictures, classes),
            "chosen": chosen,
            "chosen_figures": figures([pictures[i] for i in chosen], classes),
        })
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "segment.json")
    with open(path, "w") as file:
        json.dump({"cases": cases}, file, separators=(",", ":"))
        file.write("\n")


main()
