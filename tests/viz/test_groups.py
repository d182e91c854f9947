"""Neighbouring patches that are treated as one: what is found of a group is what a pass without all of it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer, MixerConfig
from tests.viz.explained import ask, bent
from tests.viz.looking import measure, microscope, told
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.capture import capture, trace
from viz.doubt.faithfulness import curves, falling, random_removals
from viz.intervene import edits
from viz.intervene.patching import LogitDifference, map_work, token_map
from viz.intervene.search import Goal, greedy, most_passes
from viz.lenses.all import Lenses
from viz.page.specimen import answer_html
from viz.selection import change, first, to_query, to_words

MANY = MixerConfig((28, 28), (2, 2), 5, (), 2, hidden_dim=8, tokens_mlp_dim=9, channels_mlp_dim=10)
"""14 x 14 patches"""


@pytest.fixture(scope="module")
def model() -> Mixer:
    return bent(MANY)


def without(image: Tensor, other: Tensor, boxes: list[tuple[int, int, int, int]]) -> Tensor:
    """The image with what lies in some boxes (row, column, height, width, in patches) from another one."""
    changed = image.clone()
    for row, col, height, width in boxes:
        place = slice(None), slice(2 * row, 2 * (row + height)), slice(2 * col, 2 * (col + width))
        changed[place] = other[place]
    return changed


@torch.no_grad()
def logit(model: Mixer, image: Tensor) -> float:
    return model(image[None])[0, 3].item()


@pytest.mark.parametrize("side", [2, 4])
def test_ablation_of_a_group_is_that_of_all_its_patches(model: Mixer, side: int) -> None:
    question, groups = ask(MANY, side=side), Groups(MANY.grid, side)
    found = attribute(model, question, "Patch ablation")
    assert found.values.shape == (len(groups),)
    assert found.passes == len(groups) + 2
    whole = logit(model, question.image)
    for group, value in enumerate(found.values):
        box = groups.box(groups.patches(group)[0])
        assert value == pytest.approx(whole - logit(model, without(question.image, question.baseline, [box])), abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_values_of_groups_add_up_as_those_of_patches_do(model: Mixer, method: str) -> None:
    fine, coarse = (attribute(model, ask(MANY, side=side), method, Settings(steps=4, draws=2)) for side in (1, 4))
    assert coarse.values.shape == (16,)
    assert coarse.difference == fine.difference
    if METHODS[method].complete:
        assert coarse.gap == pytest.approx(fine.gap, abs=1e-4)
    if method not in (SHAPLEY, "Patch ablation"):  # in which what a group brings is more than the sum of its patches
        sums = Groups(MANY.grid, 4).sum(torch.from_numpy(fine.values))
        np.testing.assert_allclose(coarse.values, sums, atol=1e-4)


def test_curves_and_removals_take_whole_groups(model: Mixer) -> None:
    question, groups = ask(MANY, side=4), Groups(MANY.grid, 4)
    values = np.random.default_rng(0).normal(size=16)
    found, order = curves(model, question, values), falling(values)
    assert found.deletion.shape == (17,)
    for count in (0, 1, 5, 16):
        boxes = [groups.box(groups.patches(int(group))[0]) for group in order[:count]]
        assert found.deletion[count] == pytest.approx(
            logit(model, without(question.image, question.baseline, boxes)), abs=1e-4
        )
    removed = [*random_removals(model, question, 3, 0)][-1]
    for gone, loss in zip(removed.removed, removed.losses, strict=True):
        boxes = [groups.box(groups.patches(int(group))[0]) for group in np.flatnonzero(gone)]
        left = logit(model, without(question.image, question.baseline, boxes))
        assert loss == pytest.approx(logit(model, question.image) - left, abs=1e-4)


def test_all_tokens_of_a_group_are_patched_at_once(model: Mixer) -> None:
    this, other = ask(MANY).image, ask(MANY).baseline
    groups, between = Groups(MANY.grid, 4), LogitDifference(3, 1)
    *steps, found = token_map(model, this, other, between, 4)
    assert found.shape == (5, 16)
    assert steps[-1] == map_work(5, 16)
    there = trace(model, other[None])

    def put(group: int, tokens: Tensor) -> Tensor:
        changed, patches = tokens.clone(), list(groups.patches(group))
        changed[:, patches] = there.after_channel_mixing[0][:, patches]
        return changed

    with torch.no_grad():
        before = between.of(model(this[None]))
        for group in (0, 7, 15):
            with capture(model, [], {"blocks.0": lambda tokens, group=group: put(group, tokens)}):
                assert found[2, group] == pytest.approx((between.of(model(this[None])) - before).item(), abs=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_a_search_goes_from_large_groups_to_small_ones_within_them(model: Mixer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    colours, noise = (torch.randn(200, 3, *size, generator=generator) for size in ((1, 1), (28, 28)))
    pictures = 5 * colours + noise
    with torch.no_grad():
        answers = model(pictures).argmax(1)
    base, donor = pictures[0], pictures[int((answers != answers[0]).nonzero()[0])]
    with torch.no_grad():
        wanted = Goal(base, donor, int(model(donor[None]).argmax()), True)
    *parts, last = greedy(model, wanted, (4, 2, 1))
    assert parts[-1] == most_passes(16, 49, 196)
    found = [part for part in parts if not isinstance(part, int) and part.enough]
    assert last.groups
    assert last == found[-1]
    within = set(range(196))
    for one in found:
        groups = Groups(MANY.grid, one.side)
        patches = set(groups.patches(*one.groups))
        assert patches <= within
        mixed = without(base, donor, [groups.box(groups.patches(group)[0]) for group in one.groups])
        with torch.no_grad():
            assert (int(model(mixed[None]).argmax()) == wanted.target) == wanted.keep
        within = patches
    assert [one.side for one in found] == [4, 2, 1]


def test_groups_of_one_size_trade_places() -> None:
    grid, groups = MANY.grid, Groups(MANY.grid, 2)
    picture = np.random.default_rng(0).integers(256, size=(28, 28, 3), dtype=np.uint8)
    swap = edits.Edit("swap", None, groups.patches(0, 8))
    assert edits.parse(edits.text([swap], grid), grid, 1) == (swap,)
    swapped, expected = edits.apply([swap], picture, MANY, lambda i: picture), picture.copy()
    expected[:4, :4], expected[4:8, 4:8] = picture[4:8, 4:8], picture[:4, :4]
    np.testing.assert_array_equal(swapped, expected)


def test_only_a_network_of_many_patches_has_the_choice() -> None:
    few, many = microscope(), microscope(image_size=(18, 18), patch_size=(2, 2))
    for scope, side in ((few, 1), (many, 2)):
        lenses = Lenses(scope)
        assert lenses.first.side == side
        assert ('data-word="groups"' in answer_html(scope)) == (scope is many)
        chosen, said = change(scope, lenses.page, lenses.first, {"groups": "4"})
        assert chosen.side == (4 if scope is many else 1)
        assert bool(said) == (scope is few)
        assert to_query(to_words(scope, lenses.page, chosen)) == ("groups=4" if scope is many else "")


@pytest.mark.long
def test_the_choice_is_seen_by_every_view_that_removes_edits_patches_probes_or_searches() -> None:
    """And by no other. 9 x 9 patches, so that groups are cut off at the edges."""
    scope = microscope(image_size=(18, 18), patch_size=(2, 2), num_blocks=1)
    lenses = Lenses(scope)
    words = {"methods": "Gradient x input,Patch ablation", "depth": "1a"}
    start, said = change(scope, lenses.page, first(scope, lenses.page), words)
    assert not said
    seeing = set()
    for name, (_, view) in lenses.named.items():
        shown = list[object]()
        for side in (1, 2, 4):
            selection = replace(start, side=side)
            measure(scope, view, selection, asked=True)
            shown.append(told(view.draw(scope, selection)))
        several = {view.depends(scope, replace(start, side=side)) for side in (1, 2, 4)}
        assert len(several) == len(set(shown)) == (3 if len(several) > 1 else 1), name
        if len(several) > 1:
            seeing.add(name)
    assert seeing == {
        "attribution.maps", "attribution.sums", "attribution.agreement", "attribution.difference", "doubt.verdict",
        "doubt.deletion", "doubt.insertion", "doubt.picture", "doubt.randomisation", "whatif.edit.picture",
        "whatif.patching.map", "whatif.smallest.search", "mixing.network.matrix", "mixing.network.map",
    }  # fmt: skip
