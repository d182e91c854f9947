"""What is measured. Each case gives one or more ratios, with its goal where it has one."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from bench.measure import interleaved
from bench.peers import lucidrains_mixer, plain_mixer, timm_mixer
from mixer.checkpoint import DEFAULT, load
from mixer.model import Mixer, MixerConfig
from viz.capture import trace
from viz.microscope import Microscope
from viz.panels import overview, specimen

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MICRO_BATCHES = (16, 32, 64)


@dataclass(frozen=True)
class Ratio:
    name: str
    ratio: float
    goal: float | None = None
    more_is_better: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal


def training() -> Iterator[Ratio]:
    """Images per second of forward, backward and AdamW, the best micro-batch for each."""
    ours = {batch: _step(Mixer(MixerConfig()), batch, bf16=True) for batch in MICRO_BATCHES}
    timms = {batch: _step(timm_mixer(), batch, bf16=True) for batch in MICRO_BATCHES}
    plains = {batch: _step(plain_mixer(), batch, bf16=False) for batch in MICRO_BATCHES}
    size = 4096
    a, b = (torch.randn(size, size, device=DEVICE).bfloat16() for _ in range(2))
    timings = interleaved(*ours.values(), *timms.values(), *plains.values(), lambda: a @ b, rounds=7)
    rates = [batch / t.median for batch, t in zip((*ours, *timms, *plains), timings, strict=False)]
    mine, timm, plain = (max(rates[i : i + len(MICRO_BATCHES)]) for i in range(0, 9, 3))
    spread = f"{mine:.0f} images/s; spread {max(t.spread for t in timings):.0%}"
    yield Ratio("training step against timm, both bf16", mine / timm, 1.15, note=spread)
    yield Ratio(
        "training step against the seed's plain form in float32", mine / plain, 3.0, note=f"{plain:.0f} images/s"
    )
    peak = 2 * size**3 / timings[-1].median
    used = 3 * 2 * 404e6 * mine
    note = f"peak {peak / 1e9:.0f} GFLOP/s; the token MLP's thin products and GELU take the rest"
    yield Ratio("training step, share of the bf16 matrix-product peak", used / peak, 0.45, note=note)


def inference() -> Iterator[Ratio]:
    """Forward passes in float32."""
    ours, timm, lucid = (m.to(DEVICE).eval() for m in (Mixer(MixerConfig()), timm_mixer(), lucidrains_mixer()))
    for batch, goal in ((1, 1.0), (256, 1.2)):
        images = torch.randn(batch, 3, 32, 32, device=DEVICE)
        narrow = torch.randn(batch, 3, 32, 16, device=DEVICE)
        with torch.inference_mode():
            times = interleaved(lambda x=images: ours(x), lambda x=images: timm(x), lambda x=narrow: lucid(x))
        spread = f"spread {max(t.spread for t in times):.0%}"
        yield Ratio(f"inference, batch {batch}, against timm", times[1].median / times[0].median, goal, note=spread)
        yield Ratio(f"inference, batch {batch}, against lucidrains", times[2].median / times[0].median, note=spread)


def looking() -> Iterator[Ratio]:
    """From a choice to the figures, without the browser, against one bare pass of the network."""
    scope = _scope()
    shown = scope.first()
    image = scope.input(shown.picture)[None]
    lens = _drawing(overview, scope)
    turn = iter(range(10**9))

    def choose_sample() -> None:
        selection = scope.show_sample(shown, next(turn) % len(scope.samples))
        specimen.Specimen([], scope).draw(selection)
        lens(selection)

    def choose_patch() -> None:
        lens(replace(shown, patch=next(turn) % scope.grid.patches))

    with torch.inference_mode():
        bare, traced, sample, patch = interleaved(
            lambda: scope.model(image), lambda: trace(scope.model, image), choose_sample, choose_patch, rounds=21
        )
    yield Ratio("traced pass against a bare one", traced.median / bare.median, 1.3, False)
    yield Ratio("choose a sample -> overview", sample.median / bare.median, 10, False, f"{sample.median:.3f} s")
    yield Ratio("choose a patch -> overview", patch.median / bare.median, 5, False, f"{patch.median:.3f} s")


def cold_start() -> Iterator[Ratio]:
    """A new process until the page could be served, against only importing torch and gradio."""
    start = "import app, torch; from mixer.checkpoint import *; from mixer.model import Mixer;"
    start += "app.build(app.Microscope(*load(DEFAULT, Mixer), torch.device('cpu')))"

    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    ours, bare = interleaved(run(start), run("import torch, gradio"), rounds=5, warmup=1)
    yield Ratio(
        "cold start against importing torch and gradio", ours.median / bare.median, 1.3, False, f"{ours.median:.1f} s"
    )


def scaling() -> Iterator[Ratio]:
    """Time per image against size: how far from proportional."""
    times = {}
    for batch in (64, 512):
        times[batch] = _forward_time(MixerConfig(), batch) / batch
    yield Ratio("time per image, batch 512 against 64", times[512] / times[64], 1.2, False)
    per_block = {blocks: _forward_time(MixerConfig(num_blocks=blocks), 64) / blocks for blocks in (4, 12, 24)}
    yield Ratio("time per block, 24 blocks against 4", per_block[24] / per_block[4], 1.2, False)
    per_token = {p: _forward_time(MixerConfig(patch_size=p), 64) for p in ((4, 8), (2, 2))}
    yield Ratio(
        "time per token, 256 tokens against 32", per_token[2, 2] / per_token[4, 8] / 8, note="the token MLP grows too"
    )


CASES = (inference, looking, scaling, training, cold_start)


def _scope() -> Microscope:
    return Microscope(*load(DEFAULT, Mixer), DEVICE)


def _drawing(module: object, scope: Microscope) -> Callable:
    import gradio as gr

    with gr.Blocks():
        return module.build(scope).draw  # type: ignore[attr-defined]


def _forward_time(config: MixerConfig, batch: int) -> float:
    model, images = Mixer(config).to(DEVICE).eval(), torch.randn(batch, 3, 32, 32, device=DEVICE)
    with torch.inference_mode():
        return interleaved(lambda: model(images), rounds=5)[0].median


def _step(model: nn.Module, batch: int, bf16: bool) -> Callable[[], None]:
    model.to(DEVICE).train()
    optimizer = torch.optim.AdamW(model.parameters())
    images, labels = torch.randn(batch, 3, 32, 32, device=DEVICE), torch.arange(batch, device=DEVICE) % 10

    def step() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bf16):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
