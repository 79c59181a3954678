#!/usr/bin/env python3
"""Golden numbers of the classify metrics, computed independently in plain Python: writes classify.json beside this file.

Definitions: docs/evaluation.md. Run: python3 tests/golden/classify_golden.py
"""
import json
import math
import os
import struct

from generator import Generator


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def softmax(row):
    largest = max(row)
    weights = [math.exp(v - largest) for v in row]
    total = math.fsum(weights)
    return [w / total for w in weights]


def drawn(seed, samples, classes, sharpness, skill, labels_used):
    """Rows of probabilities (exact f32 values) and labels; the given class gets `skill` more logit."""
    random = Generator(seed)
    rows, labels = [], []
    for _ in range(samples):
        label = labels_used[int(random.uniform() * len(labels_used))]
        logits = [sharpness * 2 * (random.uniform() - 0.5) for _ in range(classes)]
        logits[label] += skill
        rows.append([f32(p) for p in softmax(logits)])
        labels.append(label)
    return rows, labels


def order(row):
    return sorted(range(len(row)), key=lambda k: (-row[k], k))


def log_loss(rows, labels):
    losses = []
    for row, label in zip(rows, labels):
        clipped = [min(max(p, 1e-15), 1 - 1e-15) for p in row]
        losses.append(-math.log(clipped[label] / math.fsum(clipped)))
    return math.fsum(losses) / len(losses)


def reliability(rows, labels, bins=15):
    members = [[] for _ in range(bins)]
    for row, label in zip(rows, labels):
        best = order(row)[0]
        b = 0
        while b < bins - 1 and row[best] * bins > b + 1:
            b += 1
        members[b].append((row[best], best == label))
    result = []
    for each in members:
        n = len(each)
        result.append({
            "count": n,
            "confidence": math.fsum(c for c, _ in each) / n if n else 0.0,
            "accuracy": sum(hit for _, hit in each) / n if n else 0.0,
        })
    return result


def tempered(row, temperature):
    return softmax([math.log(max(p, 2.0**-149)) / temperature for p in row])


def temperature(rows, labels):
    """Golden-section search over log T."""
    def loss(log_t):
        return math.fsum(-math.log(max(tempered(r, math.exp(log_t))[y], 1e-300)) for r, y in zip(rows, labels))
    low, high = math.log(0.05), math.log(20)
    if abs(loss(low) - loss(high)) < 1e-9:
        return 1.0  # no temperature is better than another
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > 1e-10:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def figures(rows, labels):
    n, classes = len(rows), len(rows[0])
    confusion = [[0] * classes for _ in range(classes)]
    for row, label in zip(rows, labels):
        confusion[label][order(row)[0]] += 1
    per_class = []
    for k in range(classes):
        hits, given = confusion[k][k], sum(confusion[k])
        predicted = sum(confusion[j][k] for j in range(classes))
        precision = hits / predicted if predicted else 0.0
        recall = hits / given if given else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        per_class.append({"name": "class %d" % k, "count": given, "precision": precision, "recall": recall, "f1": f1})
    present = [c for c in per_class if c["count"]]
    return {
        "count": n,
        "top1": sum(order(r)[0] == y for r, y in zip(rows, labels)) / n,
        "top5": sum(y in order(r)[:5] for r, y in zip(rows, labels)) / n,
        "macro_f1": math.fsum(c["f1"] for c in present) / len(present),
        "balanced_accuracy": math.fsum(c["recall"] for c in present) / len(present),
        "log_loss": log_loss(rows, labels),
        "calibration_error": math.fsum(b["count"] / n * abs(b["accuracy"] - b["confidence"]) for b in reliability(rows, labels)),
        "per_class": per_class,
        "confusion": confusion,
    }


def case(name, rows, labels):
    halved = [tempered(r, 2.5) for r in rows]
    return {
        "name": name, "probabilities": rows, "labels": labels,
        "figures": figures(rows, labels), "reliability": reliability(rows, labels),
        "temperature": temperature(rows, labels),
        "at_temperature_2_5": halved,
    }


def main():
    cases = []
    rows, labels = drawn(1, 80, 7, 4.0, 2.0, [0, 1, 2, 3, 5, 6])
    cases.append(case("seven classes, one without samples", rows, labels))
    cases.append(case("three classes, too timid", *drawn(2, 50, 3, 0.5, 0.6, [0, 1, 2])))
    cases.append(case("two classes, too sure", *drawn(3, 60, 2, 12.0, 8.0, [0, 1])))
    ties = [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]]
    cases.append(case("equals, zeros and ones", ties, [1, 0, 2, 3, 3]))
    eight = [[f32(1 / 8)] * 8] * 8
    cases.append(case("eight equal classes", eight, list(range(8))))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "classify.json")
    with open(path, "w") as out:
        json.dump({"made_by": "tests/golden/classify_golden.py", "cases": cases}, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main()
