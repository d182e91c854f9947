"""t-SNE against its definition: the entropy of each row, the derivative of the divergence, and groups that stay."""

import numpy as np
import pytest
import torch

from viz.tsne import FEWEST, ITERATIONS, STEP, affinities, gradient, neighbours_kept, tsne


def points(count: int, dims: int) -> torch.Tensor:
    return torch.randn(count, dims, dtype=torch.float64, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("perplexity", [2.0, 5.5])
def test_affinities_have_the_perplexity_in_each_row(perplexity: float) -> None:
    x = points(17, 3).numpy()
    rows = np.zeros((17, 17))
    for i, one in enumerate(x):
        others = np.delete(np.arange(17), i)
        distances = ((x[others] - one) ** 2).sum(1)
        low, high = 1e-6, 1e6
        for _ in range(200):  # bisection, point by point
            middle = np.sqrt(low * high)
            p = np.exp(-middle * (distances - distances.min()))
            p /= p.sum()
            entropy = -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum()
            low, high = (middle, high) if entropy > np.log(perplexity) else (low, middle)
        rows[i, others] = p
    want = (rows + rows.T) / (2 * 17)
    np.testing.assert_allclose(affinities(torch.from_numpy(x), perplexity).numpy(), want, atol=1e-6)


def test_the_gradient_is_that_of_the_divergence() -> None:
    p, y = affinities(points(9, 4), 3.0), points(9, 2).requires_grad_()
    pairs = ~torch.eye(9, dtype=torch.bool)
    near = (1 / (1 + (y[:, None] - y[None]).square().sum(-1)))[pairs]
    divergence = (p[pairs] * (p[pairs] / (near / near.sum())).log()).sum()
    (want,) = torch.autograd.grad(divergence, y)
    torch.testing.assert_close(gradient(p, y.detach()), want)


def test_groups_stay_together_and_the_same_points_have_the_same_places() -> None:
    groups = np.repeat(np.arange(4), 9)
    centres = 8 * points(4, 12)
    x = (points(36, 12) + centres[groups]).float().numpy()
    *steps, places = tsne(x)
    assert [step for step in steps if isinstance(step, int)] == list(range(STEP, ITERATIONS + 1, STEP))
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argsort(1)[:, :5]
    assert (groups[nearest] == groups[:, None]).all()
    *_, again = tsne(x)
    np.testing.assert_array_equal(places, again)


def test_equal_points_and_few_points() -> None:
    *_, places = tsne(np.ones((5, 3), np.float32))
    assert np.isfinite(places).all()
    with pytest.raises(ValueError, match="at least 4 points, not 3"):
        next(tsne(np.zeros((FEWEST - 1, 3), np.float32)))


def test_the_share_of_kept_neighbours() -> None:
    x = points(40, 2).float().numpy()
    assert neighbours_kept(x, -3 * x[:, ::-1].copy(), 5) == 1, "turned and scaled"
    assert neighbours_kept(x, points(41, 2)[:40].float().numpy(), 39) == 1, "all of them are"
    line = np.array([[0, 0], [1, 0], [3, 0], [7, 0]], np.float32)
    assert neighbours_kept(line, line[[0, 1, 3, 2]], 1) == 0.5  # by hand: the first two stay each other's
    with pytest.raises(ValueError, match="4 neighbours need more than 4 points"):
        neighbours_kept(line, line, 4)
