"""The measures on tokens, against values worked out by hand, independent computations and symmetries of the network."""

import threading
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.model import Mixer
from viz.capture import Trace, capture, trace
from viz.tokens import (
    LogitLens,
    leads_for_good,
    logit_lens,
    neighbours,
    norms,
    pca_colours,
    sample_tokens,
    similarity,
    similarity_matrix,
    update_norms,
    votes,
)


@pytest.fixture(params=[False, True], ids=["plain", "pre_head_norm"])
def model(request, tiny):
    torch.manual_seed(0)
    model = Mixer(replace(tiny, pre_head_norm=request.param)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.fixture
def image():
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def traced(depths):
    """A trace of one image with the given tokens (depths patches channels) and nothing to say of the rest."""
    depths = torch.as_tensor(depths, dtype=torch.float32)[:, None]
    return Trace(
        stem=depths[0],
        after_token_mixing=tuple(depths[1::2]),
        after_channel_mixing=tuple(depths[2::2]),
        token_hidden=(),
        channel_hidden=(),
        pooled=torch.zeros(1, depths.shape[-1]),
        logits=torch.zeros(1, 10),
    )


def test_norms_by_hand():
    # two patches: one grows from (3, 4) by (3, 4), then by nothing; the other starts as zero, gets (0, 2), loses (0, 3)
    tokens = traced([[[3, 4], [0, 0]], [[6, 8], [0, 2]], [[6, 8], [0, -1]]])
    assert norms(tokens).tolist() == [[5, 0], [10, 2], [10, 1]]
    assert update_norms(tokens).tolist() == [[5, 2], [0, 3]]


def test_blocks_that_pass_their_input_on_add_nothing(model, image):
    first = deepcopy(model.blocks[0])
    model.start_as_identity()
    model.blocks[0] = first
    added = update_norms(trace(model, image))
    assert added[:2].min() > 0
    assert not added[2:].any()
    assert added.shape == (6, 16)


def numpy_colours(points):
    """Principal components by numpy's SVD in float64; the sign makes the largest loading positive."""
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    colours = []
    for axis in axes[:3]:
        scores = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
        colours.append((scores - scores.min()) / (scores.max() - scores.min()))
    return np.stack(colours, 1), (singular**2 / (singular**2).sum())[:3]


def test_pca_equals_numpy(model, image):
    record = trace(model, image)
    tokens = record.depths[:, 0].numpy()

    joint = pca_colours(record, joint=True)
    colours, explained = numpy_colours(tokens.reshape(-1, 11))
    np.testing.assert_allclose(joint.colours, colours.reshape(7, 16, 3), atol=1e-4)
    np.testing.assert_allclose(joint.explained, explained[None], rtol=1e-4)

    single = pca_colours(record, joint=False)
    for depth in range(7):
        colours, explained = numpy_colours(tokens[depth])
        np.testing.assert_allclose(single.colours[depth], colours, atol=1e-4)
        np.testing.assert_allclose(single.explained[depth], explained, rtol=1e-4)


def test_pca_by_hand():
    # variance 2 x 36 along the second channel, 2 x 4 along the first
    points = [[0, -6], [0, 6], [-2, 0], [2, 0], [0, 0]]
    found = pca_colours(traced([points]), joint=False)
    np.testing.assert_allclose(found.explained, [[0.9, 0.1, 0]], atol=1e-6)
    expected = [[0, 0.5, 0.5], [1, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 0.5]]
    np.testing.assert_allclose(found.colours[0], expected, atol=1e-6)


def test_tokens_that_are_equal_are_grey():
    generator = torch.Generator().manual_seed(0)
    token = 1 + torch.rand(11, generator=generator)
    rounding = torch.randn(1, 16, 11, generator=generator) * 1e-7
    found = pca_colours(traced(token + rounding), joint=True)
    assert (found.colours == 0.5).all()
    assert not found.explained.any()


def test_similarity_by_hand():
    # the angles between neighbours are 30 and 60 degrees; length does not count; a zero token is like nothing
    tokens = [[2, 0], [3 * 3**0.5 / 2, 3 / 2], [0, 5], [0, 0]]
    half, most = 0.5, 3**0.5 / 2
    matrix = [[1, most, 0, 0], [most, 1, half, 0], [0, half, 1, 0], [0, 0, 0, 0]]
    turned = [[0, 1], [1, 0], [1, 0], [-1, 0]]
    record = traced([tokens, turned, turned])
    np.testing.assert_allclose(similarity_matrix(record, 0), matrix, atol=1e-6)
    np.testing.assert_allclose(similarity(record, 1), [matrix[1], [0, 1, 1, -1], [0, 1, 1, -1]], atol=1e-6)


def test_similarity_is_a_row_of_the_matrix(model, image):
    record = trace(model, image)
    rows = [similarity_matrix(record, depth)[13] for depth in range(7)]
    np.testing.assert_allclose(similarity(record, 13), rows, atol=1e-6)


def test_the_mean_of_the_votes_is_the_answer(model, image):
    record = trace(model, image)
    np.testing.assert_allclose(votes(record, model, 6).mean(0), record.logits[0], atol=1e-5)


def test_a_vote_is_the_answer_to_a_picture_of_one_token(model, image):
    record = trace(model, image)
    token = record.depths[2, 0, 5]
    with torch.no_grad():
        alone = model.head(token if model.pre_head_norm is None else model.pre_head_norm(token))
    np.testing.assert_allclose(votes(record, model, 2)[5], alone, atol=1e-5)


def test_the_lens_is_the_answer_of_a_shorter_network(model, image):
    lens = logit_lens(trace(model, image), model)
    np.testing.assert_allclose(lens.probabilities.sum(1), 1, atol=1e-5)
    for depth in range(7):
        shorter = deepcopy(model)
        shorter.blocks = shorter.blocks[: (depth + 1) // 2]
        if depth % 2:  # halfway through a block: its channel mixing must add nothing
            torch.nn.init.zeros_(shorter.blocks[-1].channel_mixing.fc2.weight)
            torch.nn.init.zeros_(shorter.blocks[-1].channel_mixing.fc2.bias)
        with torch.no_grad():
            np.testing.assert_allclose(lens.probabilities[depth], shorter(image).softmax(1)[0], atol=1e-5)


@pytest.mark.parametrize(("leaders", "leads_from"), [([2, 1, 1], 1), ([1, 2, 1], 0), ([2, 0, 1], 2)])
def test_where_the_final_answer_first_leads(tiny, leaders, leads_from):
    model = Mixer(replace(tiny, hidden_dim=3, num_classes=3, classes=()))
    model.head.weight.data = torch.eye(3)
    model.head.bias.data.zero_()
    ahead = torch.nn.functional.one_hot(torch.tensor(leaders), 3) * torch.log(torch.tensor(2.0))
    # sixteen patches that differ by what cancels in the mean
    patches = torch.linspace(-5, 5, 16)[:, None] * torch.tensor([1.0, -1.0, 0.5])
    lens = logit_lens(traced(ahead[:, None] + patches), model)
    assert lens.leads_from == leads_from
    expected = np.full((3, 3), 0.25)
    expected[range(3), leaders] = 0.5
    np.testing.assert_allclose(lens.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("ask", [logit_lens, lambda record, model: votes(record, model, 0)], ids=["lens", "votes"])
def test_asking_the_head_does_not_disturb_a_capture_of_another_thread(model, image, ask):
    record = trace(model, image)
    thread = threading.Thread(target=ask, args=(record, model))
    with capture(model, ["head"]) as seen:
        model(image)
        thread.start()
        thread.join(timeout=0.2)  # without the lock, the thread's use of the head ends in `seen`
    thread.join()
    torch.testing.assert_close(seen["head"], record.logits)


def test_permuting_the_patches_permutes_every_map(model, image):
    record, grid = trace(model, image), model.config.grid
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    before = measured(record, model)

    with torch.no_grad():
        for block in model.blocks:
            block.token_mixing.fc1.weight.copy_(block.token_mixing.fc1.weight[:, order])
            block.token_mixing.fc2.weight.copy_(block.token_mixing.fc2.weight[order])
            block.token_mixing.fc2.bias.copy_(block.token_mixing.fc2.bias[order])
    permuted = trace(model, grid.to_images(grid.to_tokens(image)[:, order]))
    after = measured(permuted, model)

    for name, values in before.items():
        np.testing.assert_allclose(after[name], values[..., order, :], atol=2e-4, err_msg=name)
    chosen = int(order[4])  # the patch that is now the fourth
    np.testing.assert_allclose(similarity(permuted, 4), similarity(record, chosen)[:, order], atol=1e-4)
    matrix = similarity_matrix(record, 3)[order][:, order]
    np.testing.assert_allclose(similarity_matrix(permuted, 3), matrix, atol=1e-4)
    lens, permuted_lens = logit_lens(record, model), logit_lens(permuted, model)
    np.testing.assert_allclose(permuted_lens.probabilities, lens.probabilities, atol=1e-4)


def measured(record, model):
    """The maps, as (..., patches, values)."""
    return {
        "norms": norms(record)[..., None],
        "update_norms": update_norms(record)[..., None],
        "joint colours": pca_colours(record, joint=True).colours,
        "colours": pca_colours(record, joint=False).colours,
        "votes": votes(record, model, 5),
    }


def test_a_bank_holds_the_tokens_of_its_depth(network, monkeypatch):
    monkeypatch.setattr("viz.pace.at_once", lambda device: 4)  # so that the last batch is a smaller one
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    for depth, expected in enumerate(trace(network, images).depths):
        torch.testing.assert_close([*sample_tokens(network, images, depth)][-1], expected)


def test_neighbours_are_found_where_they_were_put():
    generator = torch.Generator().manual_seed(4)
    token = torch.randn(11, generator=generator)
    across = torch.randn(11, generator=generator)
    across -= token * (across @ token) / (token @ token)
    across *= token.norm() / across.norm()
    tokens = torch.stack([-across, -token])[torch.randint(2, (5, 16), generator=generator)]
    tokens[3, 14] = 7 * token  # cosine 1, whatever the length
    tokens[0, 9] = token + across  # 45 degrees
    tokens[4, 2] = (token + 3**0.5 * across) / 100  # 60 degrees

    found = neighbours(tokens, token, 3)
    assert found.images.tolist() == [3, 0, 4]
    assert found.patches.tolist() == [14, 9, 2]
    np.testing.assert_allclose(found.cosines, [1, 0.5**0.5, 0.5], atol=1e-6)

    without = neighbours(tokens, token, 2, exclude=3)
    assert without.images.tolist() == [0, 4]
    assert without.patches.tolist() == [9, 2]
    everything = neighbours(tokens, token, 64, exclude=3)
    assert 3 not in everything.images
    assert np.isfinite(everything.cosines).all()


def test_of_equal_neighbours_the_first_in_the_bank_comes_first():
    found = neighbours(torch.ones(3, 5, 2), torch.ones(2), 7)
    assert found.images.tolist() == [0] * 5 + [1] * 2
    assert found.patches.tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_what_does_not_exist_is_named(network, image):
    record = trace(network, image)
    tokens = torch.ones(3, 5, 2)
    for wrong, call in {
        "depth 7 does not exist": lambda: similarity_matrix(record, 7),
        "depth -1 does not exist": lambda: votes(record, network, -1),
        "depth 8 does not exist": lambda: next(sample_tokens(network, image, 8)),
        "patch 16 does not exist": lambda: similarity(record, 16),
        "image 3 does not exist": lambda: neighbours(tokens, tokens[0, 0], 1, exclude=3),
        "from 1 to the 10 tokens to choose from, not 11": lambda: neighbours(tokens, tokens[0, 0], 11, exclude=0),
        "not 0": lambda: neighbours(tokens, tokens[0, 0], 0),
        "the trace holds 4": lambda: norms(trace(network, image.expand(4, -1, -1, -1))),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            call()


def test_an_answer_is_decided_where_it_begins_to_lead_for_good() -> None:
    leaders = torch.tensor([[1, 2, 2, 4], [2, 2, 1, 4], [2, 1, 2, 4], [2, 2, 2, 4]])  # depths images
    assert leads_for_good(leaders).tolist() == [1, 3, 2, 0]
    probabilities = np.eye(5, dtype=np.float32)[[0, 3, 1, 3]]
    found = LogitLens(probabilities, 1)
    assert found.decided_at == 3
