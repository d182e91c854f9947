"""Attributions are what theory says they are, and leave no trace on the network."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import (
    FeatureAblation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerConductance,
    LayerIntegratedGradients,
    NoiseTunnel,
    Saliency,
)

from mixer.model import PRESETS, Mixer, MixerConfig
from tests.viz.explained import ask, bent, contributions, ends, hooks_on, score, straight, weights
from viz.attribution.attribute import Attribution, attribute, attribute_in_steps, attribute_many
from viz.attribution.methods import METHODS, SHAPLEY, Settings, drawn
from viz.attribution.question import Question
from viz.capture import trace
from viz.mixing.shuffle import permute_patches, permuted_weights
from viz.pace import batch_size, seconds_per_pass
from viz.tokens import votes

QUICK = Settings(steps=6, draws=5)
COMPARING = [name for name, method in METHODS.items() if method.baseline and not method.block]
COMPLETE = [name for name, method in METHODS.items() if method.complete]
OF_BLOCKS = [name for name, method in METHODS.items() if method.block]
DRAWN = {"SmoothGrad", "SmoothGrad x input", "GradientShap", SHAPLEY}


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, dropout=0.5, pre_head_norm=True))


@pytest.fixture
def question(tiny: MixerConfig) -> Question:
    return ask(tiny)


def per_patch(model: Mixer, pixels) -> np.ndarray:
    return model.config.grid.to_tokens(pixels)[0].sum(1).detach().numpy()


# a network that is linear in its image


@pytest.mark.parametrize("name", [*COMPARING, "GradientShap"])
def test_on_a_linear_network_all_are_w_times_x_minus_b(tiny: MixerConfig, question: Question, name: str):
    model = straight(tiny)
    if name == "GradientShap":
        question = replace(question, background=question.baseline.expand(5, 3, 32, 32))
    found = attribute(model, question, name, QUICK)
    expected = contributions(model, question)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    assert found.total == pytest.approx(expected.sum(), rel=1e-4)
    assert found.difference == pytest.approx(expected.sum(), rel=1e-4)
    if found.pixels is not None:
        pixels = weights(model, 3) * (question.image - question.baseline)
        np.testing.assert_allclose(found.pixels, pixels.sum(0), rtol=1e-4, atol=1e-6)


def test_gradient_shap_compares_with_the_mean_of_many(tiny: MixerConfig, question: Question):
    model = straight(tiny)
    found = attribute(model, question, "GradientShap", Settings(draws=9))
    mean = replace(question, baseline=question.background.mean(0))
    np.testing.assert_allclose(found.values, contributions(model, mean), rtol=1e-4, atol=1e-6)
    assert found.gap == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["Saliency", "SmoothGrad"])
def test_on_a_linear_network_saliency_is_the_size_of_w(tiny: MixerConfig, question: Question, name: str):
    model = straight(tiny)
    found = attribute(model, question, name, QUICK)
    assert not found.signed
    np.testing.assert_allclose(found.pixels, weights(model, 3).abs().sum(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.values, per_patch(model, weights(model, 3).abs()[None]), rtol=1e-4)


@pytest.mark.parametrize("name", OF_BLOCKS)
@pytest.mark.parametrize("block", [0, 2])
def test_on_a_linear_network_blocks_find_what_the_head_reads(
    tiny: MixerConfig, question: Question, name: str, block: int
):
    model = straight(tiny)
    found = attribute(model, question, name, replace(QUICK, block=block))
    if name == "Token Grad-CAM":
        expected = (votes(trace(model, question.image[None]), model, depth=6)[:, 3] - model.head.bias[3].item()) / 16
    else:
        expected = contributions(model, question)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5)


# sums


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", COMPLETE)
def test_sums_are_compared_with_what_they_should_explain(model: Mixer, question: Question, name: str, output):
    question = replace(question, output=output)
    found = attribute(model, question, name, QUICK)
    empty, whole = ends(model, question)
    if name != "GradientShap":
        assert found.difference == pytest.approx(whole - empty, abs=1e-6)
    assert found.total == pytest.approx(found.values.sum(), abs=1e-4)
    assert found.gap == pytest.approx(found.total - found.difference, abs=1e-9)
    assert (found.output, found.target) == (output, 3)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in COMPLETE])
def test_other_sums_promise_nothing(model: Mixer, question: Question, name: str):
    found = attribute(model, question, name, QUICK)
    assert found.gap is None
    assert found.difference == pytest.approx(np.diff(ends(model, question))[0], abs=1e-5)


def test_the_probability_is_explained_as_a_probability(model: Mixer, question: Question):
    chosen = [replace(question, output="probability", target=target) for target in range(10)]
    found = np.sum([attribute(model, q, "Patch ablation").values for q in chosen], 0)
    np.testing.assert_allclose(found, 0, atol=1e-5)  # all probabilities together are 1, whatever is missing


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("Integrated Gradients", 1e-3), ("Layer Integrated Gradients", 1e-3), ("Layer Conductance", 2e-2)],
)
@pytest.mark.parametrize("block", [0, 1, 2])
def test_completeness_improves_with_the_steps(
    model: Mixer, question: Question, name: str, tolerance: float, block: int
):
    gaps = [attribute(model, question, name, Settings(steps=steps, block=block)).gap for steps in (2, 12, 160)]
    difference = abs(np.diff(ends(model, question))[0])
    assert abs(gaps[2]) < tolerance * difference
    assert abs(gaps[2]) < abs(gaps[0]) / 5


@pytest.mark.parametrize("name", COMPARING)
def test_a_patch_that_equals_its_baseline_gets_nothing(model: Mixer, question: Question, name: str):
    image, (rows, cols) = question.image.clone(), model.config.grid.pixels(6)
    image[:, rows, cols] = question.baseline[:, rows, cols]
    values = attribute(model, replace(question, image=image), name, QUICK).values
    assert values[6] == pytest.approx(0, abs=1e-6)
    assert np.abs(np.delete(values, 6)).min() > 1e-4


def test_a_patch_that_equals_all_baselines_gets_nothing(model: Mixer, question: Question):
    background = question.background.clone()
    rows, cols = model.config.grid.pixels(6)
    background[..., rows, cols] = question.image[:, rows, cols]
    values = attribute(model, replace(question, background=background), "GradientShap", QUICK).values
    assert values[6] == 0
    assert np.abs(np.delete(values, 6)).min() > 1e-4


# symmetry


@pytest.mark.parametrize("name", [name for name in METHODS if name not in DRAWN])
def test_permuting_patches_permutes_attributions(model: Mixer, question: Question, name: str):
    order, grid = np.roll(np.arange(16), 5), model.config.grid
    permuted = replace(
        question,
        image=permute_patches(question.image, grid, order),
        baseline=permute_patches(question.baseline, grid, order),
    )
    settings = replace(QUICK, block=1)
    expected = attribute(model, question, name, settings).values[order]
    copy = deepcopy(model)
    copy.load_state_dict(permuted_weights(model, order), strict=False)
    found = attribute(copy, permuted, name, settings).values
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


# parity with Captum


def captum(model: Mixer, question: Question, name: str):
    """Captum's own answer, by another way where there is one."""
    f, x, b = score(model, question), question.image[None], question.baseline[None]
    mask = model.config.grid.mask()[None, None]
    match name:
        case "Saliency":
            return per_patch(model, Saliency(f).attribute(x.clone().requires_grad_()))
        case "Gradient x input":
            shifted = InputXGradient(lambda d: f(d + b))
            return per_patch(model, shifted.attribute((x - b).requires_grad_()))
        case "Integrated Gradients":
            return per_patch(model, IntegratedGradients(f).attribute(x, b, n_steps=6))
        case "Patch ablation":
            one_by_one = FeatureAblation(f).attribute(x, b, feature_mask=mask)
            return model.config.grid.to_tokens(one_by_one)[0].mean(1).detach().numpy()
        case "Layer Integrated Gradients":
            method = LayerIntegratedGradients(f, model.blocks[1])
            return method.attribute(x, b, n_steps=6)[0].sum(1).detach().numpy()
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name", ["Saliency", "Gradient x input", "Integrated Gradients", "Patch ablation", "Layer Integrated Gradients"]
)
def test_the_same_as_captum_in_one_batch(model: Mixer, question: Question, name: str, monkeypatch: pytest.MonkeyPatch):
    expected = captum(model, question, name)
    for memory in (2**28, 1):  # all at once, one by one
        monkeypatch.setattr("viz.pace.MEMORY", memory)
        found = attribute(model, question, name, replace(QUICK, block=1))
        np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5)


