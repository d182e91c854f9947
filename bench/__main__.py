"""Benchmarks of speed and memory, as ratios of interleaved measurements: `python -m bench`."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import tyro

from bench.browser import visiting
from bench.crowd import crowd
from bench.measure import DEVICE, Ratio
from bench.microscope import cold_start, explaining, first_looks, intervening, looking, memory, published
from bench.network import PLOT, inference, scaling, training
from mixer import malloc
from mixer.errors import readable_errors

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
CASES: dict[str, Callable[[], Iterator[Ratio]]] = {
    case.__name__: case
    for case in (
        *(inference, first_looks, looking, explaining, intervening, published, scaling, training),
        *(cold_start, memory, visiting, crowd),
    )
}


def machine() -> str:
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def row(ratio: Ratio, when: str) -> dict[str, Any]:
    return asdict(ratio) | {"ratio": round(ratio.ratio, 3), "met": ratio.met, "measured": when}


def table(rows: Iterable[dict[str, Any]]) -> str:
    lines = ["| what | ratio | goal | met | | measured |", "|---|---|---|---|---|---|"]
    for r in rows:
        goal = "" if r["goal"] is None else f"{'at least' if r['more_is_better'] else 'at most'} {r['goal']:g}"
        met = {None: "", True: "yes", False: "no"}[r["met"]]
        lines.append(f"| {r['name']} | {r['ratio']:.2f} | {goal} | {met} | {r['note']} | {r['measured']} |")
    return "\n".join(lines)


def main(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Measure, print the ratios, and write them into results.json and README.md of this folder.

    Args:
        names: which cases; default: all. The rows of other cases are not changed
    """
    wrong = [name for name in names if name not in CASES]
    if wrong:
        raise ValueError(f"the case must be one of {', '.join(CASES)}, not {wrong[0]}")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"warning: the machine is busy (load {load:.1f}); ratios may be wrong", file=sys.stderr)
    torch.manual_seed(0)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if names else {}
    for name in names or CASES:
        results[name] = {"machine": machine(), "rows": []}
        for ratio in CASES[name]():
            results[name]["rows"].append(row(ratio, time.strftime("%Y-%m-%d %H:%M")))
            print(f"{ratio.name}: {ratio.ratio:.2f}  {ratio.note}", flush=True)
    found = {name: results[name] for name in CASES if name in results}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    machines = "; ".join(dict.fromkeys(case["machine"] for case in found.values()))
    rows = table(one for case in found.values() for one in case["rows"])
    made = f"Written by `make bench`, or `python -m bench CASE ...` for single cases. {machines}."
    (HERE / "README.md").write_text(
        f"# Measured\n\n{made}\n\n{rows}\n\n![time against size]({PLOT.name})\n", encoding="utf-8"
    )


if __name__ == "__main__":
    malloc.keep()  # as the app
    with readable_errors():
        tyro.cli(main)
