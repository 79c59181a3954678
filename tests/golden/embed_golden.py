#!/usr/bin/env python3
"""Golden numbers of the embedding metrics, computed independently in plain Python: writes embed.json beside this file.

Definitions: docs/embed.md. Pairs are counted one by one, thresholds are tried one by one, neighbours are sorted.
Run: python3 tests/golden/embed_golden.py
"""
import json
import math
import os
import struct
from fractions import Fraction

from generator import Generator

MOST_GENUINE = 200


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def every_so_many(items, most):
    """`most` of the items, evenly."""
    n = len(items)
    return items if n <= most else [x for i, x in enumerate(items) if i * most // n != (i + 1) * most // n]


def order_of_appearance(labels):
    seen = []
    for label in labels:
        if label not in seen:
            seen.append(label)
    return seen


def comparisons(pictures, identities):
    genuine, impostor = [], []
    for identity in range(max(identities) + 1):
        own = [i for i, each in enumerate(identities) if each == identity]
        genuine += every_so_many([(i, j) for x, i in enumerate(own) for j in own[x + 1:]], MOST_GENUINE)
    for i in range(len(pictures)):
        for j in range(i + 1, len(pictures)):
            if identities[i] != identities[j]:
                impostor.append((i, j))
    return genuine, impostor


def figures(case, chosen):
    pictures = case["pictures"]
    seen = order_of_appearance([p["label"] for p in pictures])
    identities = [seen.index(p["label"]) for p in pictures]
    weight = [chosen.count(k) for k in range(len(seen))]
    score = {}

    def alike(i, j):
        if (i, j) not in score:
            score[(i, j)] = score[(j, i)] = dot(pictures[i]["embedding"], pictures[j]["embedding"])
        return score[(i, j)]

    def pair_weight(i, j):
        return weight[identities[i]] * (1 if identities[i] == identities[j] else weight[identities[j]])

    genuine, impostor = comparisons(pictures, identities)
    g = [(alike(i, j), pair_weight(i, j)) for i, j in genuine if pair_weight(i, j)]
    m = [(alike(i, j), pair_weight(i, j)) for i, j in impostor if pair_weight(i, j)]
    all_g, all_m = sum(w for _, w in g), sum(w for _, w in m)
    values = {}

    def tar(threshold):
        return Fraction(sum(w for s, w in g if s >= threshold), all_g)

    def fmr(threshold):
        return Fraction(sum(w for s, w in m if s >= threshold), all_m)

    def lowest_with(share):
        fitting = [t for t in sorted({s for s, _ in g + m}) if fmr(t) <= share]
        return fitting[0] if fitting else math.inf

    if all_g and all_m:
        wins = Fraction(0)
        for s, w in g:
            wins += w * (sum(v for t, v in m if t < s) + Fraction(sum(v for t, v in m if t == s), 2))
        values["roc_auc"] = wins / (all_g * all_m)
        before = (Fraction(0), Fraction(1))
        for threshold in sorted({s for s, _ in g + m}, reverse=True):
            now = (fmr(threshold), 1 - tar(threshold))
            if now[0] >= now[1]:
                # The point between both where the two are equal.
                part = (before[1] - before[0]) / ((now[0] - before[0]) + (before[1] - now[1]))
                values["equal_error_rate"] = before[0] + part * (now[0] - before[0])
                break
            before = now
        for name, share in (("tar_at_fmr_1e-2", Fraction(1, 100)), ("tar_at_fmr_1e-3", Fraction(1, 1000))):
            if len(impostor) * share >= 30:
                values[name] = tar(lowest_with(share))

    ranks = {}
    for i in range(len(pictures)):
        others = [j for j in range(len(pictures)) if j != i]
        own = [alike(i, j) for j in others if identities[j] == identities[i]]
        if own:
            ranks[i] = 1 + sum(alike(i, j) >= max(own) for j in others if identities[j] != identities[i])

    def share_within(rank, group=None):
        counted = [(weight[identities[i]], r) for i, r in ranks.items() if group is None or pictures[i]["group"] == group]
        total = sum(w for w, _ in counted)
        return Fraction(sum(w for w, r in counted if r <= rank), total) if total else None

    if share_within(1) is not None:
        values["rank1"], values["rank5"] = share_within(1), share_within(5)

    # Pairs with folds.
    if case["pairs"]:
        protocol = [tuple(p) for p in case["pairs"]]
        if len({fold for _, _, fold in protocol}) == 1:
            protocol = [(i, j, at % 10) for at, (i, j, _) in enumerate(protocol)]
    else:
        parts, protocol = min(10, max(2, len(seen) // 3)), []
        for part in range(parts):
            kinds = [[(i, j) for i, j in kind if identities[i] % parts == part == identities[j] % parts] for kind in (genuine, impostor)]
            least = min(len(kind) for kind in kinds)
            for kind in kinds:
                protocol += [(i, j, part) for i, j in (every_so_many(kind, least) if least else [])]
    counted = [(alike(i, j), identities[i] == identities[j], fold, pair_weight(i, j)) for i, j, fold in protocol if pair_weight(i, j)]
    folds = sorted({fold for _, _, fold, _ in counted})
    if len(folds) > 1:
        scores = sorted({s for s, _, _, _ in counted}, reverse=True)
        thresholds = [scores[0] + 1] + [(a + b) / 2 for a, b in zip(scores, scores[1:])] + [scores[-1] - 1]

        def right(threshold, those):
            return sum(w for s, same, fold, w in counted if fold in those and (s >= threshold) == same)

        accuracies, taken = [], []
        for fold in folds:
            others = [f for f in folds if f != fold]
            most = max(right(t, others) for t in thresholds)
            best = next(t for t in thresholds if right(t, others) == most)
            taken.append(best)
            accuracies.append(Fraction(right(best, [fold]), sum(w for _, _, f, w in counted if f == fold)))
        mean = sum(accuracies) / len(folds)
        values["verification_accuracy"] = mean
        values["verification_error"] = math.sqrt(sum((a - mean) ** 2 for a in accuracies) / (len(folds) - 1) / len(folds))
        values["threshold"] = sum(taken) / len(folds)

    groups = []
    if all_g and all_m:
        threshold = lowest_with(Fraction(1, 100))
        for group in sorted({p["group"] for p in pictures} - {""}):
            inside = [(i, j) for i, j in genuine + impostor if pictures[i]["group"] == group == pictures[j]["group"]]
            count = sum(weight[k] for k, p in zip(identities, pictures) if p["group"] == group)
            row = {}
            if count:
                if share_within(1, group) is not None:
                    row["rank1"] = share_within(1, group)
                for name, same in (("tar", True), ("fmr", False)):
                    of = [(alike(i, j), pair_weight(i, j)) for i, j in inside if (identities[i] == identities[j]) == same]
                    total = sum(w for _, w in of)
                    if total:
                        row[name] = Fraction(sum(w for s, w in of if s >= threshold), total)
            groups.append({"count": count, "values": {n: float(v) for n, v in row.items()}})
    return {"pictures": sum(weight[k] for k in identities), "count": all_g, "values": {n: float(v) for n, v in values.items()}, "per_class": groups}


def unit(random, width, coarse):
    if coarse:  # products are multiples of a quarter: many are equal
        places = []
        while len(places) < 4:
            place = random.below(width)
            if place not in places:
                places.append(place)
        return [random.among((0.5, -0.5)) if i in places else 0.0 for i in range(width)]
    raw = [random.uniform() - 0.5 for _ in range(width)]
    length = math.sqrt(dot(raw, raw))
    return [single(x / length) for x in raw]


def drawn(seed, identities, most_each, width, coarse=False, groups=1, folds=0, noise=0.5):
    random = Generator(seed)
    pictures = []
    for identity in range(identities):
        centre = unit(random, width, coarse)
        for _ in range(1 + random.below(most_each)):
            embedding = unit(random, width, coarse)
            if coarse:
                embedding = centre if random.uniform() < 0.6 else embedding
            else:
                mixed = [c + noise * e for c, e in zip(centre, embedding)]
                length = math.sqrt(dot(mixed, mixed))
                embedding = [single(x / length) for x in mixed]
            group = "" if groups < 2 else "abc"[random.below(groups)]
            pictures.append({"label": 3 * identity % 97, "group": group, "embedding": embedding})
    for i in range(len(pictures) - 1, 0, -1):  # not identity by identity
        j = random.below(i + 1)
        pictures[i], pictures[j] = pictures[j], pictures[i]
    pairs = []
    for _ in range(folds * 12):
        i, j = random.below(len(pictures)), random.below(len(pictures))
        if random.uniform() < 0.5:
            same = [k for k, p in enumerate(pictures) if p["label"] == pictures[i]["label"]]
            j = random.among(same)
        if i != j:
            pairs.append([i, j, 1 + random.below(folds)])
    count = len({p["label"] for p in pictures})
    return {"pictures": pictures, "pairs": pairs, "chosen": [random.below(count) for _ in range(count)]}


CASES = {
    "many ties": drawn(1, 9, 5, 6, coarse=True),
    "many ties, folds, groups": drawn(2, 8, 6, 6, coarse=True, groups=3, folds=4),
    "one fold": drawn(3, 10, 4, 8, folds=1),
    "enough impostors for a rate": drawn(4, 40, 4, 8, groups=2, noise=0.8),
    "an identity with more pairs than count": drawn(5, 3, 40, 4, noise=1.2),
    "no two pictures alike": drawn(6, 12, 1, 8),
}


def main():
    lines = []
    for name, case in CASES.items():
        count = len({p["label"] for p in case["pictures"]})
        case = dict(case, name=name, figures=figures(case, list(range(count))), figures_of_chosen=figures(case, case["chosen"]))
        lines.append(json.dumps(case, separators=(",", ":")))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embed.json")
    with open(path, "w", encoding="utf-8") as out:
        out.write('{"cases":[\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