def test_conductance_is_captums_with_less_error(model: Mixer, question: Question):
    f, x, b = score(model, question), question.image[None], question.baseline[None]
    method = LayerConductance(f, model.blocks[1])
    many = method.attribute(x, b, n_steps=1500, method="riemann_trapezoid")[0].sum(1).detach().numpy()
    few = method.attribute(x, b, n_steps=60)[0].sum(1).detach().numpy()
    found = attribute(model, question, "Layer Conductance", Settings(steps=60, block=1)).values
    assert np.abs(found - many).max() < np.abs(few - many).max() / 2
    assert np.abs(found - many).max() < 0.05 * np.abs(many).max()


def test_smoothgrad_and_gradientshap_have_captums_expectation(model: Mixer, question: Question):
    f, x = score(model, question), question.image[None]
    noise = 0.15 * float(x.max() - x.min())
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (Captum draws from it)
    runs, draws = range(30), 18
    smooth = NoiseTunnel(Saliency(f))
    captums = {
        "SmoothGrad x input": lambda: (
            smooth.attribute(x, nt_samples=draws, stdevs=noise, abs=False) * (x - question.baseline)
        ),
        "GradientShap": lambda: GradientShap(f).attribute(x, question.background, n_samples=draws),
    }
    question = replace(question, background=question.background.repeat(2, 1, 1, 1))
    for name, other in captums.items():
        expected = np.stack([per_patch(model, other()) for _ in runs])
        found = np.stack([attribute(model, question, name, Settings(draws=18, seed=seed)).values for seed in runs])
        error = np.sqrt((found.var(0, ddof=1) + expected.var(0, ddof=1)) / len(runs))
        assert np.abs((found.mean(0) - expected.mean(0)) / error).max() < 4


