"""The table of bench/time_to_model.sh: reads what both sides left in WORK and compares them picture by picture.
   bench/time_to_model_report.py WORK SET...
"difference" is our accuracy minus the rival's in points, with a paired 95 % interval (bootstrap over test pictures) and McNemar's exact test; "within a point" says
whether the paired one-sided 95 % bound lies above minus one point (shown), the interval lies below it (refuted), or neither (open)."""
import csv
import json
import math
import os
import random
import statistics
import sys

DRAWS, SEED, MARGIN = 4000, 7, 0.01


def binomial_two_sided(k, n):
    """Probability of a split at least as uneven, when each side is equally likely."""
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(min(k, n - k) + 1))
    return min(1.0, 2 * tail / 2 ** n)


def paired(ours, rival, truth):
    """Mean difference, its 2.5, 5 and 97.5 % bootstrap quantiles, and McNemar's p."""
    better = sum(o == t != r for o, r, t in zip(ours, rival, truth))
    worse = sum(r == t != o for o, r, t in zip(ours, rival, truth))
    count, chance = len(truth), random.Random(SEED)
    # Only the pictures on which they differ matter: their numbers in a resample are multinomial.
    values = [1] * better + [-1] * worse + [0] * (count - better - worse)
    means = sorted(sum(chance.choices(values, k=count)) / count for _ in range(DRAWS))
    at = lambda share: means[min(DRAWS - 1, int(share * DRAWS))]
    return (better - worse) / count, at(0.025), at(0.05), at(0.975), binomial_two_sided(better, better + worse)


def read_ours(work, name):
    folder = f"{work}/ours/{name}"
    root = os.path.join(os.path.realpath(work), "pool", name) + "/"
    with open(f"{folder}/answers.jsonl", encoding="utf-8") as lines:
        answers = {each["file"][len(root):]: each["classes"][0]["name"] for each in map(json.loads, lines)}
    return answers, statistics.median(map(float, open(f"{folder}/seconds")))


def main(work, names):
    row = "%-10s %6s %8s %8s %7s %9s %8s %8s %8s %9s %16s %9s %-8s"
    print(row % ("set", "test", "ours s", "rival s", "ratio", "w. tuning", "ours", "rival", "probe", "differ", "95 % interval", "McNemar p", "within a point"))
    ratios, above_probe, beats_probe, missing = {}, [], [], []
    for name in names:
        result = f"{work}/rival/{name}.json"
        if not os.path.exists(f"{work}/ours/{name}/answers.jsonl"):
            missing.append(f"{name} (ours)")
            continue
        answers, seconds = read_ours(work, name)
        truth = {each["path"]: each["label"] for each in csv.DictReader(open(f"{work}/tables/{name}.csv", encoding="utf-8")) if each["split"] == "test"}
        paths = sorted(truth)
        if set(answers) != set(paths):
            sys.exit(f"time to model: {name}: our answers are not those to the test pictures")
        ours = [answers[path] for path in paths]
        labels = [truth[path] for path in paths]
        top1 = sum(a == b for a, b in zip(ours, labels)) / len(labels)
        if not os.path.exists(result):
            missing.append(f"{name} (rival; ours {top1:.4f} in {seconds:.1f} s)")
            continue
        rival = json.load(open(result, encoding="utf-8"))
        if set(rival["answers"]) != set(paths):
            sys.exit(f"time to model: {name}: the rival's answers are to other pictures; remove {result}")
        difference, low, one_sided, high, p = paired(ours, [rival["answers"][path] for path in paths], labels)
        verdict = "shown" if one_sided > -MARGIN else "refuted" if high < -MARGIN else "open"
        ratios[name] = rival["seconds"] / seconds
        above_probe.append((name, top1 - rival["probe"]["test"]))
        beats_probe.append((name, rival["test"] - rival["probe"]["test"]))
        print(row % (name, len(paths), f"{seconds:.1f}", f"{rival['seconds']:.1f}", f"{ratios[name]:.1f}", f"{rival['seconds_with_tuning'] / seconds:.1f}", f"{top1:.4f}", f"{rival['test']:.4f}",
                     f"{rival['probe']['test']:.4f}", f"{100 * difference:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}", f"{p:.3f}", verdict))
    if ratios:
        mean = math.exp(statistics.mean(map(math.log, ratios.values())))
        worst = min(ratios, key=ratios.get)
        print(f"time: geometric mean {mean:.1f} (wanted 10), worst {ratios[worst]:.1f} on {worst} (wanted 3); the rival's time is that of the candidate it chose alone")
        print("ours against its probe, points: " + ", ".join(f"{name} {100 * value:+.2f}" for name, value in above_probe))
        print("the rival against its probe, points: " + ", ".join(f"{name} {100 * value:+.2f}" for name, value in beats_probe))
    if missing:
        print("not there yet: " + ", ".join(missing))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), sys.argv[2:])
