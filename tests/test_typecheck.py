import pytest
import torch

from mixer.model import Mixer
from tests import typecheck


def test_a_wrong_shape_fails_a_test_at_the_first_calls_of_a_function(network: Mixer) -> None:
    for _ in range(typecheck.CALLS):
        with pytest.raises(TypeError, match=r"mixer\.model\.Mixer\.classify"):
            network.classify(torch.zeros(3))
    assert list(typecheck.calls.values()) == [typecheck.CALLS]
