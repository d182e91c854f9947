"""The time between a click and the picture, without the browser; what explanations cost; start and memory."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import gradio as gr
import torch
from captum.attr import FeatureAblation
from viz.panels.neighbours import nearest

from bench.measure import DEVICE, Ratio, interleaved, spread
from mixer.checkpoint import DEFAULT, load
from mixer.model import Mixer
from viz.attribution import baselines
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question, score
from viz.capture import trace
from viz.doubt import faithfulness
from viz.microscope import Microscope
from viz.panels import mixing, overview, specimen, tokens

PAGE = """
import app, torch
from mixer.checkpoint import DEFAULT, load
from mixer.model import Mixer
scope = app.Microscope(*load(DEFAULT, Mixer), torch.device("cuda" if torch.cuda.is_available() else "cpu"))
page = app.build(scope)
"""
SHAPLEY = """
from viz.attribution import baselines
from viz.attribution.attribute import attribute
from viz.attribution.methods import SHAPLEY
from viz.attribution.question import Question
image = scope.input(scope.first().picture)
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
"""not ru_maxrss, which begins with what the bench itself had"""


def looking() -> Iterator[Ratio]:
    """From a choice to all figures of a panel, against one bare pass of the network."""
    scope = _scope()
    shown = scope.first()
    image = scope.input(shown.picture)[None]
    scope.bank(shown.depth)  # read once for a depth, with progress
    turn = count()
    with gr.Blocks():
        left = specimen.Specimen([], scope)
        over, all_tokens = (module.build(scope, gr.State(shown)) for module in (overview, tokens))

    def choose_sample() -> None:
        selection = scope.show_sample(shown, next(turn) % len(scope.samples))
        left.draw(selection)
        over.draw(selection)

    def choose_patch() -> None:
        selection = replace(shown, patch=next(turn) % scope.grid.patches)
        all_tokens.draw(selection, tokens.JOINT)
        nearest(scope, selection, gr.Progress())

    with torch.inference_mode():
        times = interleaved(
            lambda: scope.model(image), lambda: trace(scope.model, image), choose_sample, choose_patch, rounds=21
        )
    bare, traced, sample, patch = (t.median for t in times)
    yield Ratio("traced pass against a bare one", traced / bare, 1.3, False, spread(times))
    yield Ratio("choose a sample -> answer and overview, against a bare pass", sample / bare, 10, False)
    yield Ratio("choose a sample -> answer and overview, against 0.3 s", sample / 0.3, 1, False, f"{sample:.3f} s")
    yield Ratio("choose a patch -> all views of its tokens, against a bare pass", patch / bare, 5, False)
    yield Ratio("choose a patch -> all views of its tokens, against 0.15 s", patch / 0.15, 1, False, f"{patch:.3f} s")


def first_looks() -> Iterator[Ratio]:
    """Opening a panel that nobody opened before: all that it shows unasked."""
    scope = _scope()
    shown = scope.first()
    with gr.Blocks():
        state = gr.State(shown)
        panels = {module.NAME: module.build(scope, state) for module in (tokens, *mixing.PARTS)}
    defaults = {tokens.NAME: (tokens.JOINT,)}
    seconds = {}
    for name, lens in panels.items():
        begin = time.perf_counter()
        lens.draw(shown, *defaults.get(name, ()))
        seconds[name] = time.perf_counter() - begin
    own = seconds.pop(tokens.NAME)
    slowest = max(seconds, key=lambda name: seconds[name])
    yield Ratio("open Patch tokens for the first time, against 0.5 s", own / 0.5, 1, False, f"{own:.2f} s")
    note = f"{seconds[slowest]:.2f} s, {slowest}"
    yield Ratio(
        "open the slowest part of Token mixing for the first time, against 1 s", seconds[slowest], 1, False, note
    )


def explaining() -> Iterator[Ratio]:
    """What attributions and their checks cost, against each other and against Captum used plainly."""
    scope = _scope()
    image, model = scope.input(scope.first().picture), scope.model
    black = baselines.baseline("black", image, model.config)
    question = Question(image, black, 0, background=scope.sample_inputs)
    values = attribute(model, question, "Patch ablation").values
    mask = scope.grid.mask().to(DEVICE)[None, None]

    def run(*methods: str) -> Callable[[], object]:
        return lambda: [attribute(model, question, method, Settings()) for method in methods]

    def one_by_one() -> None:
        with torch.no_grad():
            FeatureAblation(score(model, question)).attribute(image[None], black[None], feature_mask=mask)

    fast = [name for name, method in METHODS.items() if method.compute and not method.block]
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
    yield Ratio("patch ablation against Captum one patch at a time", single / ablation, 4, note=f"{ablation:.2f} s")
    yield Ratio("both curves of a method, against one ablation", curves / ablation, 4, False, f"{curves:.2f} s")


def cold_start() -> Iterator[Ratio]:
    """A new process until the page could be served, against only importing torch and gradio."""
    ours, bare = interleaved(lambda: _python(PAGE), lambda: _python("import torch, gradio"), rounds=5, warmup=1)
    ratio = ours.median / bare.median
    yield Ratio("cold start against importing torch and gradio", ratio, 1.3, False, f"{ours.median:.1f} s")


def memory() -> Iterator[Ratio]:
    """Peak of a process of its own, against its limit."""
    for name, code, limit in (
        ("training at the default batch", TRAIN, 3.0),
        ("the app, idle", PAGE, 1.2),
        ("the app while Shapley values are computed", PAGE + SHAPLEY, 1.5),
    ):
        peak = int(_python(code + PEAK).split()[-1]) * 1024 / 1e9
        yield Ratio(f"memory of {name}, against {limit:g} GB", peak / limit, 1, False, f"{peak:.2f} GB")


def _scope() -> Microscope:
    return Microscope(*load(DEFAULT, Mixer), DEVICE)


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
