"""Running mean and standard error of random draws."""

import numpy as np
from jaxtyping import Float64


class RunningStats:
    """Running mean and sum of squared deviations by Welford's method: exact, without storing the draws."""

    def __init__(self) -> None:
        self.draws = 0
        self.mean: Float64[np.ndarray, "..."] = np.zeros(())
        self._deviations: Float64[np.ndarray, "..."] = np.zeros(())

    def add(self, draw: Float64[np.ndarray, "..."]) -> None:
        self.draws += 1
        step = draw - self.mean
        self.mean = self.mean + step / self.draws
        self._deviations = self._deviations + step * (draw - self.mean)

    @property
    def standard_error(self) -> Float64[np.ndarray, "..."]:
        """The standard error of the mean; NaN after one draw, which gives no error."""
        return self.deviation / np.sqrt(max(1, self.draws))

    @property
    def deviation(self) -> Float64[np.ndarray, "..."]:
        """The standard deviation of the draws; NaN after one draw, which gives no error."""
        if self.draws < 2:
            return np.full(self.mean.shape, np.nan)
        return np.sqrt(self._deviations / (self.draws - 1))


def spread_of(draws: Float64[np.ndarray, "draws *any"]) -> RunningStats:
    """The running statistics after all draws."""
    spread = RunningStats()
    for draw in draws:
        spread.add(draw)
    return spread
