"""What depends on the weights is told from what does not, and the network itself is never touched."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.metrics import sensitivity_max

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import ask, bent, hooks_on, straight
from viz.attribution.attribute import attribute
from viz.attribution.methods import Settings
from viz.attribution.question import Question
from viz.doubt.sanity import Randomised, agreement, randomisation, rank_correlation, sensitivity
from viz.pace import finish


@pytest.fixture
def question(tiny: MixerConfig) -> Question:
    return ask(tiny)


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, pre_head_norm=True, dropout=0.5))


def at_once(explain):
    """As steps without a break."""

    def steps(of):
        yield 0
        return explain(of)

    return steps


def test_rank_correlation_by_hand():
    a = np.array([3.0, 1.0, 2.0, 10.0])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # without ties: 1 - 6 sum d^2 / (n (n^2 - 1)), with ranks 3 1 2 4 against 2 1 4 3
    assert rank_correlation(a, np.array([0.2, 0.1, 0.4, 0.3])) == pytest.approx(1 - 6 * (1 + 0 + 4 + 1) / 60)
    # with ties: ranks 1.5 1.5 3 4 against 1 2 3 4 correlate at 4.5 / sqrt(4.5 * 5)
    assert rank_correlation(np.array([0.0, 0.0, 1.0, 2.0]), np.arange(4.0)) == pytest.approx(4.5 / np.sqrt(22.5))


def test_where_all_are_equal_nothing_correlates():
    equal, other = np.zeros(4), np.arange(4.0)
    assert (rank_correlation(equal, other), rank_correlation(other, equal)) == (0, 0)
    assert rank_correlation(equal, equal + 3) == 1


def test_a_constant_method_does_not_change(model: Mixer):
    steps = randomisation(model, at_once(lambda model: np.arange(16.0)), np.arange(16.0), draws=3, seed=0)
    first, *others, found = (step for step in steps if isinstance(step, Randomised))
    assert np.isfinite(first.correlations).tolist() == [True] + 4 * [False]
    assert [int(np.isfinite(one.draws).sum()) for one in (*others, found)] == [0, 0, 0, 1, 2, 3]
    assert found.stages == ("head", "block 3", "block 2", "block 1", "stem")
    assert found.correlations == pytest.approx([1] * 5)
    assert found.draws == pytest.approx([1] * 3)
    assert found.likeness == pytest.approx(1)


def test_likeness_is_the_mean_size_over_the_draws():
    found = Randomised(("head",), np.array([0.6]), np.array([0.6, -0.2, 0.1]))
    assert found.likeness == pytest.approx(0.3)


def test_each_stage_randomises_one_part_more(model: Mixer):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    changed: list[set[str]] = []

    def explain(copy: Mixer) -> np.ndarray:
        now = copy.state_dict()
        changed.append({name for name, value in before.items() if not torch.equal(value, now[name])})
        return np.arange(16.0)

    list(randomisation(model, at_once(explain), np.arange(16.0), draws=2, seed=0))
    assert changed.pop() == changed[-1]  # the second draw is of all of them
    parts = [("head.", "pre_head_norm."), ("blocks.2.",), ("blocks.1.",), ("blocks.0.",), ("stem.",)]
    for stage in range(5):
        done = tuple(prefix for part in parts[: stage + 1] for prefix in part)
        assert changed[stage] == {name for name in before if name.startswith(done)}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_keep_their_mean_and_spread(tiny: MixerConfig):
    large = replace(tiny, hidden_dim=300, num_blocks=1)
    model, seen = bent(large), []
    explain = at_once(lambda copy: seen.append(copy.stem.weight.clone()) or np.arange(16.0))
    list(randomisation(model, explain, np.arange(16.0), draws=2, seed=0))
    trained, random, other = model.stem.weight, *seen[-2:]
    assert torch.equal(seen[0], trained)  # the stem is the last to go
    assert abs(torch.corrcoef(torch.stack([random.flatten(), other.flatten()]))[0, 1]) < 0.02
    assert random.std().item() == pytest.approx(trained.std().item(), rel=0.02)
    assert random.mean().item() == pytest.approx(trained.mean().item(), abs=0.01 * trained.std().item())
    assert abs(torch.corrcoef(torch.stack([random.flatten(), trained.flatten()]))[0, 1]) < 0.02


def test_a_method_that_looks_at_the_weights_changes(model: Mixer, question: Question):
    def explain(model: Mixer) -> np.ndarray:
        return attribute(model, question, "Patch ablation").values

    first, again, other = ([*randomisation(model, at_once(explain), explain(model), 3, seed)][-1] for seed in (0, 0, 1))
    assert first.correlations.tolist() == again.correlations.tolist() != other.correlations.tolist()
    assert first.draws.tolist() == again.draws.tolist()
    assert first.draws[0] == first.correlations[-1]
    assert len(set(first.draws)) == 3
    assert first.likeness < 0.5
    assert (np.abs(first.correlations) <= 1).all()


def test_randomisation_leaves_no_trace(model: Mixer, question: Question):
    model.train()
    original, random = attribute(model, question, "Saliency").values, torch.get_rng_state()
    explain = at_once(lambda copy: attribute(copy, question, "Saliency").values)
    for _ in randomisation(model, explain, original, draws=2, seed=0):
        assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in model.parameters())
    assert hooks_on(model) == 0


def test_sensitivity_by_hand(tiny: MixerConfig, question: Question):
    seen: list[torch.Tensor] = []

    def explain(image: torch.Tensor) -> np.ndarray:
        seen.append(image.clone())
        return np.array([image[0, 0, 0].item() + 7, 24.0])

    image = question.image.clone()
    image[0, 0, 0] = 0
    found = finish(sensitivity(at_once(explain), image, np.array([7.0, 24.0]), radius=0.5, draws=6, seed=0))
    assert len(seen) == 6
    changes = torch.stack(seen) - image
    assert changes.abs().max() <= 0.5
    assert changes.abs().mean() == pytest.approx(0.25, abs=0.01)
    assert found == pytest.approx(changes[:, 0, 0, 0].abs().max().item() / 25, rel=1e-5)  # the length of (7, 24)
    assert found == finish(sensitivity(at_once(explain), image, np.array([7.0, 24.0]), radius=0.5, draws=6, seed=0))


def test_sensitivity_is_captums(tiny: MixerConfig, question: Question):
    model = bent(tiny)

    def explain(image: torch.Tensor) -> np.ndarray:
        return attribute(model, replace(question, image=image), "Saliency").values

    generator = torch.Generator().manual_seed(0)

    def disturb(images: torch.Tensor) -> tuple[torch.Tensor]:
        noise = torch.rand(images.shape, generator=generator, dtype=torch.float64) * 2 - 1
        return (images + 0.1 * noise.to(images),)

    captums = sensitivity_max(
        lambda images: (torch.stack([torch.from_numpy(explain(image)) for image in images[0]]),),
        question.image[None],
        disturb,
        n_perturb_samples=4,
        max_examples_per_batch=1,
    )
    found = finish(sensitivity(at_once(explain), question.image, explain(question.image), 0.1, draws=4, seed=0))
    assert found == pytest.approx(captums.item(), rel=1e-4)


def test_saliency_of_a_linear_network_is_insensitive(tiny: MixerConfig, question: Question):
    model, image = straight(tiny), question.image

    def changes(name: str) -> float:
        def explain(image: torch.Tensor) -> np.ndarray:
            return attribute(model, replace(question, image=image), name).values

        return finish(sensitivity(at_once(explain), image, explain(image), 0.1, draws=3, seed=0))

    assert changes("Saliency") == pytest.approx(0, abs=1e-5)
    assert changes("Patch ablation") > 1e-3


def test_agreement(tiny: MixerConfig, question: Question):
    model, settings = straight(tiny), Settings(steps=4, draws=3)
    names = ["Patch ablation", "Integrated Gradients", "Saliency"]
    found = agreement([attribute(model, question, name, settings) for name in names])
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(found.diagonal(), 1)
    assert found[0, 1] == pytest.approx(1, abs=0.01)
    ablation, _, saliency = (attribute(model, question, name, settings).values for name in names)
    assert found[0, 2] == pytest.approx(rank_correlation(np.abs(ablation), saliency))  # signs are no rank of size


def test_wrong_values(question: Question):
    with pytest.raises(ValueError, match="draws must be at least 1, not 0"):
        finish(sensitivity(at_once(lambda image: np.zeros(16)), question.image, np.zeros(16), 0.1, draws=0, seed=0))
