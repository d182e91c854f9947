"""Speed and memory, as ratios that are measured side by side: `python -m bench`."""

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
    """Measure, print the ratios, and write them into results.json and README.md here.

    Args:
        names: which cases; without any, all. The rows of the others stay as they were measured
    """
    wrong = [name for name in names if name not in CASES]
    if wrong:
        raise ValueError(f"there is no case {wrong[0]}: there are {', '.join(CASES)}")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"warning: the machine is not quiet (load {load:.1f}); ratios may be off", file=sys.stderr)
    torch.manual_seed(0)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if names else {}
    for name in names or CASES:
        known[name] = {"machine": machine(), "rows": []}
        for ratio in CASES[name]():
            known[name]["rows"].append(row(ratio, time.strftime("%Y-%m-%d %H:%M")))
            print(f"{ratio.name}: {ratio.ratio:.2f}  {ratio.note}", flush=True)
    found = {name: known[name] for name in CASES if name in known}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    machines = "; ".join(dict.fromkeys(case["machine"] for case in found.values()))
    rows = table(one for case in found.values() for one in case["rows"])
    made = f"Made by `make bench`, or `python -m bench CASE ...` for some of it, not by hand. {machines}."
    (HERE / "README.md").write_text(
        f"# Measured\n\n{made}\n\n{rows}\n\n![time against size]({PLOT.name})\n", encoding="utf-8"
    )


if __name__ == "__main__":
    with readable_errors():
        tyro.cli(main)
