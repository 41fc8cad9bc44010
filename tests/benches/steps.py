#!/usr/bin/env python3
"""Milliseconds of a training step by part, as a table: steps.py NAME=MODEL_FOLDER ...

Reads metrics.jsonl of runs such as

    train -s DATA -m A --coarse_iterations 50 --fine_iterations 60 --batch_size 4 --max_points 24000 \
        --set log_every=10 --set densify_until=0

and takes the median of each part over the last fine steps that were logged; the first ones compile shaders.
"""
import json
import statistics
import sys
from pathlib import Path

PARTS = ["load", "density", "field_forward", "activate", "raster_forward", "device", "loss", "raster_backward",
         "field_backward", "optimizer"]
# Fine steps left out, which make shaders and fill pools.
SKIPPED = 2


def medians(folder: str) -> dict[str, float]:
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    fine = [line for line in lines if line["kind"] == "train_fine"]
    fine = fine[SKIPPED:] or fine
    if not fine:
        sys.exit(f"{folder}: no fine step was logged")
    return {part: statistics.median(line[f"ms_{part}"] for line in fine) for part in PARTS}


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    columns = [(pair.split("=", 1)[0], medians(pair.split("=", 1)[1])) for pair in sys.argv[1:]]
    print("| ms a step | " + " | ".join(name for name, _ in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for part in PARTS:
        print(f"| {part} | " + " | ".join(f"{found[part]:.2f}" for _, found in columns) + " |")
    print("| sum | " + " | ".join(f"{sum(found.values()):.2f}" for _, found in columns) + " |")


if __name__ == "__main__":
    main()
