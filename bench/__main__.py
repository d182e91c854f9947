"""`python -m bench`: run all cases, print the ratios, and write `results.json` and the table in `README.md`."""

import json
import os
import platform
import sys
import time
from pathlib import Path

import torch

from bench.browser import visiting
from bench.crowd import crowd
from bench.measure import DEVICE, Ratio
from bench.microscope import cold_start, explaining, first_looks, intervening, looking, memory
from bench.network import PLOT, inference, scaling, training

HERE = Path(__file__).parent
CASES = (
    inference,
    first_looks,
    looking,
    explaining,
    intervening,
    scaling,
    training,
    cold_start,
    memory,
    visiting,
    crowd,
)


def machine() -> str:
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def table(ratios: list[Ratio]) -> str:
    rows = ["| what | ratio | goal | met | |", "|---|---|---|---|---|"]
    for r in ratios:
        goal = "" if r.goal is None else f"{'at least' if r.more_is_better else 'at most'} {r.goal:g}"
        met = {None: "", True: "yes", False: "no"}[r.met]
        rows.append(f"| {r.name} | {r.ratio:.2f} | {goal} | {met} | {r.note} |")
    return "\n".join(rows)


def main() -> None:
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the machine is not quiet (load {load:.1f}); ratios may be off", file=sys.stderr)
    torch.manual_seed(0)
    ratios: list[Ratio] = []
    for case in CASES:
        for ratio in case():
            ratios.append(ratio)
            print(f"{ratio.name}: {ratio.ratio:.2f}  {ratio.note}", flush=True)
    where = f"{machine()}, {time.strftime('%Y-%m-%d')}, load {load:.1f} at the start"
    results = {r.name: {"ratio": round(r.ratio, 3), "goal": r.goal, "met": r.met} for r in ratios}
    (HERE / "results.json").write_text(json.dumps({"machine": where, "ratios": results}, indent=1) + "\n")
    made = f"Made by `make bench`, not by hand. {where}."
    (HERE / "README.md").write_text(f"# Measured\n\n{made}\n\n{table(ratios)}\n\n![time against size]({PLOT.name})\n")


if __name__ == "__main__":
    main()
