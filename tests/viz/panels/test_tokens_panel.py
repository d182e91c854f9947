"""The panel's figures and words, against the trace they are drawn from."""

import asyncio
import re
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
import torch
from viz.panels.lens import Lens
from viz.panels.neighbours import SHOWN, nearest

from mixer.data import CLASSES
from mixer.model import PRESETS, Mixer, MixerConfig
from viz import figures
from viz.microscope import Microscope, Selection
from viz.panels import tokens
from viz.tokens import LogitLens

VIEWS = ("given", "similarity", "pca", "norms", "updates", "matrix", "lens", "answers", "votes")


def build(config: MixerConfig) -> tuple[Microscope, Lens, gr.Blocks]:
    torch.manual_seed(0)
    scope = Microscope(Mixer(config), {}, torch.device("cpu"))

    async def page() -> tuple[Lens, gr.Blocks]:
        with gr.Blocks() as page:
            return tokens.build(scope, gr.State(scope.first())), page

    lens, blocks = asyncio.run(page())  # without a running loop, Gradio opens some and never closes them
    return scope, lens, blocks


@pytest.fixture(scope="module")
def built() -> tuple[Microscope, Lens, gr.Blocks]:
    """8 x 2 patches of 4 x 16 pixels, 3 blocks, 11 channels."""
    return build(
        MixerConfig(
            patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17, classes=CLASSES
        )
    )


@pytest.fixture(scope="module")
def scope(built: tuple[Microscope, Lens, gr.Blocks]) -> Microscope:
    return built[0]


def drawn(built: tuple[Microscope, Lens, gr.Blocks], selection: Selection, basis: str = tokens.JOINT) -> dict:
    """What the lens shows, by the end of each component's id; words without one are in `words`."""
    _, lens, _ = built
    values = lens.draw(selection, basis)
    assert len(values) == len(lens.outputs)
    named = {
        component.elem_id.removeprefix("tokens-"): value
        for component, value in zip(lens.outputs, values, strict=True)
        if isinstance(component, gr.Plot)
    }
    assert set(named) == set(VIEWS)
    return named | {"words": [value for value in values if isinstance(value, str)], "state": values[-1]}


@pytest.mark.parametrize("basis", [tokens.JOINT, tokens.SINGLE])
@pytest.mark.parametrize("config", [replace(PRESETS["seed-rows"], num_blocks=2, hidden_dim=40), None])
def test_every_patch_depth_and_class_is_drawn(built, config: MixerConfig | None, basis: str) -> None:
    built = build(config) if config else built
    scope = built[0]
    first, last = scope.first(), len(scope.depth_names) - 1
    for patch, depth, target in ((0, 0, 0), (scope.grid.patches - 1, last, 9), (5, 1, 4)):
        shown = drawn(built, replace(first, patch=patch, depth=depth, target=target), basis)
        row, col = scope.grid.position(patch)
        for view in VIEWS:
            assert isinstance(shown[view], figures.go.Figure)
            assert len(shown[view].data)
        assert f"({row}, {col})" in shown["similarity"].data[0].colorbar.title.text
        assert shown["matrix"].layout.shapes[0].y0 == patch - 0.5
        assert scope.depth_names[depth] in shown["votes"].data[1].colorbar.title.text
        assert scope.classes[target] in shown["votes"].data[1].colorbar.title.text
        assert shown["lens"].layout.shapes[0].x0 == depth


def test_the_given_pixels_are_those_of_the_picture(built, scope: Microscope) -> None:
    selection = replace(scope.first(), patch=scope.grid.index(3, 1))
    shown = drawn(built, selection)["given"]
    picture = scope.pixels(selection.picture)
    assert np.array_equal(shown.data[0].z, picture[12:16, 16:32])
    blue = shown.data[3]
    assert blue.name == "blue"
    assert blue.z[2][5] == pytest.approx((picture[14, 21, 2] / 255 - 0.4465) / 0.2616, abs=1e-5)
    assert blue.text[2][5] == "pixel (14, 21)"
    assert blue.zmax == pytest.approx(max(0.4914 / 0.2470, 0.5178 / 0.2435, 0.5535 / 0.2616, 0.5086 / 0.2470))


def told(figure: figures.go.Figure) -> dict[str, float]:
    (trace,) = figure.data
    return {
        text: z for line, zs in zip(trace.text, trace.z, strict=True) for text, z in zip(line, zs, strict=True) if text
    }


def test_lengths_and_likeness_are_those_of_the_tokens(built, scope: Microscope) -> None:
    selection = replace(scope.first(), patch=scope.grid.index(3, 1), depth=4)
    shown = drawn(built, selection)
    depths = scope.look(selection.picture).depths[:, 0].numpy()
    there, here = depths[:, scope.grid.index(6, 0)], depths[:, scope.grid.index(3, 1)]
    cosines = (there * here).sum(1) / np.linalg.norm(there, axis=1) / np.linalg.norm(here, axis=1)
    lengths, similar, updates = (told(shown[name]) for name in ("norms", "similarity", "updates"))
    for depth, name in enumerate(scope.depth_names):
        place = f"{name}, patch (6, 0)"
        assert lengths[place] == pytest.approx(np.linalg.norm(there[depth]), rel=1e-5)
        assert similar[place] == pytest.approx(cosines[depth], abs=1e-5)
        added = there[depth] - there[depth - 1] if depth else there[0]
        assert updates[place] == pytest.approx(np.linalg.norm(added), rel=1e-4)
    pairs = told(shown["matrix"])
    assert pairs["patch (3, 1) and patch (6, 0)"] == pytest.approx(cosines[4], abs=1e-5)


