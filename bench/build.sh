#!/usr/bin/env bash
# Build times without ccache: clean build of everything, and an incremental build after touching one file that does not know LibTorch.
#   bench/build.sh WORK_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
export CCACHE_DISABLE=1
begin=$SECONDS
cmake -G Ninja -B "$1/build" >/dev/null
cmake --build "$1/build" -j "$(nproc)" >/dev/null
echo "clean build, tests included: $((SECONDS - begin)) s"
for file in src/tasks/classify.cpp src/app/cli/predict.cpp src/runtime/session.cpp; do
  touch "$file"
  begin=$(date +%s.%N)
  cmake --build "$1/build" -j "$(nproc)" --target sightline >/dev/null
  echo "incremental, $file: $(echo "$(date +%s.%N) - $begin" | bc) s"
done
