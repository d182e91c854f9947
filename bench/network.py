"""The network against other implementations: training, inference, and scaling with size."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from bench.measure import DEVICE, Ratio, interleaved, spread, wait_for_device
from bench.peers import lucidrains_mixer, plain_mixer, timm_mixer
from mixer import malloc
from mixer.evaluate import at_once
from mixer.model import Mixer, MixerConfig
from mixer.precision import autocast, native_bf16

MICRO_BATCHES = (16, 32, 64)
MULTIPLY_ADDS = 404e6
"""per image in a forward pass; a training step needs three times as many"""
PLOT = Path(__file__).with_name("scaling.png")


def seed_mixer() -> Mixer:
    return Mixer(MixerConfig())


def training() -> Iterator[Ratio]:
    """Images per second of forward, backward and AdamW with the best micro-batch; each network in its own process.

    Ours uses the memory setting of `python main.py` (`mixer.malloc`), the others their defaults.
    """
    contestants = {
        "ours": (seed_mixer, True, malloc.keep),
        "timm": (timm_mixer, True, None),
        "timm, memory kept": (timm_mixer, True, malloc.keep),
        "plain": (plain_mixer, False, None),
    }
    size, number = 4096, torch.bfloat16 if native_bf16(DEVICE) else torch.float32
    a, b = (torch.randn(size, size, device=DEVICE).to(number) for _ in range(2))
    with ExitStack() as stack:
        calls: list[Callable[[], object]] = [lambda: a @ b]
        for make, mixed, initializer in contestants.values():
            worker = stack.enter_context(get_context("spawn").Pool(1, initializer))
            calls += [partial(worker.apply, _train_once, (make, batch, mixed)) for batch in MICRO_BATCHES]
        product, *timings = interleaved(*calls, rounds=7)
    rates = iter(batch / t.median for batch, t in zip(MICRO_BATCHES * len(contestants), timings, strict=True))
    best = {name: max(islice(rates, len(MICRO_BATCHES))) for name in contestants}
    ours = best["ours"]
    note = f"{ours:.0f} images/s; {spread(timings)}"
    yield Ratio("training step against timm, in the same number format", ours / best["timm"], 1.15, note=note)
    note = "timm with our memory setting"
    yield Ratio("training step against timm, memory kept", ours / best["timm, memory kept"], note=note)
    note = f"{best['plain']:.0f} images/s"
    yield Ratio("training step against the seed's plain form in float32", ours / best["plain"], 3.0, note=note)
    peak = 2 * size**3 / product.median
    note = f"peak {peak / 1e9:.0f} GFLOP/s; the token MLP's thin products and GELU take the rest"
    yield Ratio("training step, share of the peak of products", 6 * MULTIPLY_ADDS * ours / peak, 0.45, note=note)


def inference() -> Iterator[Ratio]:
    """Forward passes in float32: ours in the batches of `mixer.evaluate`, the others all at once."""
    ours, timm, lucid = (m.to(DEVICE).eval() for m in (seed_mixer(), timm_mixer(), lucidrains_mixer()))
    for batch, goal in ((1, 1.0), (256, 1.2)):
        images = torch.randn(batch, 3, 32, 32, device=DEVICE)
        narrow = torch.randn(batch, 3, 32, 16, device=DEVICE)
        with torch.inference_mode():
            parts = images.split(at_once(DEVICE))
            times = interleaved(
                lambda x=parts: [ours(part) for part in x], lambda x=images: timm(x), lambda x=narrow: lucid(x)
            )
        own, timms, lucids = (t.median for t in times)
        note = f"ours {len(parts[0])} at once; {spread(times)}"
        yield Ratio(f"inference, batch {batch}, against timm", timms / own, goal, note=note)
        yield Ratio(f"inference, batch {batch}, against lucidrains", lucids / own, note=note)


def scaling() -> Iterator[Ratio]:
    """Time per image for several sizes, in the batches of `mixer.evaluate`, and its plot."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    batches = {n: _forward_time(MixerConfig(), n) / n for n in (1, 8, 64, 512)}
    blocks = {n: _forward_time(MixerConfig(num_blocks=n), 64) / 64 for n in (4, 12, 24)}
    patches = {32: (4, 8), 64: (4, 4), 256: (2, 2)}
    tokens = {n: _forward_time(MixerConfig(patch_size=patch), 64) / 64 for n, patch in patches.items()}
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
    for axis, label, times in zip(axes, ("images", "blocks", "tokens"), (batches, blocks, tokens), strict=True):
        counts, milliseconds = list(times), [1000 * t for t in times.values()]
        if label != "images":
            proportional = [milliseconds[0] * n / counts[0] for n in counts]
            axis.loglog(counts, proportional, ":", color="gray", label="proportional")
            axis.legend()
        axis.loglog(counts, milliseconds, "o-")
        axis.set(xlabel=label, xticks=counts, xticklabels=counts)
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.margins(0.1, 0.1)
    axes[0].set_ylabel("ms per image")
    figure.savefig(PLOT, dpi=80)
    yield Ratio("time per image, 512 images against 64", batches[512] / batches[64], 1.2, False)
    yield Ratio("time per block, 24 blocks against 4", blocks[24] / blocks[4] / 6, 1.2, False)
    yield Ratio("time per token, 256 tokens against 32", tokens[256] / tokens[32] / 8, 1.2, False)


def _forward_time(config: MixerConfig, count: int) -> float:
    model, images = Mixer(config).to(DEVICE).eval(), torch.randn(count, 3, 32, 32, device=DEVICE)
    parts = images.split(at_once(DEVICE))
    with torch.inference_mode():
        return interleaved(lambda: [model(part) for part in parts], rounds=5)[0].median


def _train_once(make: Callable[[], nn.Module], batch: int, mixed: bool) -> None:
    _step(make, batch, mixed)()
    wait_for_device()


@cache
def _step(make: Callable[[], nn.Module], batch: int, mixed: bool) -> Callable[[], None]:
    model = make().to(DEVICE).train()
    optimizer = torch.optim.AdamW(model.parameters())
    images, labels = torch.randn(batch, 3, 32, 32, device=DEVICE), torch.arange(batch, device=DEVICE) % 10

    def step() -> None:
        with autocast(DEVICE) if mixed else nullcontext():
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
