#!/usr/bin/env python3
"""Golden numbers for tasks/ctc.* and tasks/read_metrics.*: writes read.json beside itself.

Probabilities of texts are sums over every way through the columns, written out one by one: nothing here knows the forward recursion, prefixes or
beams. Figures are counted from their definitions (docs/read.md). Plain Python, no packages.

    python3 tests/golden/read_golden.py
"""
import itertools
import json
import os

from generator import Generator

SYMBOLS = "AB1"
BLANK = len(SYMBOLS)


def collapse(way):
    """Repetitions go, then blanks."""
    return "".join(SYMBOLS[k] for k, _ in itertools.groupby(way) if k != BLANK)


def columns_of(generator, count, power):
    columns = []
    for _ in range(count):
        raw = [generator.uniform() ** power for _ in range(BLANK + 1)]
        total = sum(raw)
        columns.append([round(each / total, 6) for each in raw])
    for column in columns:  # so that the rounded numbers sum to one
        column[-1] = round(1 - sum(column[:-1]), 6)
    return columns


def every_text(columns):
    texts = {}
    for way in itertools.product(range(BLANK + 1), repeat=len(columns)):
        probability = 1.0
        for t, k in enumerate(way):
            probability *= columns[t][k]
        text = collapse(way)
        texts[text] = texts.get(text, 0.0) + probability
    return texts


def fits(text, form):
    """A letter, 9 digit, * either; forms of this script have no more."""
    if len(text) != len(form):
        return False
    return all({"A": c in "AB", "9": c == "1", "*": True}[f] for c, f in zip(text, form))


def ctc_cases():
    generator = Generator(11)
    cases = []
    for count, power in [(1, 1), (2, 1), (3, 2), (4, 1), (5, 3), (6, 1), (6, 4)]:
        columns = columns_of(generator, count, power)
        texts = every_text(columns)
        ranked = sorted(texts.items(), key=lambda item: -item[1])
        best_way = [max(range(BLANK + 1), key=lambda k: column[k]) for column in columns]
        best = ranked[0][0]
        shares = []
        for i in range(len(best)):
            rivals = [best[:i] + other + best[i + 1:] for other in SYMBOLS]
            shares.append(texts.get(best, 0) / sum(texts.get(rival, 0) for rival in rivals))
        formed = [(t, p) for t, p in ranked if fits(t, "A9") or fits(t, "A*A")]
        cases.append({
            "columns": columns, "texts": dict(ranked), "ranked": [list(item) for item in ranked[:5]], "greedy": collapse(best_way),
            "characters": shares, "formats": ["A9", "A*A"], "formed": [list(item) for item in formed[:5]],
        })
    return cases


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(last + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def figures_of(pictures):
    count = len(pictures)
    characters = sum(len(each["truth"]) for each in pictures)
    values = {
        "text_accuracy": sum(each["readings"][:1] and each["readings"][0][0] == each["truth"] or False for each in pictures) / count,
        "top5": sum(any(text == each["truth"] for text, _ in each["readings"][:5]) for each in pictures) / count,
        "character_accuracy": 1 - sum(distance(each["truth"], each["readings"][0][0] if each["readings"] else "") for each in pictures) / characters,
        "confidence": sum(each["readings"][0][1] if each["readings"] else 0 for each in pictures) / count,
    }
    error = 0.0
    for low in range(10):
        inside = [(each["readings"][0][1] if each["readings"] else 0.0,
                   bool(each["readings"]) and each["readings"][0][0] == each["truth"]) for each in pictures]
        inside = [(sure, right) for sure, right in inside if min(9, int(sure * 10)) == low]
        if inside:
            error += abs(sum(right for _, right in inside) - sum(sure for sure, _ in inside)) / count
    values["calibration_error"] = error
    return {"count": characters, "values": values}


def figure_cases():
    generator = Generator(5)
    cases = []
    for size in (1, 7, 60):
        pictures = []
        for _ in range(size):
            truth = "".join(generator.among("ABC123京") for _ in range(1 + generator.below(7)))
            readings = []
            for _ in range(generator.below(6)):
                text = list(truth)
                for _ in range(generator.below(3)):
                    at = generator.below(len(text) + 1)
                    kind = generator.below(3)
                    if kind == 0:
                        text.insert(at, generator.among("ABC123京"))
                    elif at < len(text) and kind == 1:
                        text[at] = generator.among("ABC123京")
                    elif at < len(text):
                        del text[at]
                readings.append(["".join(text), round(generator.uniform(), 6)])
            readings.sort(key=lambda item: -item[1])
            pictures.append({"truth": truth, "readings": readings})
        cases.append({"pictures": pictures, "figures": figures_of(pictures)})
    return cases


if __name__ == "__main__":
    document = {"symbols": SYMBOLS, "ctc": ctc_cases(), "figures": figure_cases()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "read.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.write("\n")
