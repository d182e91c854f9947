"""The formulas of the parts (paper, equation 1); each symbol has its shape and is linked to its picture."""

from typing import NamedTuple

from mixer.model import MixerConfig
from viz.lenses.view import counted


class Symbol(NamedTuple):
    """A symbol of a formula."""

    name: str
    """its pictures in the view have the same name"""
    html: str
    meaning: str


def formula(config: MixerConfig, part: str) -> str:
    """HTML of the formula of a part, and the meaning of each symbol. part: from `part_of`"""
    text, symbols = _OF[part](config)
    for symbol in symbols:
        keep = f"data-keep='{symbol.name}' data-symbol='{symbol.name}'"
        mark = f"<button type='button' class='symbol' {keep}>{symbol.html}</button>"
        text = text.replace(f"[{symbol.name}]", mark)
    meanings = "".join(
        f"<li data-symbol='{symbol.name}'><i>{symbol.html}</i> {symbol.meaning}</li>" for symbol in symbols
    )
    return f"<p class='formula'>{text}</p><ul class='symbols'>{meanings}</ul>"


def _stem(config: MixerConfig) -> tuple[str, list[Symbol]]:
    patches, channels, values = config.grid.patches, config.hidden_dim, config.grid.values
    text = f"[x]<sub>j,*</sub> = [e] [p]<sub>j</sub>, for j = 1 … {patches}"
    return text, [
        Symbol("p", "p", f"the numbers of patch j: {values}"),
        Symbol("e", "E", f"the filters, the same for all patches: {channels} x {values}"),
        Symbol("x", "X", f"the first table: {counted(patches, 'token')} x {counted(channels, 'channel')}"),
    ]


def _token_mixing(config: MixerConfig) -> tuple[str, list[Symbol]]:
    patches, channels, units = config.grid.patches, config.hidden_dim, config.tokens_mlp_dim
    text = (
        "[u]<sub>*,i</sub> = [x]<sub>*,i</sub> + [w2] [s]( [w1] [n]<sub>*,i</sub> ), "
        f"for i = 1 … {channels} &nbsp;<small>(paper, eq. 1; biases omitted)</small>"
    )
    return text, [
        *_ends(patches, channels, "X", "U"),
        Symbol("w1", "W<sub>1</sub>", f"the read weights of {counted(units, 'unit')}: {units} x {patches}"),
        Symbol("w2", "W<sub>2</sub>", f"their write weights: {patches} x {units}"),
    ]


def _channel_mixing(config: MixerConfig) -> tuple[str, list[Symbol]]:
    patches, channels, units = config.grid.patches, config.hidden_dim, config.channels_mlp_dim
    text = (
        "[u]<sub>j,*</sub> = [x]<sub>j,*</sub> + [w2] [s]( [w1] [n]<sub>j,*</sub> ), "
        f"for j = 1 … {patches} &nbsp;<small>(paper, eq. 1; biases omitted)</small>"
    )
    return text, [
        *_ends(patches, channels, "U", "Y"),
        Symbol("w1", "W<sub>3</sub>", f"the read weights of {counted(units, 'unit')}: {units} x {channels}"),
        Symbol("w2", "W<sub>4</sub>", f"their write weights: {channels} x {units}"),
    ]


def _ends(patches: int, channels: int, before: str, after: str) -> list[Symbol]:
    table = f"{patches} x {channels}"
    normed = f"each token minus its mean, divided by its standard deviation, then scaled and shifted: {table}"
    return [
        Symbol("x", before, f"the input: {table}"),
        Symbol("n", f"LayerNorm({before})", normed),
        Symbol("s", "&sigma;", "the GELU of each number"),
        Symbol("u", after, f"the output: {table}"),
    ]


def _head(config: MixerConfig) -> tuple[str, list[Symbol]]:
    channels, classes = config.hidden_dim, config.num_classes
    return "[z] = [w] [m] + b", [
        Symbol("m", "m", f"the mean token: {channels} numbers"),
        Symbol("w", "W", f"the weights of the classes: {classes} x {channels}"),
        Symbol("z", "z", f"the logits: {classes}"),
    ]


_OF = {"stem": _stem, "a": _token_mixing, "b": _channel_mixing, "head": _head}