def test_grad_cam_by_hand(model: Mixer, question: Question):
    tokens = model.blocks[:2](model.stem(model.patches(question.image[None]))).detach().requires_grad_()
    logits = model.head(model.pre_head_norm(model.blocks[2:](tokens)).mean(1))
    (gradient,) = torch.autograd.grad(logits[0, 3], tokens)
    expected = torch.einsum("pc,c->p", tokens[0], gradient[0].mean(0)).detach()
    found = attribute(model, question, "Token Grad-CAM", Settings(block=1))
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)
    assert found.pixels is None


# cost


@pytest.mark.parametrize("name", METHODS)
def test_the_cost_is_known_beforehand(model: Mixer, question: Question, name: str):
    passes, _ = 0, seconds_per_pass(model)  # measured before they are counted

    def count(module, args, output):
        nonlocal passes
        passes += len(output) * (2 if torch.is_grad_enabled() else 1)

    hook = model.head.register_forward_hook(count)
    start = time.perf_counter()
    found = attribute(model, question, name, QUICK)
    waited = time.perf_counter() - start
    hook.remove()
    expected = METHODS[name].passes(16, QUICK) + question.unknown
    assert passes == found.passes == expected
    assert 0 < found.seconds <= waited


def test_time_per_pass(model: Mixer):
    assert 0 < seconds_per_pass(model.train()) < 1
    assert model.training


def test_batches_are_bounded():
    with torch.device("meta"):
        models = {name: Mixer(config) for name, config in PRESETS.items()}
    sizes = {name: (batch_size(model, False), batch_size(model, True)) for name, model in models.items()}
    assert sizes["seed"][0] >= 32  # where there is memory, one batch for all patches
    assert 4 <= sizes["seed"][1] <= 16
    assert all(1 <= gradients <= alone <= 256 for alone, gradients in sizes.values())
    assert sizes["H/14"] == (10, 1)


def test_batches_suit_the_cache_of_a_cpu(model: Mixer):
    assert batch_size(model, False) == batch_size(model, True) == 8


