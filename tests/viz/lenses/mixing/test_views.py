"""Token mixing: every view shows what it says, of any block, patch and network."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mixer.model import PRESETS, Mixer, MixerConfig
from tests.viz.looking import page_of, pixels_of
from viz.capture import trace
from viz.figures import Figure
from viz.lenses.mixing import lenses
from viz.lenses.mixing.selected_unit import unit_of
from viz.lenses.view import Drawn, Lens, Point
from viz.microscope import Microscope
from viz.mixing import units, weights
from viz.mixing.influence import network_influence, token_jacobian
from viz.mixing.shuffle import permute_patches
from viz.selection import Selection, change, first

PATCHES = 16


FOUR_DIGITS = 1.3e-4
"""relative: as exactly as a matrix is sent"""


class Lab:
    """A microscope, the lenses in it, and what the page opens on."""

    def __init__(self, config: MixerConfig):
        torch.manual_seed(0)
        self.scope = Microscope(Mixer(config), {}, torch.device("cpu"))
        self.lenses: dict[str, Lens] = {lens.id: lens for lens in lenses(self.scope)}
        self.views = {(lens.id, view.id): view for lens in self.lenses.values() for view in lens.views}
        self.page = page_of(*self.lenses.values())
        self.selection = replace(first(self.scope, self.page), depth=len(self.scope.depth_names) - 1)

    def change(self, selection: Selection | None = None, **words: str) -> Selection:
        """The selection after words of a link. `to` stands for "class"."""
        said = {"class" if name == "to" else name: text for name, text in words.items()}
        changed, wrong = change(self.scope, self.page, selection or self.selection, said)
        assert not wrong
        return changed

    def draw(self, lens: str, view: str, **words: str) -> Drawn:
        return self.views[lens, view].draw(self.scope, self.change(**words))

    def heatmap(self, lens: str, view: str, **words: str) -> Any:
        (found,) = (t for t in figure_of(self.draw(lens, view, **words)).data if t.type == "heatmap")
        return found

    def pick(self, lens: str, view: str, curve: int, *index: int, **words: str) -> dict[str, str]:
        pick = self.views[lens, view].pick
        assert pick is not None
        return dict(pick(self.scope, self.change(**words), Point(curve, "", index)))

    def measure(self, lens: str, view: str, **words: str) -> None:
        """Whatever the view needs, until it needs nothing."""
        selection = self.change(**words)
        while needed := self.views[lens, view].missing(self.scope, selection):
            assert list(needed[0].steps())[-1] == needed[0].total


@pytest.fixture(scope="module")
def lab() -> Lab:
    """8 x 2 patches, 3 blocks, 13 hidden units. Nothing is measured in it."""
    return Lab(MixerConfig(patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17))


@pytest.fixture(scope="module")
def measured() -> Lab:
    """The same, with the samples and the picture that the page opens on, and sample 7, measured."""
    lab = Lab(MixerConfig(patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17))
    lab.measure("mixing.unit", "samples")
    lab.measure("mixing.network", "matrix")
    lab.measure("mixing.network", "matrix", sample="7")
    return lab


def figure_of(drawn: Drawn) -> Figure:
    assert drawn.figure is not None
    return drawn.figure


def values_of(trace: Any) -> np.ndarray:
    """Those that are there."""
    z = np.asarray(trace.z)
    return z[~np.isnan(z)]


def shown_units(drawn: Drawn) -> list[int]:
    (heatmap,) = figure_of(drawn).data
    told = np.asarray(heatmap.customdata)[~np.isnan(np.asarray(heatmap.z))]
    return [unit for unit, row, col in told.tolist() if row == col == 0]


def test_the_lenses_and_their_views_have_names_of_their_own(lab: Lab):
    assert list(lab.lenses) == [
        f"mixing.{part}" for part in ("units", "stem", "unit", "wiring", "image", "network", "shuffle")
    ]
    for lens in lab.lenses.values():
        assert len({view.id for view in lens.views}) == len(lens.views)
    options = [option.name for option in lab.page.options]
    assert sorted(options) == ["compare", "filters", "line", "order", "shuffle", "side"]


@pytest.mark.parametrize("name", ["tiny", "seed", "seed-rows"])
def test_every_view_draws_any_block_and_patch(name: str, tiny: MixerConfig):
    lab = Lab(tiny if name == "tiny" else PRESETS[name])
    grid = lab.scope.grid
    for depth, patch in (("stem", "0,0"), (lab.scope.depth_names[-1], f"{grid.rows - 1},{grid.cols - 1}")):
        for view in lab.views.values():
            drawn = view.draw(lab.scope, lab.change(depth=depth, patch=patch))
            assert drawn.figure or drawn.html or drawn.words


def test_the_words_of_the_block_follow_the_depth(lab: Lab):
    for depth, block in (("stem", 1), ("1a", 1), ("1b", 1), ("2a", 2), ("3b", 3)):
        assert f"Block <b>{block}</b> of 3." in lab.draw("mixing.units", "units", depth=depth).words
        want = weights.reads(lab.scope.model, block - 1)
        found = values_of(lab.heatmap("mixing.units", "units", depth=depth))
        np.testing.assert_array_equal(np.sort(found), np.sort(want, None))


def test_units_are_shown_in_the_order_and_from_the_side_asked_for(lab: Lab):
    model, pitch = lab.scope.model, lab.scope.grid.patch_size
    for side, look in (("reads", weights.reads), ("writes", weights.writes)):
        maps = look(model, 2)
        wanted = {order: weights.order(maps, order, pitch) for order in ("frequency", "energy", "index")}
        wanted["patch"] = np.argsort(-np.abs(maps[:, 6, 1]))
        for order, want in wanted.items():
            drawn = lab.draw("mixing.units", "units", side=side, order=order, patch="6,1")
            assert shown_units(drawn) == want.tolist()
            assert drawn.numbers is not None
            np.testing.assert_array_equal(drawn.numbers.values, maps[want])


def test_units_are_ordered_by_a_region_and_the_first_ten_named(lab: Lab):
    maps = np.abs(weights.reads(lab.scope.model, 2))
    for region, strength in (
        ("square", maps[:, 6:8, 0:2].mean((1, 2))),
        ("row", maps[:, 6].mean(1)),
        ("column", maps[:, :, 0].mean(1)),
    ):
        drawn = lab.draw("mixing.units", "units", order=region, patch="6,0")
        best = np.argsort(-strength)
        assert shown_units(drawn) == best.tolist()
        named = re.findall(r"unit=(\d+)'>unit \1</button> (\d\.\d+)", drawn.words)
        assert named == [(str(unit), f"{strength[unit]:.3f}") for unit in best[:10]]


def test_opposite_pairs_are_side_by_side_and_beside_chance(lab: Lab):
    drawn = lab.draw("mixing.units", "units", order="pairs")
    pairs, correlation = weights.opposite_pairs(weights.reads(lab.scope.model, 2))
    found = shown_units(drawn)
    in_pairs = [unit for unit in found if unit in pairs]
    assert sorted(map(sorted, np.reshape(in_pairs, (-1, 2)).tolist())) == sorted(map(sorted, pairs.tolist()))
    assert sorted(found) == list(range(13))
    assert f"<b>{np.median(correlation):.2f}</b>" in drawn.words
    assert f"<b>{weights.untrained_median(13, PATCHES):.2f}</b>" in drawn.words


def test_units_without_opposites_are_shown_too(tiny: MixerConfig):
    lab = Lab(replace(tiny, tokens_mlp_dim=1))
    assert "No two units are opposite." in lab.draw("mixing.units", "units", order="pairs").words


@pytest.mark.parametrize("order", ["frequency", "patch", "pairs"])
def test_a_tile_opens_its_unit(lab: Lab, order: str):
    """Shown by the map: the unit that a click on a cell opens has there the weight that the cell shows."""
    words = {"order": order, "patch": "2,1", "depth": "2a"}
    heatmap, maps = lab.heatmap("mixing.units", "units", **words), weights.reads(lab.scope.model, 1)
    z, found = np.asarray(heatmap.z), []
    for index in np.argwhere(~np.isnan(z)).tolist():
        unit, row, col = heatmap.customdata[index[0]][index[1]].tolist()
        assert lab.pick("mixing.units", "units", 0, *index, **words) == {"lens": "mixing.unit", "unit": str(unit)}
        assert z[tuple(index)] == maps[unit, row, col]
        found.append(unit)
    assert sorted(found) == [unit for unit in range(13) for _ in range(PATCHES)]
    opened = lab.change(**words, lens="mixing.unit", unit="5")
    assert (opened.lens, opened.unit) == ("mixing.unit", 5)
    with pytest.raises(ValueError, match="no tile"):
        lab.pick("mixing.units", "units", 0, 0, 0)


def test_a_frame_costs_little_beside_the_maps_of_512_units():
    """A click on a patch sends it all again: at most 0.4 MB, where the words of every cell alone would take 0.8."""
    lab = Lab(replace(PRESETS["seed"], num_blocks=1, hidden_dim=16, channels_mlp_dim=8))
    assert len(figure_of(lab.draw("mixing.units", "units")).to_json()) < 400_000


def test_stem_filters_are_in_the_order_asked_for(lab: Lab):
    filters = weights.stem_filters(lab.scope.model)
    for order in ("energy", "frequency", "index"):
        drawn = lab.draw("mixing.stem", "filters", filters=order)
        want = weights.order(filters, order, (1, 1))
        (image,) = figure_of(drawn).data
        told = np.asarray(image.customdata)[pixels_of(image)[..., 3] > 0]
        assert told[(told[:, 1:3] == 0).all(1), 0].tolist() == want.tolist()


def test_no_unit_chosen_is_the_strongest_of_the_block_for_this_picture(lab: Lab):
    scope = lab.scope
    for words in ({"depth": "1a"}, {"depth": "3a"}, {"depth": "3a", "sample": "9"}):
        selection = lab.change(**words)
        strengths = units.strengths(scope.model, scope.look(selection.picture), selection.block)
        assert unit_of(scope, selection) == strengths.argmax()
    assert unit_of(scope, lab.change(unit="0")) == 0


def test_a_change_of_block_goes_to_its_strongest_unit(lab: Lab):
    chosen = lab.change(depth="2a", unit="4")
    assert unit_of(lab.scope, chosen) == 4
    assert lab.change(chosen, depth="2b").unit == 4
    moved = lab.change(chosen, depth="3a")
    assert unit_of(lab.scope, moved) == unit_of(lab.scope, lab.change(depth="3a"))


def test_one_unit(lab: Lab):
    model, seen = lab.scope.model, lab.scope.look(lab.selection.picture)
    maps = [t for t in figure_of(lab.draw("mixing.unit", "weights", unit="5")).data if t.type == "heatmap"]
    for found, look in zip(maps, (weights.reads, weights.writes), strict=True):
        np.testing.assert_array_equal(found.z, look(model, 2)[5])
    for curve in (1, 3):
        assert lab.pick("mixing.unit", "weights", curve, 6, 1) == {"patch": "6,1"}
    (line,) = figure_of(lab.draw("mixing.unit", "active", unit="5")).data
    np.testing.assert_array_equal(line.y, np.sort(seen.token_hidden[2][0, :, 5].numpy())[::-1])


def test_which_unit_offers_those_that_add_most(lab: Lab):
    strengths = units.strengths(lab.scope.model, lab.scope.look(lab.selection.picture), 2)
    best = np.argsort(-strengths).tolist()
    drawn = lab.draw("mixing.unit", "which", unit=str(best[2]))
    assert re.findall(r"data-words='unit=(\d+)'", drawn.html) == [str(unit) for unit in best[:10]]
    assert re.findall(r"data-words='unit=(\d+)' aria-pressed='true'", drawn.html) == [str(best[2])]
    assert f"data-word='unit' min='0' max='12' step='1' value='{best[2]}'" in drawn.html
    assert f"Unit <b>{best[2]}</b> is number 3 of 13" in drawn.words


def test_the_samples_that_drive_a_unit(measured: Lab):
    scope, selection = measured.scope, measured.change(depth="2b", unit="4")
    seen = trace(scope.model, scope.sample_inputs)
    traces = [seen.image(i) for i in range(200)]
    strengths = [units.strengths(scope.model, seen, 1)[4] for seen in traces]
    best = np.argsort(strengths)[::-1][:10].tolist()
    html = measured.views["mixing.unit", "samples"].draw(scope, selection).html
    assert re.findall(r"data-words='sample=(\d+)'", html) == [str(sample) for sample in best]
    captions = re.findall(r"alt=''>(.*?), predicted (.*?) · (.*?)</button>", html)
    assert captions == [
        (scope.truth(i), scope.classes[int(traces[i].logits[0].argmax())], f"{strengths[i]:.3g}") for i in best
    ]


def test_the_samples_are_measured_when_the_visitor_asks_and_then_known_for_all_units(tiny: MixerConfig):
    lab = Lab(tiny)
    view, scope, selection = lab.views["mixing.unit", "samples"], lab.scope, lab.selection
    assert not view.draw(scope, selection).html
    (reading,) = view.missing(scope, selection)
    assert reading.on_request
    assert reading.seconds > 0
    assert reading.total == len(scope.samples)
    steps = reading.steps()
    assert 0 < next(steps) < reading.total
    assert not any(module._forward_hooks for module in scope.model.modules())
    steps.close()
    assert view.missing(scope, selection)[0].key == reading.key
    list(reading.steps())
    (answers,) = view.missing(scope, lab.change(depth="1a", unit="4"))
    assert not answers.on_request
    assert re.findall(r"sample=\d+", view.draw(scope, selection).html)
    assert "predicted" not in view.draw(scope, selection).html
    list(answers.steps())
    assert not view.missing(scope, lab.change(sample="3"))


def test_names_of_classes_are_text_in_html(measured: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measured.scope, "classes", ["<b>&'"] * 10)
    html = measured.draw("mixing.unit", "samples").html
    assert "predicted &lt;b&gt;&amp;&#x27;" in html


def test_without_an_image(lab: Lab):
    summaries = [weights.linear_summary(lab.scope.model, block) for block in range(3)]
    matrix, words = summaries[1].matrix, {"depth": "2a", "patch": "4,1"}
    heat = lab.heatmap("mixing.wiring", "matrix", **words)
    np.testing.assert_allclose(heat.z, matrix, rtol=FOUR_DIGITS)
    assert heat.zmax == -heat.zmin == np.abs(matrix[~np.eye(len(matrix), dtype=bool)]).max()
    np.testing.assert_array_equal(np.ravel(lab.heatmap("mixing.wiring", "map", **words).z), matrix[9])
    np.testing.assert_array_equal(np.ravel(lab.heatmap("mixing.wiring", "map", line="column", **words).z), matrix[:, 9])
    for line, summary in zip(figure_of(lab.draw("mixing.wiring", "values")).data, summaries, strict=True):
        np.testing.assert_array_equal(line.y, summary.singular_values)
    for line, summary in zip(figure_of(lab.draw("mixing.wiring", "distance")).data, summaries, strict=True):
        profile = weights.distance_profile(summary.matrix, lab.scope.grid)
        np.testing.assert_array_equal(line.x, profile.distance)
        np.testing.assert_array_equal(line.y, profile.mean_weight)


@pytest.mark.parametrize("view", ["values", "distance"])
def test_a_line_of_a_block_sets_the_depth_to_its_token_mixing(lab: Lab, view: str):
    for curve in range(3):
        chosen = lab.change(**lab.pick("mixing.wiring", view, curve, 0))
        assert chosen.block == curve
        assert lab.scope.depth_names[chosen.depth] == f"{curve + 1}a"


@pytest.mark.parametrize("lens", ["mixing.wiring", "mixing.image", "mixing.network"])
def test_a_row_of_a_matrix_and_a_cell_of_a_map_set_the_patch(measured: Lab, lens: str):
    for patch in range(PATCHES):
        words = measured.pick(lens, "matrix", 0, patch, 3)
        assert measured.change(**words).patch == patch
        (row,) = figure_of(measured.draw(lens, "matrix", **words)).layout.shapes
        assert (row.y0 + row.y1) / 2 == patch
    assert measured.pick(lens, "map", 1, 6, 1) == {"patch": "6,1"}


def test_for_this_image(lab: Lab):
    words = {"depth": "2a", "patch": "4,1"}
    matrix = token_jacobian(lab.scope.model, lab.scope.input(lab.selection.picture), 1)
    np.testing.assert_allclose(lab.heatmap("mixing.image", "matrix", **words).z, matrix, rtol=FOUR_DIGITS)
    to, source = (lab.heatmap("mixing.image", "map", line=line, **words) for line in ("row", "column"))
    np.testing.assert_array_equal(np.ravel(to.z), matrix[9])
    np.testing.assert_array_equal(np.ravel(source.z), matrix[:, 9])
    others = np.arange(PATCHES) != 9
    assert to.zmax == source.zmax == max(matrix[9, others].max(), matrix[others, 9].max())
    numbers = lab.draw("mixing.image", "matrix", **words).numbers
    assert numbers is not None
    assert [2, 1, 7, 0, matrix[5, 14]] in list(numbers.rows())


def test_through_all_blocks(measured: Lab):
    scope = measured.scope
    *_, want = network_influence(scope.model, scope.input(measured.selection.picture), 16, 0)
    heatmap = measured.heatmap("mixing.network", "matrix")
    np.testing.assert_allclose(heatmap.z, want.influence, rtol=FOUR_DIGITS)
    percent = (100 * want.standard_error / want.influence).round()
    np.testing.assert_array_equal(heatmap.customdata, percent.clip(0, 999))
    assert measured.draw("mixing.network", "matrix").words.startswith("Standard error after 16 of 16 probes")


def test_an_influence_belongs_to_its_picture(measured: Lab):
    views = [view for (lens, _), view in measured.views.items() if lens == "mixing.network"]
    assert len(views) == 2
    for view in views:
        assert not view.missing(measured.scope, measured.selection)
        other = measured.change(sample="5")
        assert view.draw(measured.scope, other).figure is None
        assert view.draw(measured.scope, other).words == "Not estimated for this picture yet."
        (probes,) = view.missing(measured.scope, other)
        (elsewhere,) = view.missing(measured.scope, measured.change(sample="6"))
        assert probes.key != elsewhere.key


def test_cancelled_probes_are_kept_and_gone_on_with(tiny: MixerConfig, monkeypatch: pytest.MonkeyPatch):
    lab = Lab(tiny)
    monkeypatch.setattr("viz.mixing.influence.OUTPUTS_AT_ONCE", PATCHES)
    matrix, line = (lab.views["mixing.network", name] for name in ("matrix", "map"))
    here = lab.change(patch="3,1")
    row = lab.scope.grid.index(3, 1)
    for made, rows, told in (
        ([1, 2], PATCHES // 2, "2 of 16"),
        ([3, 4, 5], PATCHES, "4 of 16"),
        ([6, 7], PATCHES, "6 of 16"),
    ):
        (products,) = matrix.missing(lab.scope, here)
        steps = products.steps()
        assert [next(steps) for _ in made] == [PATCHES * probes for probes in made]
        steps.close()
        drawn = matrix.draw(lab.scope, here)
        assert drawn.words.startswith(f"Standard error after {told}")
        known = np.isfinite(drawn.numbers.values.reshape(PATCHES, PATCHES)).all(1)
        assert known.sum() == rows
        assert known[row], "the row of the selected patch comes first"
        assert line.draw(lab.scope, here).figure is not None
    assert not any(module._forward_hooks for module in lab.scope.model.modules())
    lab.measure("mixing.network", "matrix", patch="3,1")
    assert matrix.draw(lab.scope, here).words.startswith("Standard error after 16 of 16 probes")


def test_a_line_of_the_matrix_that_is_not_estimated_yet_is_said(tiny: MixerConfig, monkeypatch: pytest.MonkeyPatch):
    lab = Lab(tiny)
    monkeypatch.setattr("viz.mixing.influence.OUTPUTS_AT_ONCE", 2)
    line = lab.views["mixing.network", "map"]
    (products,) = line.missing(lab.scope, lab.change(patch="3,1"))
    steps = products.steps()
    next(steps), next(steps)
    steps.close()
    other = line.draw(lab.scope, lab.change(patch="0,0"))
    assert (other.figure, other.words) == (None, "Not estimated for this picture yet.")
    column = line.draw(lab.scope, lab.change(patch="0,0", line="column"))
    assert np.isfinite(column.numbers.values).sum() == 1, "from (0, 0) to (3, 1)"


def test_shuffled(lab: Lab):
    scope, pixels = lab.scope, lab.scope.pixels(lab.selection.picture)
    order = np.random.default_rng(3).permutation(PATCHES)
    model, image = scope.model, scope.input(lab.selection.picture)
    with torch.no_grad():
        original, shuffled = (
            model(x[None])[0].softmax(0).numpy() for x in (image, permute_patches(image, scope.grid, order))
        )
    answers = lab.draw("mixing.shuffle", "answers", shuffle="3")
    bars = figure_of(answers).data
    listed = [scope.classes.index(name) for name in bars[0].x]
    for bar, want in zip(bars, (original, original, shuffled), strict=True):
        np.testing.assert_allclose(bar.y, want[listed], atol=1e-6)
    assert {int(i) for line in (original, shuffled) for i in np.argsort(line)[-3:]} == set(listed)
    assert f"<b>{scope.classes[shuffled.argmax()]}</b>" in answers.words
    for place, i in enumerate(listed):
        chosen = lab.change(**pick_class(lab.pick("mixing.shuffle", "answers", 2, place, shuffle="3")))
        assert chosen.target == i
    drawn = lab.draw("mixing.shuffle", "pictures", shuffle="3")
    (image,) = figure_of(drawn).data
    z, told = pixels_of(image), np.asarray(image.customdata)
    rows, cols = scope.grid.pixels(int(order[0]))  # the patch that lies at the upper left now
    assert (z[4:8, 36:52, :3] == pixels[rows, cols]).all()
    row, col = scope.grid.position(int(order[0]))
    assert told[4, 36].tolist() == [0, 0, row, col]
    assert drawn.numbers is not None
    assert drawn.numbers.values[0, 0].tolist() == [row, col]


def pick_class(words: dict[str, str]) -> dict[str, str]:
    return {"to": words["class"]}


def test_a_click_on_a_shuffled_picture_sets_the_patch_that_lies_there(lab: Lab):
    order, grid = np.random.default_rng(3).permutation(PATCHES), lab.scope.grid
    for place in range(PATCHES):
        y, x = grid.pixels(place)
        for gap, patch in ((0, place), (32 + 4, int(order[place]))):
            words = lab.pick("mixing.shuffle", "pictures", 0, y.start + 4, x.start + gap, shuffle="3")
            assert lab.change(**words).patch == patch
    with pytest.raises(ValueError, match="no picture"):
        lab.pick("mixing.shuffle", "pictures", 0, 10, 33)


def test_shuffling_again_takes_the_next_order_and_begins_anew_after_the_last(lab: Lab):
    assert "data-words='shuffle=1'" in lab.draw("mixing.shuffle", "pictures").words
    assert "data-words='shuffle=0'" in lab.draw("mixing.shuffle", "pictures", shuffle="999").words


def test_the_wait_for_the_probes_is_told_by_the_pace_of_this_network_on_this_machine(lab: Lab):
    (products,) = lab.views["mixing.network", "matrix"].missing(lab.scope, lab.selection)
    assert products.total == 16 * PATCHES
    assert products.seconds == pytest.approx(16 * PATCHES * lab.scope.seconds_per_pass)
    assert products.first == 2


def test_more_than_usual_is_what_the_mean_over_the_samples_lacks(measured: Lab):
    words = {"compare": "unusual", "depth": "2a", "patch": "4,1", "sample": "7"}
    assert "minus its mean" not in figure_of(measured.draw("mixing.image", "map", depth="2a")).to_json()
    if measured.views["mixing.image", "matrix"].missing(measured.scope, measured.change(**words)):
        assert measured.draw("mixing.image", "matrix", **words).figure is None, "not drawn before it is known"
    measured.measure("mixing.image", "matrix", **words)
    every = [token_jacobian(measured.scope.model, image, 1) for image in measured.scope.sample_inputs]
    want = every[7] - np.mean(every, 0)
    matrix = measured.heatmap("mixing.image", "matrix", **words)
    np.testing.assert_allclose(matrix.z, want, atol=1e-5)
    assert matrix.zmax == -matrix.zmin, "a difference has zero in the middle"
    np.testing.assert_allclose(
        np.ravel(measured.heatmap("mixing.image", "map", line="column", **words).z), want[:, 9], atol=1e-5
    )
    share = np.linalg.norm(want) / np.linalg.norm(every[7])
    assert f"has {share:.0%} of the norm" in measured.draw("mixing.image", "matrix", **words).words
