#!/usr/bin/env bash
# The server's overhead and a rival server, on one machine with their clients, in turns; what is stated are medians over the rounds.
#   bench/serve.sh BIN_DIR WORK [ONNX [SECONDS [ROUNDS [PICTURES]]]]
#   bench/serve.sh build/release/bin /var/tmp/serve ../shared/data/onnx/mobilenetv2_100_224_ptq.onnx 8 5 ../shared/data/cls_trashnet_waste
# 16 clients: tensors as raw bytes against the runtime without a server, asked by 16 threads or with batches of 16, whichever is faster; JPEG files against Fastify with sharp and
# onnxruntime-node (`scripts/install-deps rival`), same model, same precision, same threads. Then one client, for latencies.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; onnx="$(realpath "${3:-../shared/data/onnx/mobilenetv2_100_224_ptq.onnx}")"
seconds="${4:-8}"; rounds="${5:-5}"; set="$(realpath "${6:-../shared/data/cls_trashnet_waste}")"
mkdir -p "$work/models"
ln -sf "$onnx" "$work/models/net.onnx"
mapfile -t pictures < <(find "$set" -name '*.jpg' | sort | awk 'NR % 50 == 1' | head -32)
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
scripts/install-deps rival

"$bin/sightline" serve --models "$work/models" --port 0 --json >"$work/ours.json" 2>"$work/ours.log" &
ours=$!
node bench/serve_rival.js build/rivals/node_modules "$onnx" "$(nproc)" >"$work/rival.port" 2>"$work/rival.log" &
rival=$!
trap 'kill $ours $rival 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -s "$work/ours.json" ] && [ -s "$work/rival.port" ] && break; sleep 0.1; done
port="$(/usr/bin/python3 -c "import json; print(json.load(open('$work/ours.json'))['port'])")"; rival_port="$(cat "$work/rival.port")"

load() { "$bin/sightline-serve-load" "$@"; }
load pictures "$port" /v1/models/net:predict 4 2 "${pictures[@]}" >/dev/null      # both warm
load pictures "$rival_port" /predict 4 2 "${pictures[@]}" >/dev/null
: >"$work/rounds.jsonl"
for _ in $(seq "$rounds"); do
  for clients in 16 1; do
    echo "{\"what\": \"own $clients\", \"got\": $(load own "$onnx" $clients "$seconds" 1)}"
    [ $clients = 1 ] || echo "{\"what\": \"own, batches of 16\", \"got\": $(load own "$onnx" 1 "$seconds" 16)}"
    echo "{\"what\": \"tensors $clients\", \"got\": $(load infer "$port" net "$onnx" $clients "$seconds")}"
    echo "{\"what\": \"pictures $clients\", \"got\": $(load pictures "$port" /v1/models/net:predict $clients "$seconds" "${pictures[@]}")}"
    echo "{\"what\": \"rival $clients\", \"got\": $(load pictures "$rival_port" /predict $clients "$seconds" "${pictures[@]}")}"
  done
done >>"$work/rounds.jsonl"
/usr/bin/python3 - "$work/rounds.jsonl" <<'PYTHON'
import json, statistics, sys
rounds = {}
for line in map(json.loads, open(sys.argv[1])):
    rounds.setdefault(line["what"], []).append(line["got"])
median = lambda what, key: statistics.median(one[key] for one in rounds[what])
for what in rounds:
    failed = sum(one["failed"] for one in rounds[what])
    print(f"{what:18} {median(what, 'per_s'):8.1f} a second   p50 {median(what, 'p50_ms'):7.2f} ms   p99 {median(what, 'p99_ms'):7.2f} ms   failed {failed}")
for clients in ("16", "1"):
    own = [one["per_s"] for one in rounds["own " + clients]]
    if clients == "16":  # whichever way the runtime is faster
        own = [max(a, b["per_s"]) for a, b in zip(own, rounds["own, batches of 16"])]
    share = statistics.median(a["per_s"] / b for a, b in zip(rounds["tensors " + clients], own))
    ahead = statistics.median(a["per_s"] / b["per_s"] for a, b in zip(rounds["pictures " + clients], rounds["rival " + clients]))
    print(f"{clients} clients: tensors at {100 * share:.1f}% of the runtime's own; pictures {ahead:.2f} x the rival")
PYTHON