def test_the_mean_of_the_votes_is_the_logit_at_the_last_depth_only(built, scope: Microscope) -> None:
    selection = replace(scope.first(), target=6)
    logit = float(scope.look(selection.picture).logits[0, 6])
    for depth, equal in ((6, True), (2, False)):
        shown = drawn(built, replace(selection, depth=depth))
        words = shown["words"][-1]
        mean, stated = re.findall(r"\*\*(-?[\d.]+)\*\*", words)
        assert float(stated) == pytest.approx(logit, abs=1e-4)
        assert float(mean) == pytest.approx(np.mean(shown["votes"].data[1].z), abs=1e-4)
        assert (mean == stated) == equal
        assert words.endswith("mean of the votes." if equal else "only at the last depth, 3b.")


def test_when_the_answer_leads_is_said() -> None:
    for leaders, words in (
        ([0, 0, 2, 2], "The answer, **frog**, first leads at **1b**, and stays ahead to the end."),
        (
            [2, 0, 0, 2],
            "The answer, **frog**, first leads at **stem**, but is behind again at 2 of the 3 depths after it.",
        ),
        ([0, 1, 0, 2], "The answer, **frog**, first leads at **2a**, the last depth."),
    ):
        found = LogitLens(np.eye(3, dtype=np.float32)[leaders], leaders.index(2))
        assert tokens.lead_in_words(found, ["cat", "dog", "frog"], ["stem", "1a", "1b", "2a"]) == words


def test_the_words_of_the_colours_add_up(built, scope: Microscope) -> None:
    joint = drawn(built, scope.first())["words"][0]
    shares = [int(share) for share in re.findall(r"(\d+)%", joint)]
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(100, abs=2)
    single = drawn(built, scope.first(), tokens.SINGLE)["words"][0]
    low, high = (int(share) for share in re.findall(r"(\d+)%", single))
    assert low <= high <= 100


def test_the_class_asked_about_does_not_call_for_new_neighbours(scope: Microscope, built) -> None:
    first = scope.first()
    state = drawn(built, first)["state"]
    assert state == drawn(built, replace(first, target=8))["state"]
    for change in ({"patch": 1}, {"depth": 1}, {"picture": bytes(3072)}, {"sample": None}):
        assert state != drawn(built, replace(first, **change))["state"]


def test_every_view_has_a_question_and_a_caution(built) -> None:
    *_, page = built
    columns = [
        block for block in page.blocks.values() if isinstance(block, gr.Column) and "view" in (block.elem_classes or [])
    ]
    assert len(columns) == len(VIEWS) + 1
    for column in columns:
        head, foot = column.children[0], column.children[-1].children[0]
        title, question = head.value.split("\n", 1)
        assert title.startswith("### ")
        assert title.endswith("?")
        assert question.endswith(".")
        assert re.fullmatch(r"\*[A-Z].*\.\*", foot.value)


def crops(html: str) -> list[tuple[str, str, float]]:
    return [
        (name, place, float(cosine))
        for name, place, cosine in re.findall(r"</div>([^<]+)<br>(\(\d+, \d+\)) · (-?[\d.]+)</li>", html)
    ]


def test_the_nearest_are_the_most_alike_and_never_the_specimen(scope: Microscope) -> None:
    selection = replace(scope.show_sample(scope.first(), 47), depth=3, patch=9)
    found = crops(nearest(scope, selection, gr.Progress()))
    assert len(found) == SHOWN
    bank, token = scope.bank(3).flatten(0, 1), scope.look(selection.picture).depths[3, 0, 9]
    cosines = torch.cosine_similarity(bank, token, dim=-1).unflatten(0, (200, 16))
    cosines[47] = -1
    assert [cosine for *_, cosine in found] == pytest.approx(cosines.flatten().topk(SHOWN).values.tolist(), abs=6e-4)
    sample, patch = divmod(int(cosines.argmax()), 16)
    assert found[0][:2] == (scope.classes[scope.samples.labels[sample]], f"({patch // 2}, {patch % 2})")


def test_a_visitor_s_picture_finds_itself_among_the_samples(scope: Microscope) -> None:
    selection = replace(scope.show_sample(scope.first(), 47), sample=None, depth=3, patch=9)
    html = nearest(scope, selection, gr.Progress())
    assert crops(html)[0] == (scope.classes[scope.samples.labels[47]], "(4, 1)", 1.0)
    assert "Most like patch (4, 1) at depth 2a" in html
    assert "left: 50.00%; top: 50.00%; width: 50.00%; height: 12.50%" in html.split("</li>")[0]
