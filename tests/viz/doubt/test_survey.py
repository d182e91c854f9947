import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent, straight
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question
from viz.doubt import faithfulness
from viz.doubt.survey import COLUMNS, SETTINGS, description, rows, survey


def images(config: MixerConfig, count: int) -> torch.Tensor:
    return torch.randn(count, 3, *config.image_size, generator=torch.Generator().manual_seed(2))


@pytest.mark.long
def test_it_is_the_mean_over_the_images(tiny: MixerConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viz.doubt.survey.STEPS", 16)  # as many as there are patches
    model, pictures = bent(tiny), images(tiny, 5)
    table = survey(model, pictures)
    areas = []
    for image in pictures:
        question = Question(image, torch.zeros_like(image), int(model(image[None]).argmax()), "probability")
        values = attribute(model, question, "Layer Conductance", Settings(SETTINGS.steps, block=1)).values
        areas.append(float(faithfulness.area(faithfulness.curves(model, question, values).deletion)))
    assert table["methods"]["Layer Conductance"]["deletion"] == pytest.approx(np.mean(areas), rel=1e-5)
    assert table["images"] == 5
    assert set(table["methods"]) == {*METHODS, "random order"}


@pytest.mark.long
def test_where_all_is_linear_ablation_beats_chance_and_nothing_is_missing(tiny: MixerConfig) -> None:
    methods = survey(straight(tiny), images(tiny, 8))["methods"]
    for name in ("Patch ablation", "Shapley values"):
        assert methods[name]["deletion"] < methods["random order"]["deletion"]
        assert methods[name]["insertion"] > methods["random order"]["insertion"]
    assert methods["Shapley values"]["gap"] == pytest.approx(0, abs=1e-5)
    assert methods["Saliency"]["gap"] is None


@pytest.mark.long
def test_steps_of_several_patches_hardly_change_an_area() -> None:
    model = bent(MixerConfig(patch_size=(4, 8), num_blocks=2, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17))
    pictures = images(model.config, 8)
    table = survey(model, pictures)["methods"]["Patch ablation"]
    exact = []
    for image in pictures:
        question = Question(image, torch.zeros_like(image), int(model(image[None]).argmax()), "probability")
        values = attribute(model, question, "Patch ablation").values
        curves = faithfulness.curves(model, question, values)
        exact.append([float(faithfulness.area(curve)) for curve in (curves.deletion, curves.insertion)])
    assert [table["deletion"], table["insertion"]] == pytest.approx(np.mean(exact, 0).tolist(), abs=0.02)


def test_progress_goes_over_the_images(network: Mixer) -> None:
    seen = []

    def progress(numbers):
        for number in numbers:
            seen.append(number)
            yield number

    survey(network, images(network.config, 4), progress)
    assert seen == list(range(4))


def test_the_best_at_deletion_comes_first() -> None:
    measured = {"A": {"deletion": 0.5, "insertion": 0.6, "gap": None, "seconds": 1.0}}
    measured["B"] = {"deletion": 0.25, "insertion": 0.7, "gap": 0.0123, "seconds": 0.5}
    assert COLUMNS == ("method", "deletion", "insertion", "gap", "seconds")
    assert rows({"methods": measured}) == [
        ["B", "0.250", "0.700", "1.2%", "0.50"],
        ["A", "0.500", "0.600", "-", "1.00"],
    ]


def test_it_says_how_it_was_measured(network: Mixer) -> None:
    table = survey(network, images(network.config, 4))
    assert description(table).endswith(
        f" Settings: 4 images, probability, baseline mean colour, {SETTINGS.steps} steps, {SETTINGS.draws} copies or "
        "orders, block 2, patches removed in 8 steps."
    )
