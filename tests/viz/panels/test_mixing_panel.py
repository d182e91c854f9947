"""The token-mixing lens: every part can be drawn of any block, patch and network, and shows what it says it shows."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from viz.panels.lens import Lens

from mixer.model import PRESETS, Mixer, MixerConfig
from viz import mixing as measures
from viz import units as unit_measures
from viz.capture import trace
from viz.influence import network_influence, token_jacobian
from viz.intervene import permute_patches
from viz.microscope import Microscope, Selection
from viz.panels import mixing

ALL = [part.NAME for part in mixing.PARTS]


class Panel:
    """The lens on a page of its own."""

    def __init__(self, config: MixerConfig):
        torch.manual_seed(0)
        self.scope = Microscope(Mixer(config), {}, torch.device("cpu"))
        self.selection: Selection = self.scope.first()
        self.page, self.lens = asyncio.run(self._build())

    async def _build(self) -> tuple[gr.Blocks, Lens]:
        """In a running loop, or Gradio makes one of its own and leaves it open."""
        with gr.Blocks() as page:
            return page, mixing.build(self.scope, gr.State(self.selection))

    def draw(self, part: str, selection: Selection | None = None, **options: Any) -> dict[str, Any]:
        """What a part shows, by the ids of its components."""
        drawn = self.lens.draw(selection or self.selection, part, **options)
        return {c.elem_id: v for c, v in zip(self.lens.outputs, drawn, strict=True) if c.elem_id}

    def callback(self, name: str) -> Callable[..., Any]:
        (found,) = {listener.fn for listener in self.page.fns.values() if listener.name == name}
        return found


@pytest.fixture(scope="module")
def panel() -> Panel:
    """8 x 2 patches, 3 blocks, 13 hidden units. Nothing is searched or estimated in it."""
    return Panel(MixerConfig(patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17))


@pytest.fixture
def fresh(tiny: MixerConfig) -> Panel:
    return Panel(tiny)


def drawn_on(value: Any) -> np.ndarray:
    """The values of a heatmap that are there."""
    z = np.asarray(next(t for t in value.data if t.type == "heatmap").z)
    return z[~np.isnan(z)]


@pytest.mark.parametrize("name", ["tiny", "seed", "seed-rows"])
def test_every_part_draws_any_block_and_patch(name: str, tiny: MixerConfig):
    panel = Panel(tiny if name == "tiny" else PRESETS[name])
    last_depth, last_patch = len(panel.scope.depth_names) - 1, panel.scope.grid.patches - 1
    for part in mixing.PARTS:
        for depth, patch in ((0, 0), (last_depth, last_patch)):
            selection = replace(panel.selection, depth=depth, patch=patch)
            values = panel.lens.draw(selection, part.NAME)
            for component, value in zip(panel.lens.outputs, values, strict=True):
                if isinstance(component, gr.Plot) and value != gr.skip():
                    component.postprocess(value)


@pytest.mark.parametrize("part", ALL)
def test_only_the_open_part_is_drawn(panel: Panel, part: str):
    figures = {
        name for name, value in panel.draw(part).items() if name and name != "mixing-block" and value != gr.skip()
    }
    own = {
        "Units": {"mixing-units"},
        "Stem filters": {"mixing-stem"},
        "One unit": {"mixing-unit-reads", "mixing-unit-writes", "mixing-unit-active", "mixing-strongest"},
        "Without an image": {"mixing-linear", "mixing-linear-to", "mixing-singular", "mixing-distance"},
        "For this image": {"mixing-image", "mixing-image-to", "mixing-image-from"},
        "Through all blocks": {"mixing-network-words"},
        "Shuffle": {"mixing-shuffle-words", "mixing-shuffle-pictures", "mixing-shuffle-answers"},
    }
    assert figures == own[part]


def test_every_view_says_its_question_and_how_not_to_read_it(panel: Panel):
    plots = [component for component in panel.lens.outputs if isinstance(component, gr.Plot)]
    assert len(plots) == 18
    for plot in plots:
        column = plot.parent
        assert "view" in column.elem_classes
        heading, caution = (
            next(c for c in block.children if isinstance(c, gr.Markdown)) for block in (column, column.children[-1])
        )
        title, question = heading.value.split("\n", 1)
        assert title.startswith("### ")
        assert title.endswith("?")
        assert question.strip().endswith(".")
        assert caution.value.startswith("*")
        assert caution.value.endswith(".*")


@pytest.mark.parametrize(("depth", "block"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (6, 2)])
def test_the_block_follows_the_depth(panel: Panel, depth: int, block: int):
    selection = replace(panel.selection, depth=depth)
    assert selection.block == block
    assert depth == 0 or panel.scope.depth_names[depth][0] == str(block + 1)
    drawn = panel.draw("Units", selection)
    assert f"block {block + 1}** of 3" in drawn["mixing-block"]
    assert ("the stem has no token mixing" in drawn["mixing-block"]) == (depth == 0)
    want = measures.reads(panel.scope.model, block)
    np.testing.assert_array_equal(np.sort(drawn_on(drawn["mixing-units"])), np.sort(want, None))


def test_units_are_shown_in_the_order_and_from_the_side_asked_for(panel: Panel):
    lens, model = panel.lens, panel.scope.model
    for side, maps in ((mixing.units.READS, measures.reads), (mixing.units.WRITES, measures.writes)):
        for order in ("frequency", "energy", "index"):
            figure = lens.draw(panel.selection, "Units", side, order)[1]
            text = [name for line in figure.data[0].text for name in line if "patch (0, 0)" in name]
            units = [int(name.split(",")[0].removeprefix("unit ")) for name in text]
            want = measures.order(maps(model, 2), order, panel.scope.grid.patch_size)
            assert units == want.tolist()
            np.testing.assert_array_equal(np.sort(drawn_on(figure)), np.sort(maps(model, 2), None))


def test_opposite_pairs_are_side_by_side_and_beside_chance(panel: Panel):
    _, figure, words, *_ = panel.lens.draw(panel.selection, "Units", mixing.units.READS, "pairs")
    pairs, correlation = measures.opposite_pairs(measures.reads(panel.scope.model, 2))
    text = [name for line in figure.data[0].text for name in line if "patch (0, 0)" in name]
    units = [int(name.split(",")[0].removeprefix("unit ")) for name in text]
    assert units[: pairs.size] == pairs.ravel().tolist()
    assert sorted(units) == list(range(13))
    assert text[1].endswith(f"correlation {correlation[0]:.2f}, patch (0, 0)")
    assert f"**{np.median(correlation):.2f}**" in words
    assert f"**{measures.untrained_median(13, 16):.2f}**" in words


def test_one_unit(panel: Panel):
    unit, patch = 5, panel.selection.patch
    drawn = panel.lens.draw(panel.selection, "One unit", *(c.value for c in panel.lens.options[1:4]), unit)
    values = {c.elem_id: v for c, v in zip(panel.lens.outputs, drawn, strict=True) if c.elem_id}
    model, seen = panel.scope.model, panel.scope.look(panel.selection.picture)
    np.testing.assert_array_equal(drawn_on(values["mixing-unit-reads"]), measures.reads(model, 2)[unit].ravel())
    np.testing.assert_array_equal(drawn_on(values["mixing-unit-writes"]), measures.writes(model, 2)[unit].ravel())
    activity = seen.token_hidden[2][0, :, unit].numpy()
    np.testing.assert_array_equal(values["mixing-unit-active"].data[0].y, np.sort(activity)[::-1])
    strengths = unit_measures.strengths(model, seen, 2)
    offered = [unit for _, unit in values["mixing-strongest"].choices]
    assert offered == np.argsort(-strengths).tolist()[:10]
    assert patch == panel.scope.grid.index(4, 1)


def test_the_samples_that_drive_a_unit(fresh: Panel):
    selection, model = fresh.selection, fresh.scope.model
    assert fresh.draw("One unit")["mixing-drivers"] == gr.skip()
    fresh.callback("measure")()
    gallery = fresh.draw("One unit")["mixing-drivers"]
    unit = fresh.lens.options[4].value
    per_sample = [
        unit_measures.strengths(model, trace(model, image[None]), selection.block)[unit]
        for image in fresh.scope.sample_inputs
    ]
    best = np.argsort(per_sample)[::-1][:10]
    names = [fresh.scope.classes[fresh.scope.samples.labels[i]] for i in best]
    captions = [item["caption"] for item in gallery.value]
    assert captions == [f"{name} {per_sample[i]:.3g}" for name, i in zip(names, best, strict=True)]


def test_without_an_image(panel: Panel):
    drawn = panel.draw("Without an image", replace(panel.selection, depth=3, patch=9))
    summaries = [measures.linear_summary(panel.scope.model, block) for block in range(3)]
    matrix = summaries[1].matrix
    np.testing.assert_array_equal(drawn_on(drawn["mixing-linear"]).reshape(16, 16), matrix)
    np.testing.assert_array_equal(drawn_on(drawn["mixing-linear-to"]), matrix[9])
    for line, summary in zip(drawn["mixing-singular"].data, summaries, strict=True):
        np.testing.assert_array_equal(line.y, summary.singular_values)
    for line, summary in zip(drawn["mixing-distance"].data, summaries, strict=True):
        profile = measures.distance_profile(summary.matrix, panel.scope.grid)
        np.testing.assert_array_equal(line.x, profile.distance)
        np.testing.assert_array_equal(line.y, profile.mean_weight)


def test_for_this_image(panel: Panel):
    drawn = panel.draw("For this image", replace(panel.selection, depth=3, patch=9))
    matrix = token_jacobian(panel.scope.model, panel.scope.input(panel.selection.picture), 1)
    np.testing.assert_array_equal(drawn_on(drawn["mixing-image"]).reshape(16, 16), matrix)
    np.testing.assert_array_equal(drawn_on(drawn["mixing-image-to"]), matrix[9])
    np.testing.assert_array_equal(drawn_on(drawn["mixing-image-from"]), matrix[:, 9])
    to, source = (next(t for t in drawn[f"mixing-image-{name}"].data if t.type == "heatmap") for name in ("to", "from"))
    others = np.arange(16) != 9
    assert to.zmax == source.zmax == max(matrix[9, others].max(), matrix[others, 9].max())


def test_through_all_blocks(fresh: Panel):
    other = fresh.scope.show_sample(fresh.selection, 5)
    assert fresh.draw("Through all blocks")["mixing-network-words"] == "Not estimated for this picture yet."
    steps = list(fresh.callback("estimate")(fresh.selection))
    assert [step[0].count("of 16 probes") for step in steps] == [1] * 17 + [0]
    drawn = fresh.draw("Through all blocks")
    *_, want = network_influence(fresh.scope.model, fresh.scope.input(fresh.selection.picture), 16, 0)
    np.testing.assert_array_equal(drawn_on(drawn["mixing-network"]).reshape(16, 16), want.influence)
    np.testing.assert_array_equal(drawn["mixing-network"].data[0].customdata, want.standard_error)
    np.testing.assert_array_equal(drawn_on(drawn["mixing-network-error"]).reshape(16, 16), want.standard_error)
    assert drawn["mixing-network-words"].startswith("After 16 of 16 probes")
    assert fresh.draw("Through all blocks", other)["mixing-network-words"] == "Not estimated for this picture yet."


def test_cancelled_probes_are_kept_and_the_model_is_free(fresh: Panel):
    steps = fresh.callback("estimate")(fresh.selection)
    for _ in range(4):
        next(steps)
    steps.close()
    assert fresh.draw("Through all blocks")["mixing-network-words"].startswith("After 3 of 16 probes")
    assert not any(module._forward_hooks for module in fresh.scope.model.modules())


def test_shuffled(panel: Panel):
    scope, selection = panel.scope, panel.selection
    seed, words, shown, answers = panel.callback("shuffle")(selection, 0)
    order = np.random.default_rng(seed).permutation(16)
    model, image = scope.model, scope.input(selection.picture)
    with torch.no_grad():
        original, shuffled = (
            model(x[None])[0].softmax(0).numpy() for x in (image, permute_patches(image, scope.grid, order))
        )
    classes = [scope.classes.index(name) for name in answers.data[0].x]
    for bar, want in zip(answers.data, (original, original, shuffled), strict=True):
        np.testing.assert_allclose(bar.y, want[classes], atol=1e-6)
    assert {int(i) for line in (original, shuffled) for i in np.argsort(line)[-3:]} == set(classes)
    assert scope.classes[shuffled.argmax()] in words
    z, text = np.asarray(shown.data[0].z), np.asarray(shown.data[0].text)
    pixels = scope.pixels(selection.picture)
    rows, cols = scope.grid.pixels(int(order[0]))  # the patch that lies at the upper left now
    assert (z[4:8, 36:52, :3] == pixels[rows, cols]).all()
    assert text[4, 36] == "patch (0, 0): here from patch ({}, {})".format(*scope.grid.position(int(order[0])))
