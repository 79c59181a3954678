"""Start-up: `sightline --version` and a help page against the start of a Python tool that imports torch. Median of 20, alternately.
   bench/startup.py BIN_DIR"""
import statistics
import subprocess
import sys
import time

binary = sys.argv[1] + "/sightline"
commands = {
    "sightline --version": [binary, "--version"],
    "sightline predict --help": [binary, "predict", "--help"],
    "sightline-train --version": [sys.argv[1] + "/sightline-train", "--version"],
    "rival: python3 -c 'import torch'": ["/usr/bin/python3", "-c", "import torch"],
}
times = {name: [] for name in commands}
for turn in range(21):
    for name, command in commands.items():
        if "rival" in name and turn % 4:
            continue
        begin = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        if turn:
            times[name].append(time.perf_counter() - begin)
for name, values in times.items():
    print(f"{name:36s} {1000 * statistics.median(values):8.1f} ms  (least {1000 * min(values):.1f})")
