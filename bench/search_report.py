"""The table of bench/search.sh: reads what the three strategies left in WORK and compares halving with each of the others picture by picture.
   bench/search_report.py WORK MINUTES SET...
"against" columns are halving's accuracy minus the other's in points, with a paired 95 % interval (bootstrap over test pictures) and McNemar's exact test; "worse" and
"better" count the sets on which that test excludes chance (p < 0.05)."""
import csv
import json
import os
import sys

from time_to_model_report import paired

STRATEGIES = ("default", "random", "halving")


def read(work, name, strategy):
    folder = f"{work}/searched/{name}-{strategy}"
    outcome = json.load(open(f"{folder}/outcome.json", encoding="utf-8"))
    figures = {step["step"]: step["figures"] for step in outcome["steps"]}
    root = os.path.join(os.path.realpath(work), "pool", name) + "/"
    answers = None
    if os.path.exists(f"{folder}/answers.jsonl"):
        with open(f"{folder}/answers.jsonl", encoding="utf-8") as lines:
            answers = {each["file"][len(root):]: each["classes"][0]["name"] for each in map(json.loads, lines)}
    return answers, figures, outcome, open(f"{folder}/load", encoding="utf-8").read().strip()


def main(work, minutes, names):
    worse, better, late = {"default": [], "random": []}, {"default": [], "random": []}, []
    for name in names:
        truth = {each["path"]: each["label"] for each in csv.DictReader(open(f"{work}/tables/{name}.csv", encoding="utf-8")) if each["split"] == "test"}
        paths = sorted(truth)
        labels = [truth[path] for path in paths]
        found = {strategy: read(work, name, strategy) for strategy in STRATEGIES}
        print(f"{name}, {len(paths)} test pictures")
        for strategy in STRATEGIES:
            answers, figures, outcome, load = found[strategy]
            search, evaluate = figures["search"], figures["evaluate"]
            if search["search_seconds"] > 1.05 * 60 * minutes:
                late.append(f"{name} {strategy} {search['search_seconds']:.1f} s")
            top1 = "refused: " + outcome["sentence"] if answers is None else f"top1 {sum(answers[path] == truth[path] for path in paths) / len(paths):.4f}"
            print(f"  {strategy:8} {top1}, validation {search['validation']:.4f}, expected {search['expected']:.4f}, {search['judged']} judged, {search['refused']} broke a limit, "
                  f"{search['search_seconds']:.1f} s, p95 {evaluate['p95_ms']:.2f} ms, {evaluate['size_bytes'] / 1e6:.2f} MB, load {load}: {search['chosen']}")
        for other in ("default", "random"):
            if found["halving"][0] is None or found[other][0] is None:
                continue
            difference, low, _, high, p = paired([found["halving"][0][path] for path in paths], [found[other][0][path] for path in paths], labels)
            print(f"  halving against {other}: {100 * difference:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f}), McNemar p {p:.3f}")
            if p < 0.05:
                (better if difference > 0 else worse)[other].append(name)
    for other in ("default", "random"):
        print(f"against {other}: significantly better on {len(better[other])} ({', '.join(better[other]) or 'none'}), worse on {len(worse[other])} ({', '.join(worse[other]) or 'none'}) of {len(names)}")
    print("budget overrun by more than 5 %: " + (", ".join(late) or "none"))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
