"""Captures hold what the modules computed, for the thread that asked, and leave the model as it was."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mixer.model import Mixer
from viz.capture import capture, depth_names, depth_sources, evaluating, exclusive, trace

MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def mixer(config):
    """Every weight drawn afresh: LayerNorms too, which would otherwise start as 1 and 0."""
    torch.manual_seed(0)
    model = Mixer(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.fixture
def model(tiny):
    return mixer(replace(tiny, dropout=0.5, pre_head_norm=True))


@pytest.fixture
def images():
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_capture_holds_outputs_and_inputs(model, images):
    with capture(model, ["stem", "blocks.0", "blocks.1.input", "head.input", ""]) as seen:
        assert not seen
        logits = model(images)
    stem = model.stem(model.patches(images))
    torch.testing.assert_close(seen["stem"], stem)
    torch.testing.assert_close(seen["blocks.0"], model.blocks[0](stem))
    torch.testing.assert_close(seen["blocks.1.input"], seen["blocks.0"], rtol=0, atol=0)
    torch.testing.assert_close(model.head(seen["head.input"]), logits)
    torch.testing.assert_close(seen[""], logits, rtol=0, atol=0)
    assert logits.requires_grad
    assert not any(tensor.requires_grad for tensor in seen.values())


def test_each_pass_replaces_the_one_before(model, images):
    with capture(model, ["stem"]) as seen:
        model(images)
        model(images[:1])
    torch.testing.assert_close(seen["stem"], model.stem(model.patches(images[:1])))


def test_hooks_are_gone_after_success_nesting_and_exception(model, images):
    with capture(model, ["stem", "head"]) as outer:
        with capture(model, ["stem"]) as inner:
            assert hooks_on(model) == 3
            model(images)
        assert hooks_on(model) == 2
        assert inner["stem"].data_ptr() == outer["stem"].data_ptr()
    assert hooks_on(model) == 0

    with pytest.raises(RuntimeError, match="in the body"), capture(model, ["stem"]), capture(model, ["head"]):
        raise RuntimeError("in the body")
    assert hooks_on(model) == 0

    with pytest.raises(ValueError, match="expected images"):
        trace(model, images[:, :, :31])
    assert hooks_on(model) == 0


@pytest.mark.parametrize("name", ["blocks.3", "stem.inputs", "gelu.input"])
def test_an_unknown_name_is_named_and_leaves_no_hook(model, name):
    with pytest.raises(ValueError, match=name), capture(model, ["stem", name]):
        pytest.fail("the context must not be entered")
    assert hooks_on(model) == 0


def reference(model, images):
    """The paper's equations in float64, on the raw weights."""
    weights = {name: value.double() for name, value in model.state_dict().items()}

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + model.config.norm_eps).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x):
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))

    cut = images.double().unfold(2, 4, 4).unfold(3, 16, 16)  # batch 3 rows cols height width
    values = torch.einsum("bkrchw->brchwk", cut).reshape(6, 16, 192)
    x = values @ weights["stem.weight"].T + weights["stem.bias"]
    depths, token_hidden, channel_hidden = [x], [], []
    for i in range(3):
        w1, b1, w2, b2 = (weights[f"blocks.{i}.token_mixing.{n}"] for n in MLP)
        h = gelu(torch.einsum("hp,bpc->bch", w1, norm(x, f"blocks.{i}.norm1")) + b1)
        x = x + torch.einsum("ph,bch->bpc", w2, h) + b2[:, None]
        token_hidden.append(h)
        depths.append(x)
        w1, b1, w2, b2 = (weights[f"blocks.{i}.channel_mixing.{n}"] for n in MLP)
        h = gelu(torch.einsum("hc,bpc->bph", w1, norm(x, f"blocks.{i}.norm2")) + b1)
        x = x + torch.einsum("ch,bph->bpc", w2, h) + b2
        channel_hidden.append(h)
        depths.append(x)
    pooled = (norm(x, "pre_head_norm") if model.config.pre_head_norm else x).mean(1)
    logits = pooled @ weights["head.weight"].T + weights["head.bias"]
    return depths, token_hidden, channel_hidden, pooled, logits


@pytest.mark.parametrize("pre_head_norm", [False, True])
def test_a_trace_equals_the_equations(tiny, images, pre_head_norm):
    model = mixer(replace(tiny, pre_head_norm=pre_head_norm))

    def close(actual, expected):
        torch.testing.assert_close(actual, expected.float(), rtol=1e-4, atol=1e-4)

    record = trace(model, images)
    depths, token_hidden, channel_hidden, pooled, logits = reference(model, images)
    close(record.depths, torch.stack(depths))
    close(record.stem, depths[0])
    for i in range(3):
        close(record.after_token_mixing[i], depths[2 * i + 1])
        close(record.after_channel_mixing[i], depths[2 * i + 2])
        close(record.token_hidden[i], token_hidden[i])
        close(record.channel_hidden[i], channel_hidden[i])
    close(record.pooled, pooled)
    close(record.logits, logits)


def test_depths_are_named_in_their_order(model, images):
    assert depth_names(3) == ("stem", "1a", "1b", "2a", "2b", "3a", "3b")
    sources = depth_sources(3)
    with capture(model, sources) as seen:
        depths = trace(model, images).depths
    for depth, source in zip(depths, sources, strict=True):
        torch.testing.assert_close(depth, seen[source], rtol=0, atol=0)


