"""Attribution and Doubt: what they show, against what was computed."""

import asyncio
import re
from dataclasses import replace
from types import ModuleType

import gradio as gr
import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, Settings
from viz.doubt import faithfulness
from viz.microscope import Microscope
from viz.panels import attribution, doubt
from viz.panels.asking import put
from viz.panels.attribution.versus import RUNNER_UP
from viz.panels.lens import Lens
from viz.panels.waiting import CANCELLED, Newest

LOGITS = ("mean colour", "logit")


@pytest.fixture(scope="module")
def scope() -> Microscope:
    torch.manual_seed(0)
    config = MixerConfig(patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17)
    return Microscope(Mixer(config), {}, torch.device("cpu"))


def opened(module: ModuleType, scope: Microscope) -> tuple[Lens, gr.Blocks]:
    async def page() -> tuple[Lens, gr.Blocks]:
        with gr.Blocks() as page:
            return module.build(scope, gr.State(scope.first())), page

    return asyncio.run(page())


def build(module: ModuleType, scope: Microscope) -> tuple[Lens, dict[str, gr.blocks.BlockFunction]]:
    """The lens, and its handlers by name."""
    lens, page = opened(module, scope)
    return lens, {handler.fn.__name__: handler for handler in page.fns.values() if handler.fn is not None}


def pages(module: ModuleType, scope: Microscope) -> list[gr.blocks.Block]:
    """All components."""
    return list(opened(module, scope)[1].blocks.values())


def run(lens: Lens, handlers: dict, name: str, scope: Microscope, *options: object, **changes: object) -> list[dict]:
    """All that a handler gives for a selection, one after the other, by the ends of the components' ids."""
    (asked,) = lens.draw(replace(scope.first(), **changes), *options)
    handler, newest = handlers[name], Newest()
    newest.shown = asked
    room = [900] if name == "answer" else []
    ids = [output.elem_id.split("-", 1)[-1] if output.elem_id else "place" for output in handler.outputs]
    return [dict(zip(ids, given, strict=True)) for given in handler.fn(asked, *room, newest)]


def shown(*args: object, **changes: object) -> dict:
    """The last of it."""
    return run(*args, **changes)[-1]


