"""The time of a selection on the server, the cost of explanations, the start and the memory."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import torch
from captum.attr import FeatureAblation

from bench.measure import DEVICE, Ratio, interleaved, spread
from mixer.model import PRESETS, Mixer
from viz.attribution import baselines
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.question import Question, complete
from viz.capture import trace
from viz.doubt import faithfulness
from viz.intervene.patching import LogitDifference, token_map
from viz.measuring import on_model_thread
from viz.microscope import Microscope
from viz.pace import finish
from viz.page.instrument import Instrument
from viz.page.session import Session

PAGE = """
import app, torch
app.malloc.keep()
scope = app.Microscope.load()
page = app.build(app.Networks(scope.source, scope))
"""
EXPLAIN = """
from viz.attribution import baselines
from viz.attribution.attribute import attribute
from viz.attribution.methods import SHAPLEY
from viz.attribution.question import Question
image = scope.input(scope.sample_picture(0))
attribute(scope.model, Question(image, baselines.baseline("black", image, scope.model.config), 3), SHAPLEY)
"""
TRAIN = """
import itertools, tempfile, torch
from pathlib import Path
from mixer import malloc
from mixer.data import Labelled
from mixer.model import Mixer, MixerConfig
from mixer.train import TrainConfig, train
malloc.keep()
data = Labelled(torch.randint(256, (50_000, 3, 32, 32), dtype=torch.uint8), torch.arange(50_000) % 10)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
with tempfile.TemporaryDirectory() as folder:
    for _ in itertools.islice(train(Mixer(MixerConfig()), data, data, TrainConfig(), Path(folder), device), 2): pass
"""
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
"""not ru_maxrss, which includes the memory of the parent process"""


def looking() -> Iterator[Ratio]:
    """Time from a selection event to the complete answer, relative to one forward pass."""
    instrument = _instrument()
    scope, first = instrument.scope, instrument.first
    image = scope.input(first.picture)[None]
    over, own = Session(first), Session(first)
    for visit, lens in ((over, "how"), (own, "tokens")):
        instrument.answer(visit, {"words": {"lens": lens}})
        _measure(instrument, visit)
    turn = count(1)

    def choose_sample() -> None:
        instrument.answer(over, {"words": {"sample": str(next(turn) % len(scope.samples))}})

    def choose_patch() -> None:
        row, col = scope.grid.position(next(turn) % scope.grid.patches)
        instrument.answer(own, {"words": {"patch": f"{row},{col}"}})

    with torch.inference_mode():
        times = interleaved(
            lambda: scope.model(image), lambda: trace(scope.model, image), choose_sample, choose_patch, rounds=21
        )
    bare, traced, sample, patch = (t.median for t in times)
    yield Ratio("traced pass against a bare one", traced / bare, 1.3, False, spread(times))
    yield Ratio("select a sample -> answer and first lens, against a bare pass", sample / bare, 10, False)
    yield Ratio("select a sample -> answer and first lens, against 0.3 s", sample / 0.3, 1, False, f"{sample:.3f} s")
    yield Ratio("select a patch -> all views of its tokens, against a bare pass", patch / bare, 5, False)
    yield Ratio("select a patch -> all views of its tokens, against 0.15 s", patch / 0.15, 1, False, f"{patch:.3f} s")


def first_looks() -> Iterator[Ratio]:
    """Time to open a lens for the first time: its immediate views, and all its measurements in the note."""
    instrument = _instrument()
    visit = Session(instrument.first)
    _measure(instrument, visit)
    begin = time.perf_counter()
    instrument.answer(visit, {"words": {"lens": "tokens"}})
    shown = time.perf_counter() - begin
    _measure(instrument, visit)
    note = f"{shown:.2f} s; {time.perf_counter() - begin:.1f} s with all neighbours"
    yield Ratio("open Patch tokens for the first time, against 0.5 s", shown / 0.5, 1, False, note)
    parts = [lens for lens in instrument.lenses if lens.group == "Token mixing"]
    first = {lens.name: _opened(_instrument(), lens.id)[0] for lens in parts}
    slowest = max(first, key=first.__getitem__)
    name = "the first view of the slowest part of Token mixing, against 1 s"
    yield Ratio(name, first[slowest], 1, False, f"{first[slowest]:.2f} s, {slowest}")


def published() -> Iterator[Ratio]:
    """Networks of the paper's sizes with random weights: time to open each lens with an empty cache."""
    for size in ("S/32", "B/16"):
        torch.manual_seed(0)
        model = Mixer(PRESETS[size])
        lenses = Instrument(Microscope(model, {}, DEVICE)).lenses
        times = {lens.name: _opened(Instrument(Microscope(model, {}, DEVICE)), lens.id) for lens in lenses}
        for i, (until, goal) in enumerate((("its first view", 5), ("the end of its automatic measurements", 60))):
            slowest = max(times, key=lambda name: times[name][i])
            seconds = times[slowest][i]
            name = f"{size}: the slowest lens until {until}, against {goal} s"
            yield Ratio(name, seconds / goal, 1, False, f"{seconds:.1f} s, {slowest}")


