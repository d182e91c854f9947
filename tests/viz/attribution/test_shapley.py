"""Shapley values by sampling are efficient, right within their standard error, and let others work in between."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import ask, bent, ends
from viz.attribution.attribute import attribute, attribute_in_steps
from viz.attribution.methods import SHAPLEY, Settings
from viz.attribution.question import Question


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, pre_head_norm=True))


@pytest.fixture
def question(tiny: MixerConfig) -> Question:
    return ask(tiny)


def test_shapley_values_are_efficient_after_any_number_of_orders(model: Mixer, question: Question):
    empty, whole = ends(model, question)
    for count in range(1, 5):
        found = attribute(model, question, SHAPLEY, Settings(draws=count))
        assert found.gap == pytest.approx(0, abs=1e-9)
        assert found.difference == whole - empty
        assert found.values.sum() == pytest.approx(whole - empty, abs=1e-4)
        assert found.passes == 15 * count + 2


def test_shapley_values_against_all_orders(question: Question):
    model = bent(MixerConfig((10, 12), (5, 6), 7, (), 2, 8, 9, 11))  # 4 patches: 24 orders
    question = ask(model.config)
    tokens = [model.config.grid.to_tokens(x[None])[0] for x in (question.image, question.baseline)]

    @torch.no_grad()
    def value(there) -> float:
        rows = torch.stack([tokens[0 if patch in there else 1][patch] for patch in range(4)])
        return model(model.config.grid.to_images(rows[None]))[0, 3].item()

    gains = np.zeros((24, 4))
    for row, order in zip(gains, permutations(range(4)), strict=True):
        for place, patch in enumerate(order):
            row[patch] = value(order[: place + 1]) - value(order[:place])
    found = attribute(model, question, SHAPLEY, Settings(draws=250))
    assert np.abs((found.values - gains.mean(0)) / found.standard_error).max() < 4
    np.testing.assert_allclose(found.standard_error, gains.std(0) / np.sqrt(250), rtol=0.15)


def test_shapley_steps_seed_and_first_error(model: Mixer, question: Question):
    first, again, other = (attribute(model, question, SHAPLEY, Settings(draws=3, seed=seed)) for seed in (7, 7, 8))
    assert np.isnan(attribute(model, question, SHAPLEY, Settings(draws=1)).standard_error).all()
    assert (first.standard_error >= 0).all()
    np.testing.assert_array_equal(first.values, again.values)
    assert (first.values != other.values).any()
    steps = list(attribute_in_steps(model, question, SHAPLEY, Settings(draws=3, seed=7)))
    done = [step for step in steps if isinstance(step, int)]
    assert done == sorted(done)
    assert done[-1] == 15 * 3 + 2
    for draws, found in enumerate((step for step in steps if not isinstance(step, int)), 1):
        alone = attribute(model, question, SHAPLEY, Settings(draws=draws, seed=7))
        np.testing.assert_array_equal(found.values, alone.values)
        np.testing.assert_array_equal(found.standard_error, alone.standard_error)
        assert found.passes == alone.passes == 15 * draws + 2
        assert found.gap == pytest.approx(0, abs=1e-9)


def test_shapley_leaves_the_model_to_others_between_the_orders(model: Mixer, question: Question):
    steps = attribute_in_steps(model.train(), question, SHAPLEY, Settings(draws=2))
    next(steps)
    assert model.training
    with ThreadPoolExecutor(1) as other:
        other.submit(attribute, model, question, "Saliency").result(timeout=5)
    next(steps)