def cells(html: str) -> list[list[str]]:
    """What stands in the body of a table, row by row."""
    rows = re.findall(r"<tr><th scope='row'>.*?</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_every_method_s_values_lie_over_the_picture_on_one_scale(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    every = [name for name in METHODS if name != "Shapley values"]
    options = (*LOGITS, attribution.PATCHES, 0.5, RUNNER_UP)
    found = shown(lens, handlers, "answer", scope, every, *options, patch=7, depth=4)
    maps = [trace for trace in found["maps"].data if trace.type == "heatmap"]
    assert [trace.name.removesuffix(" (unsigned)") for trace in maps] == every
    question = scope.explanations.question(put(replace(scope.first(), depth=4), *LOGITS))
    answers = [attribute(scope.model, question, name, Settings(block=1)) for name in every]
    for trace, answer in zip(maps, answers, strict=True):
        np.testing.assert_allclose(np.asarray(trace.z).ravel(), answer.values, rtol=1e-4, atol=1e-7)
        assert trace.text[3][1] == f"{trace.name}, patch (3, 1)"
        assert trace.opacity == 0.5
    spans = {(trace.zmin, trace.zmax) for trace in maps if not trace.name.endswith("(unsigned)")}
    assert len(spans) == 1
    assert all(trace.zmin is None for trace in maps if trace.name.endswith("(unsigned)"))
    assert np.asarray(found["agreement"].data[0].z).shape == (len(every), len(every))
    assert "Token Grad-CAM and Layer Integrated Gradients and Layer Conductance explain" in found["wait"]
    assert "after block 2 of 3" in found["wait"]


def test_beside_every_method_stand_its_value_and_its_sum(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    methods = ["Gradient x input", "Saliency", "Integrated Gradients", "Shapley values", "Token Grad-CAM"]
    found = shown(
        lens, handlers, "answer", scope, methods, *LOGITS, attribution.PATCHES, 1, RUNNER_UP, patch=7, depth=4
    )
    assert "<th scope='col'>patch (3, 1)</th>" in found["table"]
    question = scope.explanations.question(put(replace(scope.first(), depth=4), *LOGITS))
    table = cells(found["table"])
    for name, (head, value, total, wanted, gap, samples, _) in zip(methods, table, strict=True):
        answer = attribute(scope.model, question, name, Settings(block=1))
        assert head == name
        assert float(value.split(" ± ")[0]) == pytest.approx(answer.values[7], rel=5e-3)
        assert (" ± " in value) == (name == "Shapley values")
        assert float(total) == pytest.approx(answer.total, rel=5e-3)
        assert int(samples) == answer.samples
        if name in ("Saliency", "Token Grad-CAM"):  # one has no sign, one no baseline
            assert wanted == gap == "-"
            continue
        assert float(wanted) == pytest.approx(answer.difference, rel=5e-3)
        assert gap.startswith("(") == (answer.gap is None)
        assert float(gap.strip("()")) == pytest.approx(answer.total - answer.difference, rel=5e-3, abs=1e-6)


def test_a_second_look_is_instant_and_a_long_wait_is_told(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    lens, handlers = build(attribution, scope)
    options = (["Shapley values"], "own mean", "probability", attribution.PATCHES, 1, RUNNER_UP)
    monkeypatch.setattr(scope.explanations, "_pace", 1.0)
    steps = run(lens, handlers, "answer", scope, *options)
    assert "0 of 604 samples" in steps[0]["wait"]
    assert steps[0]["cancel"].visible
    assert all(step["maps"] == gr.skip() for step in steps[:-1])
    bars = [re.search(r"([\d,]+) of", step["wait"]).group(1) for step in steps[:-1]]
    assert bars == [
        "0",
        *(str(15 * order + 2) for order in range(1, 21)),
        *(str(302 + 15 * k + 2) for k in range(1, 21)),
    ]
    assert not steps[-1]["cancel"].visible
    monkeypatch.setattr("viz.attribution.remembered.attribute_in_steps", None)
    monkeypatch.setattr(scope.explanations, "_pace", 1.0)
    (again,) = run(lens, handlers, "answer", scope, *options)
    assert again["table"] == steps[-1]["table"]


def test_a_run_ends_when_something_else_is_to_be_shown(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    lens, handlers = build(attribution, scope)
    (asked,) = lens.draw(scope.first(), ["Shapley values"], "blurred", "logit", attribution.PATCHES, 1, RUNNER_UP)
    newest = Newest()
    steps = handlers["answer"].fn(asked, 900, newest)
    monkeypatch.setattr(scope.explanations, "_pace", 1.0)
    next(steps)
    assert newest.shown == asked
    newest.shown = replace(asked, baseline="black")
    assert list(steps) == [[gr.skip()] * 6]  # the next run fills them
    assert scope.explanations.cost(put(scope.first(), "blurred", "logit"), ["Shapley values"]) > 0


@pytest.mark.parametrize(("module", "name"), [(attribution, "answer"), (doubt, "measure"), (doubt, "disturb")])
def test_a_run_ends_when_it_is_cancelled(
    scope: Microscope, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    lens, handlers = build(module, scope)
    rest = ("probability", attribution.PATCHES, 1, RUNNER_UP) if module is attribution else ("probability", "blurred")
    (asked,) = lens.draw(replace(scope.first(), target=5), ["Shapley values"], "blurred", *rest)
    newest = Newest()
    steps = handlers[name].fn(asked, *([900] if module is attribution else []), newest)
    monkeypatch.setattr(scope.explanations, "_pace", 1.0)
    next(steps)
    words, button = handlers["stop"].fn(newest)
    *skipped, last_words, last_button = list(steps)[-1]
    assert words == last_words == CANCELLED
    assert not button.visible
    assert not last_button.visible
    assert all(value == gr.skip() for value in skipped)


def test_nonsense_is_said_in_words(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    with pytest.raises(gr.Error, match="no baseline is named 'pink': there are mean colour"):
        run(lens, handlers, "answer", scope, ["Saliency"], "pink", "logit", attribution.PATCHES, 1, RUNNER_UP)
    nothing = shown(lens, handlers, "answer", scope, [], *LOGITS, attribution.PATCHES, 1, RUNNER_UP)
    assert nothing["maps"] is nothing["difference"] is nothing["agreement"] is None
    assert cells(nothing["table"]) == []


def test_pixels_add_up_to_their_patches(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    values = {}
    for resolution in (attribution.PATCHES, attribution.PIXELS):
        methods = ["Integrated Gradients", "Patch ablation"]
        found = shown(lens, handlers, "answer", scope, methods, *LOGITS, resolution, 0.5, RUNNER_UP)
        values[resolution] = [np.asarray(t.z) for t in found["maps"].data if t.type == "heatmap"]
    fine, coarse = values[attribution.PIXELS], values[attribution.PATCHES]
    assert fine[0].shape == (32, 32)
    np.testing.assert_allclose(fine[0].reshape(8, 4, 2, 16).sum((1, 3)), coarse[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(fine[1] * 64, coarse[1], rtol=1e-5)  # this method has none: its values, spread


def test_the_difference_of_two_classes(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    found = shown(
        lens, handlers, "answer", scope, ["Patch ablation"], *LOGITS, attribution.PATCHES, 1, "truck", target=2
    )
    values = []
    for target in (2, 9):
        question = scope.explanations.question(put(replace(scope.first(), target=target), *LOGITS))
        values.append(attribute(scope.model, question, "Patch ablation").values)
    drawn = np.asarray(found["difference"].data[1].z).ravel()
    np.testing.assert_allclose(drawn, values[0] - values[1], rtol=1e-4, atol=1e-6)
    assert "bird - truck" in found["difference"].data[1].colorbar.title.text
    assert found["agreement"] is None


def test_the_next_likely_class_is_not_the_one_asked_about(scope: Microscope) -> None:
    lens, _ = build(attribution, scope)
    ranked = np.argsort(scope.probabilities(scope.first().picture))[::-1].tolist()
    options = (["Saliency"], *LOGITS, attribution.PATCHES, 1, RUNNER_UP)
    for target, other in ((ranked[0], ranked[1]), (ranked[5], ranked[0])):
        (asked,) = lens.draw(replace(scope.first(), target=target), *options)
        assert asked.other == other


def test_the_page_opens_with_nothing_asked(scope: Microscope) -> None:
    for module, name, room in ((attribution, "answer", [900]), (doubt, "measure", [])):
        (values,) = build(module, scope)[1][name].fn(None, *room, Newest())
        assert all(value == gr.skip() for value in values)


def test_doubt_holds_attributions_against_chance(scope: Microscope) -> None:
    lens, handlers = build(doubt, scope)
    methods = ["Gradient x input", "Patch ablation"]
    steps = run(lens, handlers, "measure", scope, methods, "black", "probability", "own mean")
    asked = put(scope.first(), "black", "probability")
    question = scope.explanations.question(replace(asked, baseline="own mean"))
    for step, chance in ((steps[0], False), (steps[-1], True)):  # the curves are there before the random orders
        for view in ("deletion", "insertion"):
            names = [trace.name for trace in step[view].data]
            assert any(name.startswith("9 of 10 random orders") for name in names) == chance
            for method in methods:
                values = attribute(scope.model, scope.explanations.question(asked), method).values
                curve = getattr(faithfulness.curves(scope.model, question, values), view)
                label = f"{method} (area {faithfulness.area(curve):.2f})"
                (line,) = [trace for trace in step[view].data if trace.name == label]
                np.testing.assert_allclose(line.y, curve, rtol=1e-5)
    assert steps[-1]["randomisation"] is None
    assert not steps[-1]["place"].visible
    words = steps[-1]["verdict"]
    assert words.count("random orders at deletion <small>(rule: at least 95%;") == 2
    assert words.count("not measured yet") == 4
    assert steps[-1]["cost"].startswith("32 attributions: about")
    assert steps[-1]["start"].interactive


def test_doubt_randomises_and_disturbs_and_remembers(scope: Microscope) -> None:
    lens, handlers = build(doubt, scope)
    options = (["Gradient x input", "Saliency"], *LOGITS, "blurred")
    steps = run(lens, handlers, "disturb", scope, *options)
    assert [step["wait"].split("</progress> ")[-1].split(",")[0] for step in steps[:-1]] == [
        f"{done} of 30 attributions" for done in range(31)
    ]
    found = steps[-1]["randomisation"]
    assert [line.name for line in found.data] == ["Gradient x input", "Saliency"]
    assert list(found.data[0].x) == ["trained", "head", "block 3", "block 2", "block 1", "stem"]
    assert steps[-1]["place"].visible
    assert not steps[-1]["start"].interactive
    measured = shown(lens, handlers, "measure", scope, *options)
    assert "not measured yet" not in measured["verdict"]
    assert measured["verdict"].count("<li") == 10
    assert measured["randomisation"] == found
    (again,) = run(lens, handlers, "measure", scope, *options)
    assert again["deletion"] == measured["deletion"]


def test_doubt_shows_the_table_over_the_samples(scope: Microscope) -> None:
    row = {"deletion": 0.25, "insertion": 0.5, "gap": None, "seconds": 0.125}
    table = {"methods": {"Saliency": row}, "images": 200, "output": "probability", "baseline": "mean colour"}
    measured = Microscope(
        scope.model, {"attributions": table | {"steps": 9, "samples": 7, "block": 2, "removals": 16}}, scope.device
    )
    components = pages(doubt, measured)
    assert any("200 images, probability" in str(c.value) for c in components if isinstance(c, gr.Markdown))
    (html,) = [c.value for c in components if c.elem_id == "doubt-table"]
    assert cells(html) == [["Saliency", "0.250", "0.500", "-", "0.12"]]
    assert any("evaluate --attributions" in str(c.value) for c in pages(doubt, scope) if isinstance(c, gr.Markdown))
