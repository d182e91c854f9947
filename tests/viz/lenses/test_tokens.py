"""Patch tokens: what its views show and choose, against the trace they are drawn from."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.model import PRESETS
from tests.viz.looking import measure, microscope, select, told, view_of
from viz.capture import trace
from viz.figures import Figure
from viz.lenses import how_it_works, tokens
from viz.lenses.view import Drawn, Lens, Point
from viz.microscope import Microscope
from viz.tokens import LogitLens

PLACES = [("0,0", "stem", "airplane"), ("7,1", "3b", "truck"), ("2,1", "1a", "deer")]


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope()


@pytest.fixture(scope="module")
def lens(scope: Microscope) -> Lens:
    return tokens.lens(scope)


def draw(scope: Microscope, lens: Lens, name: str, **words: str) -> Drawn:
    view, selection = view_of(lens, name), select(scope, lens, **words)
    measure(scope, view, selection)
    return view.draw(scope, selection)


def figure(scope: Microscope, lens: Lens, name: str, **words: str) -> Figure:
    found = draw(scope, lens, name, **words).figure
    assert found is not None
    return found


def pick(
    scope: Microscope, lens: Lens, name: str, curve: int, *index: int, trace: str = "", **words: str
) -> dict[str, str]:
    choose = view_of(lens, name).pick
    assert choose is not None
    return dict(choose(scope, select(scope, lens, **words), Point(curve, trace, index)))


@pytest.mark.parametrize(("patch", "depth", "asked"), PLACES)
def test_what_is_chosen_is_named_and_framed(scope: Microscope, lens: Lens, patch: str, depth: str, asked: str) -> None:
    words = {"patch": patch, "depth": depth, "class_": asked}
    selection = select(scope, lens, **words)
    place = "({}, {})".format(*patch.split(","))
    assert figure(scope, lens, "similarity", **words).data[0].colorbar.title.text == f"cosine with {place}"
    (row,) = figure(scope, lens, "similarity", similar="pairs", **words).layout.shapes
    assert (row.y0, row.y1) == (selection.patch - 0.5, selection.patch + 0.5)
    bar = figure(scope, lens, "votes", **words).data[2].marker.colorbar
    assert bar.title.text == f"logit for {asked} at {depth}"
    whole = how_it_works.lens(scope)
    assert figure(scope, whole, "lens", **words).layout.shapes[0].x0 == selection.depth


def test_the_lens_of_the_default_network_is_drawn() -> None:
    large = microscope(patch_size=PRESETS["seed"].patch_size, hidden_dim=40)
    lens = tokens.lens(large)
    for view in lens.views:
        selection = select(large, lens, patch="7,3", depth="stem")
        measure(large, view, selection)
        drawn = view.draw(large, selection)
        assert drawn.figure or drawn.html
        assert drawn.numbers


def tile_values(shown: Figure) -> np.ndarray:
    """The value of each patch (6, 0), in the order of the tiles."""
    (heat,) = shown.data
    values = np.asarray(heat.z)
    return values[np.isfinite(values) & (heat.customdata == (6, 0)).all(-1)]


def test_lengths_and_likeness_are_those_of_the_tokens(scope: Microscope, lens: Lens) -> None:
    words = {"patch": "3,1", "depth": "2b"}
    depths = scope.look(scope.sample_picture(0)).depths[:, 0].numpy()
    there, here = depths[:, scope.grid.index(6, 0)], depths[:, scope.grid.index(3, 1)]
    cosines = (there * here).sum(1) / np.linalg.norm(there, axis=1) / np.linalg.norm(here, axis=1)
    lengths, similar, updates = (
        tile_values(figure(scope, lens, name, **words, **option))
        for name, option in (("norms", {}), ("similarity", {}), ("norms", {"norms": "updates"}))
    )
    for depth in range(len(scope.depth_names)):
        assert lengths[depth] == pytest.approx(np.linalg.norm(there[depth]), rel=1e-5)
        assert similar[depth] == pytest.approx(cosines[depth], abs=1e-5)
        added = there[depth] - there[depth - 1] if depth else there[0]
        assert updates[depth] == pytest.approx(np.linalg.norm(added), rel=1e-4)
    pairs = figure(scope, lens, "similarity", similar="pairs", **words).data[0]
    assert pairs.z[pairs.y.index("(3, 1)"), pairs.x.index("(6, 0)")] == pytest.approx(cosines[4], abs=1e-5)


def test_more_than_usual_is_what_the_mean_over_the_samples_lacks(scope: Microscope, lens: Lens) -> None:
    depths = trace(scope.model, scope.sample_inputs).depths.transpose(0, 1)  # samples depths patches channels
    written = torch.cat([depths[:, :1], depths.diff(dim=1)], 1)
    with torch.no_grad():
        votes = scope.model.head(depths[:, 4])[..., 6]
    for name, of, found in (
        ("norms", "tokens", depths.norm(dim=-1)),
        ("norms", "updates", written.norm(dim=-1)),
        ("votes", "tokens", votes),
    ):
        drawn = draw(scope, lens, name, compare="unusual", norms=of, sample="1", depth="2b", class_="frog")
        want = (found[1] - found.mean(0)).numpy()
        np.testing.assert_allclose(drawn.numbers.values.reshape(want.shape), want, atol=1e-4)
        assert drawn.words == tokens.DIFFERENCE


def test_what_is_usual_is_not_drawn_before_it_is_known() -> None:
    fresh = microscope()
    lens = tokens.lens(fresh)
    for name in ("norms", "votes"):
        view, selection = view_of(lens, name), select(fresh, lens, compare="unusual")
        assert [one.key for one in view.missing(fresh, selection)] == ["typical"]
        assert told(view.draw(fresh, selection)) == told(Drawn())
        assert not view.missing(fresh, select(fresh, lens))


def test_the_band_says_what_is_usual_of_the_own_answer(scope: Microscope, lens: Lens) -> None:
    words = draw(scope, how_it_works.lens(scope), "lens").words
    with torch.no_grad():
        leads = scope.model.head(trace(scope.model, scope.sample_inputs).depths.mean(2)).argmax(-1).T
    told = re.search(r"At (\w+), (\w+) leads for (\d+) of the 20 samples", words)
    assert told is not None
    depth, name, count = told.groups()
    at = leads[:, scope.depth_names.index(depth)]
    assert int((at == scope.classes.index(name)).sum()) == int(count)
    assert int(count) == max(torch.bincount(leads[:, i], minlength=10).max() for i in range(6))


def test_the_mean_of_the_votes_is_the_logit_at_the_last_depth_only(scope: Microscope, lens: Lens) -> None:
    logit = float(scope.look(scope.sample_picture(0)).logits[0, 6])
    for depth, equal in (("3b", True), ("1b", False)):
        drawn = draw(scope, lens, "votes", depth=depth, class_="frog")
        mean, stated = re.findall(r"<b>(-?[\d.]+)</b>", drawn.words)
        assert float(stated) == pytest.approx(logit, abs=1e-4)
        assert float(mean) == pytest.approx(np.mean(drawn.figure.data[1].z), abs=1e-4)
        assert (mean == stated) == equal
        assert drawn.words.endswith("is the mean of the votes." if equal else "only at the last depth, 3b.")


def test_when_the_answer_leads_is_said() -> None:
    for leaders, words in (
        ([0, 0, 2, 2], "The answer, <b>frog &amp; co</b>, first leads at <b>1b</b>, and keeps the lead to the end."),
        (
            [2, 0, 0, 2],
            "The answer, <b>frog &amp; co</b>, first leads at <b>stem</b>, loses the lead at 2 later depths, and keeps "
            "it from 2a on.",
        ),
        ([0, 1, 0, 2], "The answer, <b>frog &amp; co</b>, first leads at <b>2a</b>, the last depth."),
    ):
        found = LogitLens(np.eye(3, dtype=np.float32)[leaders], leaders.index(2))
        assert tokens.lead_text(found, ["cat", "dog", "frog & co"], ["stem", "1a", "1b", "2a"]) == words


def test_the_words_of_the_colours_add_up(scope: Microscope, lens: Lens) -> None:
    joint = draw(scope, lens, "pca").words
    shares = [int(share) for share in re.findall(r"(\d+)%", joint)]
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(100, abs=2)
    single = draw(scope, lens, "pca", basis="single").words
    low, high = (int(share) for share in re.findall(r"(\d+)%", single))
    assert low <= high <= 100


@pytest.mark.parametrize("name", ["norms", "similarity", "pca"])
def test_a_tile_chooses_its_depth_and_the_patch_under_the_pointer(scope: Microscope, lens: Lens, name: str) -> None:
    drawn = draw(scope, lens, name)
    (shown,) = drawn.figure.data
    values, chosen = np.asarray(shown.z), set()
    for row, col in np.ndindex(values.shape[:2]):
        value = values[row, col]
        if not value[3] if name == "pca" else np.isnan(value):
            with pytest.raises(ValueError, match="no tile"):
                pick(scope, lens, name, 0, row, col)
            continue
        words = pick(scope, lens, name, 0, row, col)
        patch = tuple(map(int, words["patch"].split(",")))
        assert tuple(shown.customdata[row, col].tolist()) == patch
        truth = drawn.numbers.values[(scope.depth_names.index(words["depth"]), *patch)]
        assert (value == ([*(255 * truth).round(), 255] if name == "pca" else truth)).all()
        chosen.add(tuple(words.values()))
    assert len(chosen) == 7 * 16


def test_a_cell_chooses_its_patch_and_a_row_of_the_matrix_its_own(scope: Microscope, lens: Lens) -> None:
    for name in ("answers", "votes"):
        shown = figure(scope, lens, name).data[1]
        assert (np.shape(shown.z), pick(scope, lens, name, 1, 6, 1)) == ((8, 2), {"patch": "6,1"})
    assert pick(scope, lens, "similarity", 0, 9, 4, similar="pairs") == {"patch": "4,1"}


def test_a_point_of_a_curve_chooses_its_depth_and_class(scope: Microscope, lens: Lens) -> None:
    whole = how_it_works.lens(scope)
    for curve, line in enumerate(figure(scope, whole, "lens").data):
        words = pick(scope, whole, "lens", curve, 4, trace=line.name or "")
        assert words == ({"depth": "2b", "class": line.name} if line.name in scope.classes else {"depth": "2b"})


def crops(html: str) -> list[tuple[int, str, str, float]]:
    """(sample, its label, patch, cosine) of each."""
    found = re.findall(
        r"data-words='sample=(\d+)&patch=(\d+,\d+)'.*?</span>([^<]+)<br>\(\d+, \d+\) · (-?[\d.]+)<", html
    )
    return [(int(sample), name, patch, float(cosine)) for sample, patch, name, cosine in found]


def test_the_nearest_are_the_most_alike_and_never_the_specimen(scope: Microscope, lens: Lens) -> None:
    found = crops(draw(scope, lens, "neighbours", sample="4", depth="2a", patch="4,1").html)
    assert len(found) == tokens.CROPS
    tokens_there = trace(scope.model, scope.sample_inputs).depths[3]
    cosines = torch.cosine_similarity(tokens_there, tokens_there[4, 9], dim=-1)
    cosines[4] = -1
    assert [cosine for *_, cosine in found] == pytest.approx(
        cosines.flatten().topk(tokens.CROPS).values.tolist(), abs=6e-4
    )
    sample, patch = divmod(int(cosines.argmax()), 16)
    assert found[0][:3] == (sample, scope.truth(sample), f"{patch // 2},{patch % 2}")


def test_a_visitor_s_picture_finds_itself_among_the_samples(scope: Microscope, lens: Lens) -> None:
    view, selection = view_of(lens, "neighbours"), select(scope, lens, sample="4", depth="2a", patch="4,1")
    own = replace(selection, sample=None)
    measure(scope, view, own)
    html = view.draw(scope, own).html
    assert crops(html)[0] == (4, scope.truth(4), "4,1", 1.0)
    assert "left: 50.00%; top: 50.00%; width: 50.00%; height: 12.50%" in html.split("</li>")[0]


def test_neighbours_wait_for_the_samples_at_their_depth() -> None:
    fresh = microscope()
    lens = tokens.lens(fresh)
    view = view_of(lens, "neighbours")
    for depth in (2, 5):
        selection = select(fresh, lens, depth=fresh.depth_names[depth])
        assert [one.key for one in view.missing(fresh, selection)] == [("bank", depth)]
        assert not view.draw(fresh, selection).html
        measure(fresh, view, selection)
        assert view.draw(fresh, selection).html