def _opened(instrument: Instrument, lens: str) -> tuple[float, float]:
    """Seconds until the first view of a lens, requested if necessary, and until its automatic measurements end."""
    visit, begin, seen = Session(instrument.first), time.perf_counter(), list[float]()
    names = [name for name, place in instrument.lens_of.items() if place == lens]

    def look(event: dict[str, Any]) -> None:
        updates = instrument.answer(visit, event)
        if any(updates[name]["figure"] or updates[name]["html"] for name in names if name in updates):
            seen.append(time.perf_counter() - begin)

    async def measure() -> None:
        async for update in instrument.run(visit):
            if "redraw" in update:
                await on_model_thread(look, {"redraw": True})
                if seen and quiet:  # the rest is more than was to be timed
                    await on_model_thread(look, {"stop": True})

    look({"words": {"lens": lens}})
    quiet = 0.0
    asyncio.run(measure())
    quiet = time.perf_counter() - begin
    if not seen:
        begin = time.perf_counter()
        look({"measure": names[0]})
        asyncio.run(measure())
    return seen[0], quiet


def explaining() -> Iterator[Ratio]:
    """The cost of attributions and their checks, relative to each other and to plain Captum.

    F of the image and of the baseline are computed before, as on the page.
    """
    scope = _scope()
    image, model = scope.input(scope.sample_picture(0)), scope.model
    black = baselines.baseline("black", image, model.config)
    question = finish(complete(model, Question(image, black, 0, background=scope.sample_inputs)))
    values = attribute(model, question, "Patch ablation").values
    mask = scope.grid.mask().to(DEVICE)[None, None]

    def run(*methods: str) -> Callable[[], object]:
        return lambda: [attribute(model, question, method, Settings()) for method in methods]

    def one_by_one() -> None:
        with torch.no_grad():
            plain = FeatureAblation(lambda images: question.of(model(images)))
            plain.attribute(image[None], black[None], feature_mask=mask)

    fast = [name for name, method in METHODS.items() if name != SHAPLEY and not method.block]
    times = interleaved(
        run("Integrated Gradients"),
        run(*fast),
        run("Patch ablation"),
        one_by_one,
        lambda: faithfulness.curves(model, question, values),
        rounds=7,
    )
    path, all_fast, ablation, single, curves = (t.median for t in times)
    names = f"{len(fast)} methods, {all_fast:.1f} s; {spread(times)}"
    yield Ratio("all fast methods, against Integrated Gradients of 50 steps", all_fast / path, 3, False, names)
    yield Ratio("patch ablation against Captum one patch at a time", single / ablation, 2, note=f"{ablation:.2f} s")
    yield Ratio("both curves of a method, against one ablation", curves / ablation, 4, False, f"{curves:.2f} s")


def intervening() -> Iterator[Ratio]:
    """The time of an edit by one click with its redraws, and of the whole patching map."""
    instrument = _instrument()
    scope, visit = instrument.scope, Session(instrument.first)
    instrument.answer(visit, {"words": {"lens": "whatif.edit"}})
    image, turn = scope.input(instrument.first.picture)[None], count(1)
    this, other = (scope.input(scope.sample_picture(sample)) for sample in (0, 60))

    def edit() -> None:
        row, col = scope.grid.position(next(turn) % scope.grid.patches)
        instrument.answer(visit, {"words": {"edits": f"mean:{row},{col}"}})

    def hundred() -> None:
        for _ in range(100):
            scope.model(image)

    def patch() -> None:
        list(token_map(scope.model, this, other, LogitDifference(3, 0)))

    with torch.inference_mode():
        times = interleaved(edit, hundred, patch, rounds=5)
    edited, passes, patched = (t.median for t in times)
    yield Ratio("edit a patch -> answer and bars, against 0.3 s", edited / 0.3, 1, False, f"{edited:.3f} s")
    yield Ratio("the whole map of patching, against 100 bare passes", patched / passes, 12, False, spread(times))


def cold_start() -> Iterator[Ratio]:
    """The start of a new process until the page is built, relative to the import of torch and gradio."""
    ours, bare = interleaved(lambda: _python(PAGE), lambda: _python("import torch, gradio"), rounds=5, warmup=1)
    ratio = ours.median / bare.median
    yield Ratio("cold start against importing torch and gradio", ratio, 1.3, False, f"{ours.median:.1f} s")


def memory() -> Iterator[Ratio]:
    """Peak memory of separate processes, relative to a limit."""
    for name, code, limit in (
        ("training at the default batch", TRAIN, 3.0),
        ("the app, idle", PAGE, 1.2),
        ("the app while Shapley values are computed", PAGE + EXPLAIN, 1.5),
    ):
        peak = int(_python(code + PEAK).split()[-1]) * 1024 / 1e9
        yield Ratio(f"memory of {name}, against {limit:g} GB", peak / limit, 1, False, f"{peak:.2f} GB")


def _scope() -> Microscope:
    return Microscope.load(device=DEVICE)


def _instrument() -> Instrument:
    return Instrument(_scope())


def _measure(instrument: Instrument, visit: Session) -> None:
    """Run all automatic measurements, then draw the result."""
    while todo := instrument.to_run(visit):
        for _ in todo[0].steps():
            pass
    instrument.answer(visit, {"redraw": True})


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8").stdout
