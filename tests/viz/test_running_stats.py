import numpy as np

from viz.running_stats import RunningStats


def test_mean_and_error_are_those_of_all_draws_at_once() -> None:
    draws, spread = 1e4 + np.random.default_rng(0).normal(size=(7, 2, 3)), RunningStats()
    for count, draw in enumerate(draws, 1):
        spread.add(draw)
        np.testing.assert_allclose(spread.mean, draws[:count].mean(0))
        if count > 1:
            np.testing.assert_allclose(spread.standard_error, draws[:count].std(0, ddof=1) / np.sqrt(count))
        else:
            assert np.isnan(spread.standard_error).all()
    assert spread.mean.shape == spread.standard_error.shape == (2, 3)
