import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent, straight
from viz import faithfulness
from viz.attribution import METHODS, attribute
from viz.method_table import SETTINGS, in_words, method_table
from viz.methods import Settings
from viz.question import Question


def images(config: MixerConfig, count: int) -> torch.Tensor:
    return torch.randn(count, 3, *config.image_size, generator=torch.Generator().manual_seed(2))


def test_it_is_the_mean_over_the_images(tiny: MixerConfig) -> None:
    model, pictures = bent(tiny), images(tiny, 9)
    table = method_table(model, pictures)
    areas = []
    for image in pictures:
        question = Question(image, torch.zeros_like(image), int(model(image[None]).argmax()), "probability")
        values = attribute(model, question, "Layer Conductance", Settings(SETTINGS.steps, block=1)).values
        areas.append(float(faithfulness.area(faithfulness.curves(model, question, values).deletion)))
    assert table["methods"]["Layer Conductance"]["deletion"] == pytest.approx(np.mean(areas), rel=1e-5)
    assert table["images"] == 9
    assert set(table["methods"]) == {*METHODS, "random order"}


def test_where_all_is_linear_ablation_beats_chance_and_nothing_is_missing(tiny: MixerConfig) -> None:
    methods = method_table(straight(tiny), images(tiny, 8))["methods"]
    for name in ("Patch ablation", "Shapley values"):
        assert methods[name]["deletion"] < methods["random order"]["deletion"]
        assert methods[name]["insertion"] > methods["random order"]["insertion"]
    assert methods["Shapley values"]["gap"] == pytest.approx(0, abs=1e-5)
    assert methods["Saliency"]["gap"] is None


def test_progress_goes_over_the_images(network: Mixer) -> None:
    seen = []

    def follow(numbers):
        for number in numbers:
            seen.append(number)
            yield number

    method_table(network, images(network.config, 8), follow)
    assert seen == list(range(8))


def test_in_words_the_best_at_deletion_comes_first() -> None:
    rows = {"A": {"deletion": 0.5, "insertion": 0.6, "gap": None, "seconds": 1.0}}
    rows["B"] = {"deletion": 0.25, "insertion": 0.7, "gap": 0.0123, "seconds": 0.5}
    table = {"methods": rows, "images": 9, "steps": 20, "samples": 8, "baseline": "black", "output": "probability"}
    lines = in_words(table).splitlines()
    assert lines[2] == "| B | 0.250 | 0.700 | 1.2% | 0.50 |"
    assert lines[3] == "| A | 0.500 | 0.600 | - | 1.00 |"
    assert "9 images" in lines[-1]
    assert "evaluate --attributions" in in_words(None)
