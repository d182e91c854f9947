"""Attribution and Doubt: what they show, against what was computed."""

import asyncio
from dataclasses import replace
from types import ModuleType

import gradio as gr
import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from viz import faithfulness
from viz.attribution import METHODS, attribute
from viz.microscope import Microscope
from viz.panels import attribution, doubt
from viz.panels.asking import put
from viz.panels.lens import Lens

LOGITS = ("mean colour", "logit")


@pytest.fixture(scope="module")
def scope() -> Microscope:
    torch.manual_seed(0)
    config = MixerConfig(patch_size=(4, 16), num_blocks=3, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17)
    return Microscope(Mixer(config), {}, torch.device("cpu"))


def build(module: ModuleType, scope: Microscope) -> tuple[Lens, dict[str, gr.blocks.BlockFunction]]:
    """The lens, and its handlers by name."""

    async def page() -> tuple[Lens, gr.Blocks]:
        with gr.Blocks() as page:
            return module.build(scope, gr.State(scope.first())), page

    lens, page_ = asyncio.run(page())
    return lens, {handler.fn.__name__: handler for handler in page_.fns.values() if handler.fn is not None}


def shown(lens: Lens, handlers: dict, name: str, scope: Microscope, *options: object, **changes: object) -> dict:
    """The last that a handler gives for a selection, by the ends of the components' ids."""
    (asked,) = lens.draw(replace(scope.first(), **changes), *options)
    handler = handlers[name]
    given = handler.fn(asked, gr.Progress())
    values = given if isinstance(given, list) else list(given)[-1]
    ids = [output.elem_id.split("-", 1)[-1] for output in handler.outputs]
    return dict(zip(ids, values, strict=True))


def test_every_method_s_values_lie_over_the_picture_on_one_scale(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    every = [name for name in METHODS if name != "Shapley values"]
    found = shown(
        lens,
        handlers,
        "explain",
        scope,
        every,
        *LOGITS,
        attribution.PATCHES,
        0.5,
        attribution.RUNNER_UP,
        patch=7,
        depth=4,
    )
    maps = [trace for trace in found["maps"].data if trace.type == "heatmap"]
    assert [trace.name.removesuffix(" (unsigned)") for trace in maps] == every
    question = scope.explanations.question(put(replace(scope.first(), depth=4), *LOGITS))
    for trace, name in zip(maps, every, strict=True):
        settings = attribution_settings(block=1)
        values = attribute(scope.model, question, name, settings).values
        np.testing.assert_allclose(np.asarray(trace.z).ravel(), values, rtol=1e-4, atol=1e-7)
        assert trace.text[3][1] == f"{trace.name}, patch (3, 1)"
        assert trace.opacity == 0.5
    spans = {(trace.zmin, trace.zmax) for trace in maps if not trace.name.endswith("(unsigned)")}
    assert len(spans) == 1
    assert all(trace.zmin is None for trace in maps if trace.name.endswith("(unsigned)"))
    lines = found["table"].splitlines()
    assert lines[0].startswith("| method | patch (3, 1) | sum | should be | gap |")
    assert len(lines) == 2 + len(every)
    assert np.asarray(found["agreement"].data[0].z).shape == (len(every), len(every))


def attribution_settings(block: int):
    from viz.methods import Settings

    return Settings(block=block)


def test_pixels_add_up_to_their_patches(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    values = {}
    for resolution in (attribution.PATCHES, attribution.PIXELS):
        methods = ["Integrated Gradients", "Patch ablation"]
        found = shown(lens, handlers, "explain", scope, methods, *LOGITS, resolution, 0.5, attribution.RUNNER_UP)
        values[resolution] = [np.asarray(t.z) for t in found["maps"].data if t.type == "heatmap"]
    fine, coarse = values[attribution.PIXELS], values[attribution.PATCHES]
    assert fine[0].shape == (32, 32)
    np.testing.assert_allclose(fine[0].reshape(8, 4, 2, 16).sum((1, 3)), coarse[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(fine[1] * 64, coarse[1], rtol=1e-5)  # this method has none: its values, spread


def test_the_difference_of_two_classes(scope: Microscope) -> None:
    lens, handlers = build(attribution, scope)
    found = shown(
        lens, handlers, "explain", scope, ["Patch ablation"], *LOGITS, attribution.PATCHES, 1, "truck", target=2
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
    options = (["Saliency"], *LOGITS, attribution.PATCHES, 1, attribution.RUNNER_UP)
    for target, other in ((ranked[0], ranked[1]), (ranked[5], ranked[0])):
        (asked,) = lens.draw(replace(scope.first(), target=target), *options)
        assert asked.other == other


def test_the_page_opens_with_nothing_asked(scope: Microscope) -> None:
    for module, name in ((attribution, "explain"), (doubt, "measure")):
        given = build(module, scope)[1][name].fn(None, gr.Progress())
        (values,) = [given] if isinstance(given, list) else list(given)
        assert all(value == gr.skip() for value in values)


def test_doubt_holds_an_attribution_against_chance(scope: Microscope) -> None:
    lens, handlers = build(doubt, scope)
    found = shown(lens, handlers, "measure", scope, "Patch ablation", "black", "probability", "own mean")
    asked = put(scope.first(), "black", "probability")
    values = attribute(scope.model, scope.explanations.question(asked), "Patch ablation").values
    question = scope.explanations.question(replace(asked, baseline="own mean"))
    own = faithfulness.curves(scope.model, question, values)
    for view, curve in (("deletion", own.deletion), ("insertion", own.insertion)):
        (line,) = [trace for trace in found[view].data if trace.name.startswith("this order")]
        np.testing.assert_allclose(line.y, curve, rtol=1e-5)
        assert f"(area {faithfulness.area(curve):.2f})" in line.name
    assert found["randomisation"] is None
    assert "random orders at deletion (rule: at least 95%)" in found["verdict"]
    assert "not measured yet" in found["verdict"]


def test_doubt_randomises_and_disturbs_and_remembers(scope: Microscope) -> None:
    lens, handlers = build(doubt, scope)
    options = ("Gradient x input", *LOGITS, "blurred")
    found = shown(lens, handlers, "disturb", scope, *options)
    assert list(found["randomisation"].data[0].x) == ["trained", "head", "block 3", "block 2", "block 1", "stem"]
    measured = shown(lens, handlers, "measure", scope, *options)
    assert "not measured yet" not in measured["verdict"]
    assert measured["randomisation"] == found["randomisation"]
    assert sum(line.startswith("- ") for line in measured["verdict"].splitlines()) == 5
