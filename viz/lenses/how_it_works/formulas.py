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
    return _mixing(config, "*,i", config.hidden_dim, config.grid.patches, config.tokens_mlp_dim, ("X", "U"), (1, 2))


def _channel_mixing(config: MixerConfig) -> tuple[str, list[Symbol]]:
    return _mixing(config, "j,*", config.grid.patches, config.hidden_dim, config.channels_mlp_dim, ("U", "Y"), (3, 4))


def _mixing(
    config: MixerConfig, line: str, lines: int, size: int, units: int, tables: tuple[str, str], weights: tuple[int, int]
) -> tuple[str, list[Symbol]]:
    """line: the index of a column or row of the table. lines, size: their number and length

    tables, weights: names of input and output, and numbers of the two layers
    """
    before, after = tables
    text = (
        f"[u]<sub>{line}</sub> = [x]<sub>{line}</sub> + [w2] [s]( [w1] [n]<sub>{line}</sub> ), "
        f"for {line.strip('*,')} = 1 … {lines} &nbsp;<small>(paper, eq. 1; biases omitted)</small>"
    )
    table = f"{config.grid.patches} x {config.hidden_dim}"
    normed = f"each token minus its mean, divided by its standard deviation, then scaled and shifted: {table}"
    read, write = (f"W<sub>{number}</sub>" for number in weights)
    return text, [
        Symbol("x", before, f"the input: {table}"),
        Symbol("n", f"LayerNorm({before})", normed),
        Symbol("s", "&sigma;", "the GELU of each number"),
        Symbol("u", after, f"the output: {table}"),
        Symbol("w1", read, f"the read weights of {counted(units, 'unit')}: {units} x {size}"),
        Symbol("w2", write, f"their write weights: {size} x {units}"),
    ]


def _head(config: MixerConfig) -> tuple[str, list[Symbol]]:
    channels, classes = config.hidden_dim, config.num_classes
    return "[z] = [w] [m] + b", [
        Symbol("m", "m", f"the mean token: {channels} numbers"),
        Symbol("w", "W", f"the weights of the classes: {classes} x {channels}"),
        Symbol("z", "z", f"the logits: {classes}"),
    ]


_OF = {"stem": _stem, "a": _token_mixing, "b": _channel_mixing, "head": _head}
