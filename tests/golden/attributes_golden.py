#!/usr/bin/env python3
"""Golden numbers of the attributes' metrics, computed independently in plain Python: writes attributes.json beside this file.

Definitions: docs/attributes.md. Thresholds are tried one by one, shares are fractions.
Run: python3 tests/golden/attributes_golden.py
"""
import json
import os
from fractions import Fraction

from generator import Generator

LABELS = ["damaged", "colour: blue", "colour: green", "colour: red", "wet", "never"]
QUESTIONS = [[0], [1, 2, 3], [4], [5]]


def average_precision(pictures, label):
    known = [(p["scores"][label], p["truth"][label]) for p in pictures if p["truth"][label] != "?"]
    positives = sum(t == "1" for _, t in known)
    if not positives:
        return None
    total, before = Fraction(0), Fraction(0)
    for threshold in sorted({s for s, _ in known}, reverse=True):
        found = sum(s >= threshold and t == "1" for s, t in known)
        said = sum(s >= threshold for s, _ in known)
        total += (Fraction(found, positives) - before) * Fraction(found, said)
        before = Fraction(found, positives)
    return total


def f1(pictures, label):
    known = [(p["said"][label] == "1", p["truth"][label] == "1") for p in pictures if p["truth"][label] != "?"]
    positives = sum(t for _, t in known)
    if not positives:
        return None
    found = sum(s and t for s, t in known)
    said = sum(s for s, _ in known)
    if not found:
        return Fraction(0)
    precision, recall = Fraction(found, said), Fraction(found, positives)
    return 2 * precision * recall / (precision + recall)


def accuracy(pictures):
    shares = []
    for question in QUESTIONS:
        right = known = 0
        for p in pictures:
            asked = [l for l in question if p["truth"][l] != "?"]
            if not asked:
                continue
            known += 1
            right += all(p["truth"][l] == p["said"][l] for l in asked)
        if known:
            shares.append(Fraction(right, known))
    return sum(shares) / len(shares) if shares else None


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def figures(pictures):
    values = {
        "mAP": mean([average_precision(pictures, l) for l in range(len(LABELS))]),
        "macro_f1": mean([f1(pictures, l) for l in range(len(LABELS))]),
        "accuracy": accuracy(pictures),
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def picture(g):
    """Scores in eighths, so that ties abound; a third of the questions is unknown."""
    scores, said, truth = [0.0] * 6, ["0"] * 6, ["?"] * 6
    for question in QUESTIONS:
        known = g.below(3) > 0
        if len(question) == 1:
            label = question[0]
            scores[label] = g.below(9) / 8
            said[label] = "1" if scores[label] >= 0.5 else "0"
            if known:
                truth[label] = "1" if label != 5 and g.below(8) / 8 < scores[label] else "0"
            continue
        best, right = g.among(question), g.among(question)
        for label in question:
            scores[label] = 0.5 if label == best else 0.25
            said[label] = "1" if label == best else "0"
            if known:
                truth[label] = "1" if label == right else "0"
    return {"scores": scores, "said": "".join(said), "truth": "".join(truth)}


cases = []
g = Generator(20261127)
for count in (1, 2, 3, 7, 40):
    pictures = [picture(g) for _ in range(count)]
    chosen = [g.below(count) for _ in range(count)]
    cases.append({"pictures": pictures, "figures": figures(pictures), "chosen": chosen, "of_chosen": figures([pictures[i] for i in chosen])})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "attributes.json"), "w") as file:
    json.dump({"labels": LABELS, "cases": cases}, file, indent=1)
    file.write("\n")
