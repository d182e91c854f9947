"""A search ends with a set that does what it says; a proof leaves no smaller one."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent, straight
from viz.intervene.search import Found, Goal, greedy, margins, most_passes, prove, smaller_sets
from viz.pace import finish

SMALL = MixerConfig((8, 12), (4, 4), num_classes=3, num_blocks=2, hidden_dim=7, tokens_mlp_dim=5, channels_mlp_dim=9)
"""2 x 3 patches: all 64 sets can be tried"""


def pictures(config: MixerConfig, seed: int) -> Tensor:
    return torch.randn(2, 3, *config.image_size, generator=torch.Generator().manual_seed(seed))


def answer(model: Mixer, image: Tensor) -> int:
    with torch.no_grad():
        return int(model(image[None]).argmax())


def mixed(model: Mixer, wanted: Goal, patches: tuple[int, ...]) -> Tensor:
    image = wanted.base.clone()
    for patch in patches:
        rows, cols = model.config.grid.pixels(patch)
        image[:, rows, cols] = wanted.donor[:, rows, cols]
    return image


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_found_does_it_and_what_is_proven_is_the_smallest(kept: bool, seed: int) -> None:
    model = bent(SMALL)
    into, put = pictures(SMALL, seed)
    wanted = Goal(into, put, answer(model, put) if kept else answer(model, into), kept)

    def does(patches: tuple[int, ...]) -> bool:
        return (answer(model, mixed(model, wanted, patches)) == wanted.target) == kept

    *done, found = greedy(model, wanted)
    assert done[-1] == most_passes(6) == 22
    begun = [one for one in done[:-2] if isinstance(one, Found) and not one.enough]
    for size, one in enumerate(begun, 1):
        assert one.groups is not None
        assert len(one.groups) == size
        assert not does(one.groups)
        assert not one.proven
        assert found.groups is None or found.groups[:size] == one.groups
    sizes = [size for size in range(7) if any(does(several) for several in combinations(range(6), size))]
    if found.groups is None:
        assert not kept  # all patches of the other picture are the other picture, and give its answer
        assert not does(tuple(range(6)))
        return
    assert does(found.groups)
    assert not found.proven or len(found.groups) == sizes[0]
    tried = smaller_sets(6, found)
    *done, smallest = prove(model, wanted, found)
    assert (done[-1] if done else 0) == tried
    assert smallest.proven
    assert does(smallest.groups)
    assert len(smallest.groups) == sizes[0]


def test_a_proof_finds_what_greed_missed() -> None:
    """Red speaks for class 1, green for class 2. The first patch is nearly enough alone, but no other helps it on."""
    model = straight(SMALL)
    with torch.no_grad():
        for parameter in (model.stem.weight, model.stem.bias, model.head.weight):
            parameter.zero_()
        model.stem.weight[0, 0::3] = model.stem.weight[1, 1::3] = 1
        model.head.weight[1, 0] = model.head.weight[2, 1] = 6 / 16  # a mean over 6 patches, each a sum over 16 pixels
        model.head.bias.copy_(torch.tensor([0.0, -1.0, -1.0]))
    into, put = torch.zeros(3, 8, 12), torch.zeros(3, 8, 12)
    for patch, (red, green) in enumerate([(0.9, 0.97), (0.6, 0.55), (0.6, 0.55)]):
        rows, cols = SMALL.grid.pixels(patch)
        put[0, rows, cols], put[1, rows, cols] = red, green
    wanted = Goal(into, put, 1, True)
    *_, found = greedy(model, wanted)
    assert found == Found((0, 1, 2), 1)
    *done, smallest = prove(model, wanted, found)
    assert done[-1] == 15
    assert smallest == Found((1, 2), 1)


def test_no_patch_where_the_answer_is_already_as_wanted(tiny: MixerConfig) -> None:
    model = bent(tiny)
    into, put = pictures(tiny, 0)
    *_, found = greedy(model, Goal(into, put, answer(model, into), True))
    assert found == Found((), 1)


def test_the_only_class_never_gives_way() -> None:
    model = bent(MixerConfig((8, 12), (4, 4), num_classes=1, num_blocks=1, hidden_dim=7, tokens_mlp_dim=5))
    into, put = pictures(model.config, 0)
    *_, found = greedy(model, Goal(into, put, 0, False))
    assert found == Found(None, 1)
    assert smaller_sets(6, found) == 0


def test_a_margin_is_that_of_the_mixed_picture(tiny: MixerConfig) -> None:
    model = bent(tiny)
    wanted = Goal(*pictures(tiny, 1), 4, True)
    sets = np.random.default_rng(0).random((5, 16)) < 0.5
    margin = finish(margins(model, wanted, Groups(tiny.grid), sets))
    for found, patches in zip(margin, sets, strict=True):
        with torch.no_grad():
            logits = model(mixed(model, wanted, tuple(np.flatnonzero(patches).tolist()))[None])[0]
        others = torch.cat([logits[:4], logits[5:]]).max()
        assert found == pytest.approx(float(logits[4] - others), abs=1e-4)


@pytest.mark.parametrize(("size", "sets"), [(0, 0), (2, 0), (3, 496), (4, 496 + 4960)])
def test_how_many_sets_a_proof_tries(size: int, sets: int) -> None:
    """Of 32 patches: the pairs, the triples, ..."""
    assert smaller_sets(32, Found(tuple(range(size)), 1)) == sets
