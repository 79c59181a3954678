#!/usr/bin/env bash
# Thousands of tasks from one command: generates them (sightline-fleet-tasks), builds them from a clean workspace, once more with nothing changed,
# 30 of them alone in another clean workspace, whose digests must be equal, and runs 20 packages' model.onnx with ONNX Runtime beside ours.
#   bench/fleet.sh BIN_DIR OUT [COUNT]      OUT: a scratch folder; tasks that are there already (same COUNT) are kept, workspaces are not
#   bench/fleet.sh build/release/bin /var/tmp/fleet 3000
# ALONE and LOADED (environment) change how many are rebuilt and loaded. Exit code 1 when a demand failed, a digest differed, a second run had
# something to do, or ONNX Runtime could not run a package or differed by more than 1e-3.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; out="$(realpath -m "$2")"; count="${3:-3000}"
alone="${ALONE:-30}" loaded="${LOADED:-20}"
[ -n "${SIGHTLINE_RIVALS:-}" ] || { scripts/install-deps rival; export SIGHTLINE_RIVALS="$PWD/build/rivals"; }

if [ -f "$out/fleet.yaml" ]; then
  [ "$(ls "$out"/tables/*/*.csv | wc -l)" = "$count" ] || { echo "fleet: $out holds another number of tasks; remove it" >&2; exit 2; }
else
  "$bin/sightline-fleet-tasks" "$out" "$count"
fi
rm -rf "$out/workspace" "$out/alone" "$out/loaded"
mkdir -p "$out/loaded"

fleet() { # NAME WORKSPACE [OPTION...]: OUT/NAME.json, and in OUT/NAME.seconds wall, user and system time; a demand that failed is told by the summary
  local name="$1" workspace="$2" TIMEFORMAT='%R %U %S'; shift 2
  { time "$bin/sightline" fleet "$out/fleet.yaml" --workspace "$workspace" --quiet --json "$@" >"$out/$name.json" 2>"$out/$name.log"; } 2>"$out/$name.seconds" || true
}
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
fleet first "$out/workspace"
du -s --block-size=1 "$out/workspace" | cut -f1 >"$out/bytes"
fleet second "$out/workspace"

names="$(/usr/bin/python3 -c '
import json, random, sys
rows = [row["name"] for row in json.load(open(sys.argv[1]))["rows"] if row["outcome"] == "released"]
print(",".join(random.Random(7).sample(rows, min(int(sys.argv[2]), len(rows)))))' "$out/first.json" "$alone")"
fleet alone "$out/alone" --only "$names"

for name in $(tr , '\n' <<<"$names" | head -n "$loaded"); do
  model="$(ls -d "$out/workspace/releases/$name"/*/1/model.onnx | tail -1)"
  "$bin/sightline" bench "$model" --rival --runs 10 --seconds 0.2 --batch 1 --json >"$out/loaded/$name.json" || true
done

/usr/bin/python3 - "$out" <<'PYTHON'
import collections, glob, json, os, statistics, sys
out = sys.argv[1]
read = lambda name: json.load(open(f"{out}/{name}.json"))
times = {name: list(map(float, open(f"{out}/{name}.seconds").read().split())) for name in ("first", "second", "alone")}
took = {name: each[0] for name, each in times.items()}
first, second, alone = read("first"), read("second"), read("alone")
for document in (first, second, alone):
    if "error" in document:
        sys.exit("fleet: " + document["error"]["message"])

by_source = collections.defaultdict(list)
for row in first["rows"]:
    by_source[row["group"]].append(row)
print("%-10s %6s %9s %7s %8s %9s %s" % ("source", "tasks", "released", "failed", "chance?", "balanced", "(median; chance?: the 95 % interval does not exclude guessing)"))
for source, rows in sorted(by_source.items()):
    done = [row for row in rows if row["outcome"] != "failed"]
    print("%-10s %6d %9d %7d %8d %9s" % (source, len(rows), sum(row["outcome"] == "released" for row in rows), len(rows) - len(done), sum(not row["excludes_chance"] for row in done),
                                         f"{statistics.median(row['balanced_accuracy'] for row in done):.3f}" if done else "-"))

package = {row["name"]: row["package"] for row in first["rows"]}
equal = [row["name"] for row in alone["rows"] if row["outcome"] == "released" and row["package"] == package[row["name"]]]
differences, broken = [], []
for file in sorted(glob.glob(f"{out}/loaded/*.json")):
    try:
        differences.append(json.load(open(file))["batches"][0]["difference"])
    except (ValueError, KeyError):
        broken.append(os.path.basename(file)[:-5])
model = glob.glob(f"{out}/workspace/releases/*/*/1/model.onnx")
rows = [("demands", len(first["rows"])), ("released, refused, failed", f"{first['released']}, {first['refused']}, {first['failed']}"),
        ("from a clean workspace", f"{took['first']:.1f} s ({took['first'] / 60:.1f} min; {times['first'][1] + times['first'][2]:.1f} s of CPU time, so that other work shows)"),
        ("pictures", f"{first['pictures']}, features computed {first['features_computed']}, reused {first['features_reused']}"),
        ("workspace", f"{int(open(out + '/bytes').read()) / 1e6:.1f} MB"),
        ("model.onnx", f"{statistics.median(map(os.path.getsize, model)) / 1e3:.1f} kB (median)" if model else "-"),
        ("second run", f"{took['second']:.1f} s, {second['ran']} had something to do"),
        ("rebuilt alone", f"{len(alone['rows'])} in {took['alone']:.1f} s, {len(equal)} with the same digest"),
        ("do not exclude chance", f"{first['not_above_chance']} of {len(first['rows']) - first['failed']}"),
        ("ONNX Runtime runs", f"{len(differences)} of {len(differences) + len(broken)}, largest difference {max(differences, default=float('nan')):.1e}")]
for name, value in rows:
    print(f"{name:<26}{value}")
for name in [row["name"] for row in alone["rows"] if row["name"] not in equal]:
    print(f"another digest alone: {name}")
for name in broken:
    print(f"ONNX Runtime could not run: {name}")
for row in [row for row in first["rows"] if row["outcome"] == "failed"][:10]:
    print(f"failed: {row['name']}: {row['sentence']}")
good = not first["failed"] and not second["ran"] and len(equal) == len(alone["rows"]) and not broken and max(differences, default=0) <= 1e-3
sys.exit(0 if good else 1)
PYTHON
