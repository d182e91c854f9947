"""One forward pass in detail: the update of each sublayer, and the sums behind single values.

A trace must hold one image (`trace.image(i)` selects one of several). Blocks, patches, channels, units and classes are
counted from 0; one that does not exist raises ValueError. Sums are in float64, from the stored weights.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn

from mixer.model import Mixer
from mixer.validation import check_exists
from viz.capture import Trace, array, exclusive

Sublayer = Literal["a", "b"]
"""token mixing, channel mixing"""


@dataclass(frozen=True, eq=False)
class Sum:
    """One output of a linear layer: the sum of its inputs times their weights, plus a bias."""

    values: Float64[np.ndarray, "terms"]
    weights: Float64[np.ndarray, "terms"]
    bias: float

    @property
    def products(self) -> Float64[np.ndarray, "terms"]:
        return self.values * self.weights

    @property
    def total(self) -> float:
        return float(self.products.sum()) + self.bias


@dataclass(frozen=True, eq=False)
class Mixing:
    """One value of the table through a sublayer (paper, equation 1), by one hidden unit.

    Token mixing reads the column of the value (all patches, its channel), channel mixing its row (its patch, all
    channels). Here, both are called the line.
    """

    unit: int
    line: Float64[np.ndarray, "line"]
    """a column or row of the input table"""
    place: int
    """index of the value on its line"""
    read: Sum
    """the input sum of the unit, from the line after the LayerNorm: row `unit` of W1 (or W3)"""
    hidden: float
    """the unit's activation: the GELU of that sum, from the network's pass"""
    write: Sum
    """the update of the value: the activations of all units times row `place` of W2 (or W4)"""
    writes: Float64[np.ndarray, "line"]
    """the unit's weights for the whole line: its column of W2 (or W4)"""
    after: float
    """the output value, from the network's pass"""

    @property
    def before(self) -> float:
        return float(self.line[self.place])


@dataclass(frozen=True)
class Norm:
    """A LayerNorm at one value of the table: (number - mean) / deviation * scale + shift."""

    mean: float
    """of its token"""
    deviation: float
    """of its token, with the LayerNorm's epsilon"""
    scale: float
    """of its channel"""
    shift: float

    def of(self, number: float) -> float:
        return (number - self.mean) / self.deviation * self.scale + self.shift


def layer_norm(model: Mixer, trace: Trace, block: int, sublayer: Sublayer, patch: int, channel: int) -> Norm:
    """The LayerNorm before a sublayer, at one value of its input table."""
    layer, table = model.block_at(block), table_before(trace, block, sublayer)
    check_exists("patch", patch, table.shape[0])
    check_exists("channel", channel, table.shape[1])
    norm, token = layer.norm1 if sublayer == "a" else layer.norm2, array(table[patch], torch.float64)
    deviation = float(np.sqrt(token.var() + norm.eps))
    return Norm(float(token.mean()), deviation, norm.weight[channel].item(), norm.bias[channel].item())


def strengths(trace: Trace) -> Float32[np.ndarray, "sublayers"]:
    """The Frobenius norm of each sublayer's update divided by that of its input table.

    Above 1, the update is larger than the input. 0 if both are 0.
    """
    tables = trace.single().depths[:, 0]
    before, added = tables[:-1].norm(dim=(1, 2)), tables.diff(dim=0).norm(dim=(1, 2))
    return array(added / before.clamp_min(torch.finfo(before.dtype).tiny))


def stem_sum(model: Mixer, image: Float[Tensor, "3 height width"], patch: int, channel: int) -> Sum:
    """The sum behind one value of the stem's output, over the values of a patch in the order of `PatchGrid`."""
    tokens = model.config.grid.to_tokens(image[None])[0]
    check_exists("patch", patch, len(tokens))
    return _sum(tokens[patch], model.stem, channel, "channel")


def head_sum(model: Mixer, trace: Trace, target: int) -> Sum:
    """The sum behind the logit of a class, over the mean token."""
    return _sum(trace.single().pooled[0], model.head, target, "class")


def mixing(model: Mixer, trace: Trace, block: int, sublayer: Sublayer, patch: int, channel: int, unit: int) -> Mixing:
    """One value of the table through a sublayer, by one of its hidden units."""
    layer, token = model.block_at(block), sublayer == "a"
    table = table_before(trace, block, sublayer)
    check_exists("patch", patch, table.shape[0])
    check_exists("channel", channel, table.shape[1])
    with exclusive(model), torch.no_grad():
        normed = (layer.norm1 if token else layer.norm2)(table)
    mlp = layer.token_mixing if token else layer.channel_mixing
    hidden = trace.token_hidden[block][0, channel] if token else trace.channel_hidden[block][0, patch]
    after = (trace.after_token_mixing if token else trace.after_channel_mixing)[block][0, patch, channel]
    place = patch if token else channel
    check_exists("unit", unit, len(hidden))
    return Mixing(
        unit,
        array(table[:, channel] if token else table[patch], torch.float64),
        place,
        _sum(normed[:, channel] if token else normed[patch], mlp.fc1, unit, "unit"),
        float(hidden[unit]),
        _sum(hidden, mlp.fc2, place, "place"),
        array(mlp.fc2.weight[:, unit], torch.float64),
        float(after),
    )


def table_before(trace: Trace, block: int, sublayer: Sublayer) -> Float[Tensor, "patches channels"]:
    """The table of tokens before a sublayer."""
    check_exists("block", block, len(trace.single().after_token_mixing))
    if sublayer == "b":
        return trace.after_token_mixing[block][0]
    return trace.after_channel_mixing[block - 1][0] if block else trace.stem[0]


def strongest_channel(trace: Trace, block: int, unit: int) -> int:
    """The channel in which a token-mixing unit has the largest absolute activation."""
    hidden = trace.single().token_hidden[block][0]
    check_exists("unit", unit, hidden.shape[1])
    return int(hidden[:, unit].abs().argmax())


def strongest_unit(model: Mixer, trace: Trace, block: int, patch: int) -> int:
    """The channel-mixing unit with the largest contribution (norm) to a patch's token."""
    hidden = trace.single().channel_hidden[block][0]
    check_exists("patch", patch, len(hidden))
    return int((hidden[patch].abs() * model.block_at(block).channel_mixing.fc2.weight.norm(dim=0)).argmax())


def shared_weights(model: Mixer) -> tuple[int, int]:
    """The number of parameters of one token-mixing MLP that all channels share, and of one MLP for each channel."""
    shared = sum(parameter.numel() for parameter in model.block_at(0).token_mixing.parameters())
    return shared, shared * model.config.hidden_dim


def _sum(values: Float[Tensor, "terms"], layer: nn.Linear, output: int, kind: str) -> Sum:
    check_exists(kind, output, len(layer.weight))
    return Sum(array(values, torch.float64), array(layer.weight[output], torch.float64), layer.bias[output].item())