@pytest.mark.parametrize("name", ["SmoothGrad", "SmoothGrad x input", "GradientShap"])
def test_means_of_draws_are_refined(model: Mixer, question: Question, name: str):
    steps = list(attribute_in_steps(model, question, name, Settings(draws=7)))
    few, whole = (step for step in steps if isinstance(step, Attribution))
    costs = [METHODS[name].passes(16, Settings(draws=draws)) + question.unknown for draws in (5, 7)]
    assert [few.passes, whole.passes] == costs
    assert steps[steps.index(few) - 1] == costs[0]
    if name == "GradientShap":
        against = drawn(question, Settings(draws=7))[:5]
        mean = question.of(model(against)).mean().item()
        assert few.difference == pytest.approx(question.of(model(question.image[None])).item() - mean, abs=1e-4)
    else:
        np.testing.assert_allclose(few.values, attribute(model, question, name, Settings(draws=5)).values, rtol=1e-4)
    assert (few.standard_error is None) == (whole.standard_error is None) == (name == "SmoothGrad")


# many pictures


@pytest.mark.parametrize("name", METHODS)
def test_many_are_answered_as_each_alone(model: Mixer, question: Question, name: str, monkeypatch: pytest.MonkeyPatch):
    questions = [question]
    for seed, output in enumerate(("probability", "logit", "logit")):
        image = torch.randn(question.image.shape, generator=torch.Generator().manual_seed(seed + 10))
        questions.append(replace(question, image=image, target=seed, output=output))
    alone = [attribute(model, each, name, QUICK) for each in questions]
    sizes, forward = list[int](), model.forward
    monkeypatch.setattr(model, "forward", lambda images: (sizes.append(len(images)), forward(images))[1])
    steps = list(attribute_many(model, questions, name, QUICK))
    answers, done = [each for each in steps if isinstance(each, Attribution)], [n for n in steps if isinstance(n, int)]
    assert done == sorted(done)
    assert done[-1] == sum(each.passes for each in answers)
    for found, want in zip(answers, alone, strict=True):
        np.testing.assert_allclose(found.values, want.values, rtol=1e-3, atol=1e-6)
        assert found.difference == pytest.approx(want.difference, abs=1e-6)
        assert (found.target, found.output, found.passes) == (want.target, want.output, want.passes)
    if METHODS[name].passes(16, QUICK) == 2:
        assert sizes == [5, 4]  # the pictures and their common baseline; then with gradients


def test_nothing_is_asked_of_no_picture(model: Mixer):
    assert list(attribute_many(model, [], "Saliency")) == []


# other networks


@pytest.mark.parametrize("name", METHODS)
def test_other_grids(name: str):
    config = MixerConfig((15, 14), (3, 7), 4, (), 2, 9, 6, 8, norm_eps=1e-6, pre_head_norm=True, gelu="tanh")
    found = attribute(bent(config), ask(config), name, replace(QUICK, block=1))
    assert found.values.shape == (10,)
    assert np.isfinite(found.values).all()
    assert found.values.std() > 1e-5
    assert (found.pixels is not None) == METHODS[name].pixels
    if found.pixels is not None:
        assert found.pixels.shape == (15, 14)
        patches = found.pixels.reshape(5, 3, 2, 7).sum((1, 3)).flatten()
        np.testing.assert_allclose(found.values, patches, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_network_of_one_patch(name: str):
    config = MixerConfig((4, 5), (4, 5), 3, (), 2, 7, 6, 8)
    assert attribute(bent(config), ask(config, target=2), name, QUICK).values.shape == (1,)


def test_a_gap_is_told_as_a_share_of_what_there_is_to_explain(model: Mixer, question: Question):
    found = attribute(model, question, "Integrated Gradients", QUICK)
    assert found.gap_share == pytest.approx(abs(found.total / found.difference - 1), rel=1e-6)
    assert replace(found, gap=-0.5, difference=2.0).gap_share == 0.25
    assert replace(found, gap=None).gap_share is None  # it promises nothing
    assert replace(found, difference=0.0).gap_share is None  # there is nothing to explain


# traces


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_everything_is_as_before(model: Mixer, question: Question, name: str, fails: bool):
    def fail(module, args):
        raise RuntimeError("in the head")

    model.train()
    model.blocks[1].eval()
    model.stem.weight.requires_grad = False
    model.head.bias.grad = torch.arange(10.0)
    question.image.requires_grad = True
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    images = [x.detach().clone() for x in (question.image, question.baseline, question.background)]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    broken = model.head.register_forward_pre_hook(fail) if fails else None

    with pytest.raises(RuntimeError, match="in the head") if fails else nullcontext():
        attribute(model, question, name, QUICK)

    if broken:
        broken.remove()
    assert hooks_on(model) == 0
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert [key for key, p in model.named_parameters() if p.grad is not None] == ["head.bias"]
    assert model.head.bias.grad.tolist() == list(range(10))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    for now, before in zip((question.image, question.baseline, question.background), images, strict=True):
        assert torch.equal(now, before)
        assert now.grad is None
    assert (question.image.requires_grad, question.baseline.requires_grad) == (True, False)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_any_gradient_mode(model: Mixer, question: Question, name: str, mode):
    expected = attribute(model, question, name, QUICK).values
    for parameter in model.parameters():
        parameter.requires_grad = False
    with mode():
        fresh = replace(question, image=question.image.clone(), background=question.background.clone())
        np.testing.assert_allclose(attribute(model, fresh, name, QUICK).values, expected, rtol=1e-4, atol=1e-6)


def test_threads_get_their_own_answers(model: Mixer, question: Question):
    model.train()  # a visitor who found the mode of another would meet dropout
    other = replace(question, image=question.image.flip(2), target=5)
    jobs = [(q, name) for q in (question, other) for name in METHODS] * 2
    expected = [attribute(model, q, name, QUICK).values for q, name in jobs]
    with ThreadPoolExecutor(6) as visitors:
        found = list(visitors.map(lambda job: attribute(model, *job, QUICK).values, jobs))
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, right, rtol=1e-4, atol=1e-6)
    assert hooks_on(model) == 0


