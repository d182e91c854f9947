"""Every number of a step equals what the network computed, and what float64 makes of its weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.checkpoint import DEFAULT, load
from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent
from viz import forward_pass
from viz.capture import Trace, trace


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, pre_head_norm=True))


@pytest.fixture
def image(tiny: MixerConfig) -> torch.Tensor:
    return torch.randn(3, *tiny.image_size, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def seen(model: Mixer, image: torch.Tensor) -> Trace:
    return trace(model, image[None])


def exact(model: Mixer, image: torch.Tensor) -> list[torch.Tensor]:
    """The table at every depth, by equation 1 of the paper in float64, written with einsum."""
    grid, f64 = model.config.grid, torch.float64
    weights = {name: parameter.detach().to(f64) for name, parameter in model.named_parameters()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + model.config.norm_eps).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x / 2 * (1 + torch.erf(x / math.sqrt(2)))

    tokens = grid.to_tokens(image[None])[0].to(f64)
    x = torch.einsum("cv,pv->pc", weights["stem.weight"], tokens) + weights["stem.bias"]
    tables = [x]
    for b in range(len(model.blocks)):
        name = f"blocks.{b}"
        w1, b1 = (weights[f"{name}.token_mixing.fc1.{kind}"] for kind in ("weight", "bias"))
        w2, b2 = (weights[f"{name}.token_mixing.fc2.{kind}"] for kind in ("weight", "bias"))
        hidden = gelu(torch.einsum("up,pc->uc", w1, norm(x, f"{name}.norm1")) + b1[:, None])
        x = x + torch.einsum("pu,uc->pc", w2, hidden) + b2[:, None]
        tables.append(x)
        w3, b3 = (weights[f"{name}.channel_mixing.fc1.{kind}"] for kind in ("weight", "bias"))
        w4, b4 = (weights[f"{name}.channel_mixing.fc2.{kind}"] for kind in ("weight", "bias"))
        hidden = gelu(torch.einsum("uc,pc->pu", w3, norm(x, f"{name}.norm2")) + b3)
        x = x + torch.einsum("cu,pu->pc", w4, hidden) + b4
        tables.append(x)
    return tables


@pytest.mark.parametrize("sublayer", ["a", "b"])
@pytest.mark.parametrize(("block", "patch", "channel", "unit"), [(0, 3, 7, 12), (2, 14, 10, 0)])
def test_a_number_goes_through_a_sublayer_as_in_the_network(
    model: Mixer,
    image: torch.Tensor,
    seen: Trace,
    block: int,
    sublayer: forward_pass.Sublayer,
    patch: int,
    channel: int,
    unit: int,
) -> None:
    found = forward_pass.mixing(model, seen, block, sublayer, patch, channel, unit)
    before = seen.depths[2 * block + (sublayer == "b"), 0]
    after = seen.depths[2 * block + 1 + (sublayer == "b"), 0, patch, channel]
    hidden = seen.token_hidden[block][0, channel] if sublayer == "a" else seen.channel_hidden[block][0, patch]
    np.testing.assert_array_equal(found.line, before[:, channel] if sublayer == "a" else before[patch])
    assert found.before == before[patch, channel]
    assert found.after == after
    assert found.hidden == hidden[unit]
    np.testing.assert_array_equal(found.write.values, hidden)
    # the sums, which the trace does not hold, make what it holds
    gelu = found.read.total / 2 * (1 + math.erf(found.read.total / math.sqrt(2)))
    assert found.hidden == pytest.approx(gelu, abs=1e-5)
    assert found.before + found.write.total == pytest.approx(float(after), abs=1e-5)
    assert found.writes[found.place] == found.write.weights[unit]
    # and what float64 makes of the image
    tables = exact(model, image)
    depth = 2 * block + (sublayer == "b")
    assert found.before == pytest.approx(float(tables[depth][patch, channel]), abs=1e-4)
    assert found.after == pytest.approx(float(tables[depth + 1][patch, channel]), abs=1e-4)


def test_the_stem_and_the_head_make_their_numbers(model: Mixer, image: torch.Tensor, seen: Trace) -> None:
    found = forward_pass.stem_sum(model, image, 5, 8)
    assert len(found.values) == model.config.grid.values
    rows, cols = model.config.grid.pixels(5)
    assert found.values[4] == image[1, rows.start, cols.start + 1]  # pixel row, pixel column, colour
    assert found.total == pytest.approx(float(seen.stem[0, 5, 8]), abs=1e-5)
    logit = forward_pass.head_sum(model, seen, 6)
    np.testing.assert_array_equal(logit.values, seen.pooled[0])
    assert logit.total == pytest.approx(float(seen.logits[0, 6]), abs=1e-5)


def test_a_sum_by_hand() -> None:
    found = forward_pass.Sum(np.array([1.0, -2.0, 0.5]), np.array([3.0, 0.25, 4.0]), -0.5)
    assert found.products.tolist() == [3.0, -0.5, 2.0]
    assert found.total == 4.0


def test_strength_is_what_is_added_against_what_was_there() -> None:
    """A stem of length 5 (3, 4), to which a block adds a tenth and then as much again as there is."""
    stem = torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])
    halfway = stem * 1.1
    seen = Trace(
        stem, (halfway,), (2 * halfway,), (torch.zeros(1, 2, 1),), (torch.zeros(1, 2, 1),), stem[:, 0], stem[:, 0]
    )
    np.testing.assert_allclose(forward_pass.strengths(seen), [0.1, 1.0], rtol=1e-6)
    nothing = replace(seen, stem=0 * stem, after_token_mixing=(0 * stem,), after_channel_mixing=(0 * stem,))
    assert forward_pass.strengths(nothing).tolist() == [0, 0]


def test_the_strongest_are_those_that_add_most(model: Mixer, seen: Trace) -> None:
    unit, block, patch = 4, 1, 6
    active = seen.token_hidden[block][0, :, unit].abs()
    assert active[forward_pass.strongest_channel(seen, block, unit)] == active.max()
    layer = model.block_at(block).channel_mixing
    added = seen.channel_hidden[block][0, patch][:, None] * layer.fc2.weight.mT  # units channels
    assert forward_pass.strongest_unit(model, seen, block, patch) == int(added.norm(dim=1).argmax())


def test_sharing_saves_what_it_says() -> None:
    """The shipped network: 32 patches, 512 units, 512 channels."""
    model, _ = load(DEFAULT, Mixer)
    assert forward_pass.shared_weights(model) == (32 * 512 + 512 + 512 * 32 + 32, 512 * 33_312)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block": 3}, "block 3 does not exist: there are 3"),
        ({"patch": 16}, "patch 16"),
        ({"channel": -1}, "channel -1"),
        ({"unit": 13}, "unit 13"),
    ],
)
def test_what_does_not_exist_is_refused(model: Mixer, seen: Trace, change: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        forward_pass.mixing(model, seen, **{"block": 1, "sublayer": "a", "patch": 1, "channel": 1, "unit": 1, **change})


def test_several_images_are_refused(model: Mixer, image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="the trace holds 2"):
        forward_pass.strengths(trace(model, image.expand(2, -1, -1, -1)))


@pytest.mark.parametrize("sublayer", ["a", "b"])
def test_a_layer_norm_makes_the_number_that_the_units_read(
    model: Mixer, seen: Trace, sublayer: forward_pass.Sublayer
) -> None:
    found = forward_pass.mixing(model, seen, 1, sublayer, 5, 8, 2)
    norm = forward_pass.layer_norm(model, seen, 1, sublayer, 5, 8)
    assert norm.of(found.before) == pytest.approx(float(found.read.values[found.place]), abs=1e-5)
    token = forward_pass.table_before(seen, 1, sublayer)[5].double()
    assert norm.mean == pytest.approx(float(token.mean()))
    assert norm.deviation == pytest.approx(float(token.std(correction=0)), rel=1e-3)