def test_one_image_of_a_trace(model, images):
    batch, alone = trace(model, images), trace(model, images[4:5])
    chosen = batch.image(4)
    torch.testing.assert_close(chosen.depths, alone.depths)
    torch.testing.assert_close(chosen.token_hidden, alone.token_hidden)
    torch.testing.assert_close(chosen.logits, alone.logits)
    assert chosen.stem.data_ptr() == batch.stem[4].data_ptr()
    for wrong in (-1, 6):
        with pytest.raises(ValueError, match=f"image {wrong} does not exist"):
            batch.image(wrong)


def test_modes_and_gradients_are_as_before(model, images):
    model.train()
    model.blocks[1].eval()
    model.stem.weight.requires_grad = False
    model.head.bias.grad = torch.arange(10.0)
    images.requires_grad = True
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]

    record = trace(model, images)
    with pytest.raises(ValueError, match="expected images"):
        trace(model, images[..., :31])

    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["head.bias"]
    assert model.head.bias.grad.tolist() == list(range(10))
    assert images.grad is None
    assert not record.logits.requires_grad
    assert not record.depths.requires_grad
    torch.testing.assert_close(record.logits, model.eval()(images))  # no dropout in the trace


def test_tracing_computes_nothing_of_its_own(model, images):
    class Operations(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is not torch.ops.aten.detach.default:
                self.names.append(str(func))
            return func(*args, **kwargs or {})

    with Operations() as bare, torch.no_grad():
        model(images)
    with Operations() as traced:
        trace(model, images)
    assert bare.names
    assert traced.names == bare.names


def test_two_threads_each_get_their_own_tensors(model, images):
    mine, theirs = images[:1], images[1:2]
    captured = {}

    def other():
        with capture(model, ["blocks.1.norm2.input"]) as seen:
            model(theirs)
        captured.update(seen)

    thread = threading.Thread(target=other)
    with capture(model, ["blocks.1.norm2.input"]) as seen:
        model(mine)
        thread.start()
        thread.join(timeout=0.2)  # without the lock, the other's pass ends within this time and overwrites `seen`
    thread.join()
    torch.testing.assert_close(seen["blocks.1.norm2.input"], trace(model, mine).after_token_mixing[1])
    torch.testing.assert_close(captured["blocks.1.norm2.input"], trace(model, theirs).after_token_mixing[1])


def test_two_threads_cannot_change_each_others_mode(model, images):
    model.train()
    traced = []
    thread = threading.Thread(target=lambda: traced.append(trace(model, images)))
    with evaluating(model):
        thread.start()
        thread.join(timeout=0.2)
        assert not model.training
        assert not traced
    thread.join()
    assert all(module.training for module in model.modules())


def test_many_visitors_share_one_model(model, images):
    model.train()  # a visitor who found the mode of another would meet dropout
    expected = [trace(model, image[None]) for image in images]
    with ThreadPoolExecutor(6) as visitors:
        found = list(visitors.map(lambda i: trace(model, images[i % 6, None]), range(18)))
    for i, record in enumerate(found):
        torch.testing.assert_close(record.depths, expected[i % 6].depths)
        torch.testing.assert_close(record.channel_hidden, expected[i % 6].channel_hidden)
        torch.testing.assert_close(record.logits, expected[i % 6].logits)
    assert hooks_on(model) == 0
    assert all(module.training for module in model.modules())


def test_each_model_has_its_own_lock(model, network):
    assert exclusive(model) is exclusive(model)
    assert exclusive(model) is not exclusive(network)


def test_what_a_module_computes_can_be_changed_for_all_that_follows(model, images):
    with capture(model, ["blocks.1.input", "stem"], {"stem": lambda tokens: tokens * 2}) as seen, torch.no_grad():
        logits = model(images)
    stem = 2 * model.stem(model.patches(images))
    torch.testing.assert_close(seen["stem"], stem)
    torch.testing.assert_close(seen["blocks.1.input"], model.blocks[0](stem))
    torch.testing.assert_close(logits, model.classify(model.blocks(stem)))


def test_the_input_of_a_module_is_changed_for_it_alone(model, images):
    """The residual path around a LayerNorm keeps what it had."""
    name = "blocks.0.norm2.input"
    with capture(model, [name, "blocks.0"], {name: torch.zeros_like}) as seen, torch.no_grad():
        model(images)
        block, stem = model.blocks[0], model.stem(model.patches(images))
        halfway = block.mix_tokens(stem)
    assert not seen[name].any()
    added = block.channel_mixing(block.norm2(torch.zeros_like(halfway)))
    torch.testing.assert_close(seen["blocks.0"], halfway + added)


def test_changes_are_gone_after_success_nesting_and_exception(model, images):
    before = model(images)
    with capture(model, ["head"], {"stem": torch.zeros_like}) as outer:
        with capture(model, ["stem"], {"blocks.0": torch.ones_like, "head.input": torch.zeros_like}) as inner:
            model(images)
            assert not inner["stem"].any()
            torch.testing.assert_close(outer["head"], model.head.bias.expand(6, -1))
        assert hooks_on(model) == 2
    assert hooks_on(model) == 0
    torch.testing.assert_close(model(images), before, rtol=0, atol=0)

    def fails(tokens):
        raise RuntimeError("in the change")

    with pytest.raises(RuntimeError, match="in the change"), capture(model, ["head"], {"blocks.1": fails}):
        model(images)
    assert hooks_on(model) == 0
    with pytest.raises(ValueError, match="nowhere"), capture(model, [], {"stem": torch.ones_like, "nowhere": fails}):
        pytest.fail("the context must not be entered")
    assert hooks_on(model) == 0
    torch.testing.assert_close(model(images), before, rtol=0, atol=0)