# bad requests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": 10}, "class 10 does not exist: there are 10"),
        ({"target": -1}, "class -1 does not exist"),
        ({"image": torch.full((3, 32, 32), torch.nan)}, "no numbers"),
        ({"baseline": torch.full((3, 32, 32), torch.inf)}, "no numbers"),
        (
            {"image": torch.zeros(3, 32, 28), "baseline": torch.zeros(3, 32, 28), "background": None},
            r"not \(3, 32, 28\)",
        ),
    ],
)
@pytest.mark.parametrize("name", ["Patch ablation", SHAPLEY])
def test_questions_that_make_no_sense(model: Mixer, question: Question, changes: dict, message: str, name: str):
    with pytest.raises(ValueError, match=message):
        attribute(model, replace(question, **changes), name, QUICK)


def test_an_output_that_there_is_not(model: Mixer, question: Question):
    object.__setattr__(question, "output", "odds")  # the checker of annotations would find it first
    with pytest.raises(ValueError, match="must be 'logit' or 'probability', not 'odds'"):
        attribute(model, question, "Saliency")


def test_settings_that_make_no_sense(model: Mixer, question: Question):
    for wrong in ({"steps": 0}, {"draws": 0}, {"draws": -3}, {"noise": 0.0}, {"noise": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Settings(**wrong)
    for name in OF_BLOCKS:
        for block in (-1, 3):
            with pytest.raises(ValueError, match=f"block {block} does not exist: there are 3"):
                attribute(model, question, name, Settings(block=block))
    with pytest.raises(ValueError, match="no method is named 'DeepLift': there are Gradient x input"):
        attribute(model, question, "DeepLift")
    with pytest.raises(ValueError, match="draws 20 baselines from the background, which has 9"):
        attribute(model, question, "GradientShap")
    with pytest.raises(ValueError, match="which has 0"):
        attribute(model, replace(question, background=None), "GradientShap")
    assert hooks_on(model) == 0


# what is drawn at random


@pytest.mark.parametrize("name", ["GradientShap", "SmoothGrad x input"])
def test_the_error_of_a_mean_over_draws_covers_what_other_draws_find(model: Mixer, question: Question, name: str):
    """GradientShap's points are stratified, which makes it steadier than its error says."""
    question = replace(question, background=torch.cat([question.background] * 3))
    found = [attribute(model, question, name, Settings(draws=24, seed=seed)) for seed in range(12)]
    scatter = np.stack([one.values for one in found]).std(0, ddof=1)
    error = np.stack([one.standard_error for one in found]).mean(0)
    assert error.shape == (16,)
    assert 0.1 < np.median(scatter / error) < 1.3
    assert np.isnan(attribute(model, question, name, Settings(draws=1)).standard_error).all()


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in ("GradientShap", "SmoothGrad x input", SHAPLEY)]
)
def test_what_is_not_a_mean_over_draws_has_no_error(model: Mixer, question: Question, name: str):
    assert attribute(model, question, name, QUICK).standard_error is None
