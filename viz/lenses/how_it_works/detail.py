"""Worked example: one value of a part, calculated step by step, with the formula."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from viz import figures, forward_pass
from viz.figures import AGAINST, FOR
from viz.lenses.how_it_works.cells import card, cells, over_grid, picture, strip, table, window
from viz.lenses.how_it_works.formulas import formula
from viz.lenses.how_it_works.part import part_of
from viz.lenses.how_it_works.selected_channel import channel_of
from viz.lenses.mixing.selected_unit import unit_of
from viz.lenses.view import Drawn, Numbers, counted, number_field
from viz.microscope import Microscope
from viz.selection import Selection, patch_text

LISTED = 6
"""number of terms of a sum that are listed"""


class Line(NamedTuple):
    """The input of a sublayer: a column or a row of the table."""

    kind: str
    """the noun for its elements: patch or channel"""
    names: list[str]
    links: list[str]
    """for each element the parameters of a link that select it"""


class Way(NamedTuple):
    """Texts of a sublayer: token mixing works on columns of the table, channel mixing on rows."""

    title: str
    text: str
    """HTML: a description"""
    what: str
    """the column or row in the example"""
    line: Line
    units: Line
    unit: str
    """HTML: the unit in the example"""


def draw(scope: Microscope, selection: Selection) -> Drawn:
    return {"picture": draw_picture, "stem": draw_stem, "a": draw_mixing, "b": draw_mixing, "head": draw_head}[
        part_of(scope, selection)
    ](scope, selection)


def mixing(scope: Microscope, selection: Selection, sublayer: forward_pass.Sublayer) -> forward_pass.Mixing:
    """A sublayer of the selected block for the selected patch and channel, through one unit.

    Token mixing uses the selected unit, channel mixing the one with the largest update of the patch.
    """
    trace, block, patch = scope.look(selection.picture), selection.block, selection.patch
    unit = (
        unit_of(scope, selection) if sublayer == "a" else forward_pass.strongest_unit(scope.model, trace, block, patch)
    )
    return forward_pass.mixing(scope.model, trace, block, sublayer, patch, channel_of(scope, selection), unit)


def sublayer_of(scope: Microscope, selection: Selection) -> forward_pass.Sublayer:
    return "a" if part_of(scope, selection) == "a" else "b"


def draw_picture(scope: Microscope, selection: Selection) -> Drawn:
    grid, config = scope.grid, scope.model.config
    (height, width), (rows, cols) = grid.patch_size, grid.pixels(selection.patch)
    values = scope.input(selection.picture)[:, rows, cols].cpu().numpy()
    span = float(np.abs(values).max()) or 1.0
    colours = "".join(
        card(cells(figures.to_rgb(values[i], True, span), width / height), name)
        for i, name in enumerate(("red", "green", "blue"))
    )
    text = (
        f"The picture is cut into {counted(grid.patches, 'patch')}, {counted(grid.rows, 'row')} of {grid.cols}; "
        f"from here on the network works on patches. Each patch has {height} x {width} pixels in three colours, "
        f"which is {grid.values} numbers. It becomes one token: a row of the table on which all later parts work."
    )
    name = escape(_patch(scope, selection.patch))
    html = (
        f"{_head('The picture', text)}<div class='cards'>"
        f"{card(picture(scope, selection.picture, selection.patch), f'{name} is framed')}{colours}</div>"
        "<p>The maps show pixel values (0 to 1) minus the training mean, divided by the standard deviation. The means "
        f"are {_list(config.mean)} (red, green, blue), the deviations {_list(config.std)}. {FOR.capitalize()} is above "
        f"the mean; {AGAINST} is below.</p>"
    )
    axes = {"colour": ("red", "green", "blue"), "pixel row": range(height), "pixel column": range(width)}
    return Drawn(html=html, numbers=Numbers("normalised value", axes, values))


def draw_stem(scope: Microscope, selection: Selection) -> Drawn:
    grid, config, channel = scope.grid, scope.model.config, channel_of(scope, selection)
    (height, width), name = grid.patch_size, _patch(scope, selection.patch)
    found = forward_pass.stem_sum(scope.model, scope.input(selection.picture), selection.patch, channel)
    stem = scope.look(selection.picture).stem[0].cpu().numpy()
    text = (
        f"The {grid.values} numbers of a patch are mapped to its token of {config.hidden_dim} numbers. Each channel is "
        "one weighted sum. The weights are the same for every patch; patches do not exchange information yet."
    )

    def tile(values: np.ndarray) -> str:
        wide = values.reshape(height, width * 3)  # the three colours of a pixel side by side
        return cells(figures.to_rgb(wide.astype(np.float32), True), width / height)

    cards = (
        f"{card(tile(found.values), f'the numbers of {name}', 'p')}&times;"
        f"{card(tile(found.weights), f'the weights of channel {channel}', 'e')}&rarr;"
        f"{card(_table(scope, stem, selection.patch, channel), f'the table: row {name}, column {channel}', 'x')}"
    )
    pixels = [f"pixel ({r}, {c}), {k}" for r in range(height) for c in range(width) for k in ("red", "green", "blue")]
    line = Line("number", pixels, [""] * len(pixels))
    html = (
        f"{_head('The stem', text)}{_channel(scope, channel)}<div class='cards'>{cards}</div>"
        f"{_account(found, line, None, f'token of {name}, channel {channel}')}"
        f"{formula(scope.model.config, 'stem')}"
    )
    return Drawn(html=html, numbers=_terms(found, line))


def draw_head(scope: Microscope, selection: Selection) -> Drawn:
    config, trace, name = scope.model.config, scope.look(selection.picture), scope.classes[selection.target]
    found = forward_pass.head_sum(scope.model, trace, selection.target)
    probability = float(scope.probabilities(selection.picture)[selection.target])
    normed = "after a last LayerNorm, " if config.pre_head_norm else ""
    text = (
        f"The {scope.grid.patches} tokens are averaged, {normed}channel by channel, leaving a vector of "
        f"{config.hidden_dim} numbers. Each class's logit is one weighted sum of them; the softmax turns the "
        f"{config.num_classes} logits into probabilities."
    )
    cards = (
        f"{card(strip(found.values), 'the mean token', 'm')}&times;"
        f"{card(strip(found.weights), f'the weights of the class {name}', 'w')}"
    )
    line = _channels(config.hidden_dim)
    html = (
        f"{_head('Mean and head', text)}<div class='cards wide'>{cards}</div>"
        f"{_account(found, line, None, f'logit of {name}')}<p>After the softmax its probability is "
        f"<b>{probability:.1%}</b>.</p>{formula(config, 'head')}"
    )
    return Drawn(html=html, numbers=_terms(found, line))


def draw_mixing(scope: Microscope, selection: Selection) -> Drawn:
    sublayer = sublayer_of(scope, selection)
    found, channel = mixing(scope, selection, sublayer), channel_of(scope, selection)
    token = sublayer == "a"
    way = (_columns if token else _rows)(scope, selection, found.unit)
    here = f"{_patch(scope, selection.patch)}, channel {channel}"
    html = (
        f"{_head(f'{way.title.capitalize()} of block {selection.block + 1}', way.text)}"
        f"<div class='options'>{way.unit}{_channel(scope, channel)}</div>"
        f"<div class='cards{'' if token else ' wide'}'>{_mixing_cards(scope, selection, found, way)}</div>"
        f"<div class='accounts'>{_account(found.read, way.line, found.place, f'sum of unit {found.unit}')}"
        f"{_account(found.write, way.units, found.unit, f'update of {here}')}</div>"
        f"<p>{_norm(scope, selection, found)}</p>"
        f"<p>{here}: input <b>{_n(found.before)}</b> + update <b>{_n(found.write.total)}</b> = output "
        f"<b>{_n(found.after)}</b>.</p>{formula(scope.model.config, sublayer)}"
    )
    return Drawn(html=html, numbers=_terms(found.read, way.line))


def _norm(scope: Microscope, selection: Selection, found: forward_pass.Mixing) -> str:
    """HTML: the LayerNorm of the input value."""
    place = selection.block, sublayer_of(scope, selection), selection.patch, channel_of(scope, selection)
    norm = forward_pass.layer_norm(scope.model, scope.look(selection.picture), *place)
    return (
        f"LayerNorm of this number: (input {_n(found.before)} &minus; mean of the token {_n(norm.mean)}) / standard "
        f"deviation {_n(norm.deviation)} x {_n(norm.scale)} + {_n(norm.shift)} = <b>{_n(norm.of(found.before))}</b>."
    )


def _columns(scope: Microscope, selection: Selection, unit: int) -> Way:
    config, patches = scope.model.config, range(scope.grid.patches)
    text = (
        "Every column of the table, one channel of all patches, goes through one MLP, "
        "the same for all channels. Its output is added to the column. Only token mixing moves information between "
        "patches."
    )
    line = Line("patch", [_patch(scope, i) for i in patches], [f"patch={patch_text(scope, i)}" for i in patches])
    units = [f"unit {i}" for i in range(config.tokens_mlp_dim)]
    return Way(
        "token mixing",
        text,
        f"column {channel_of(scope, selection)}",
        line,
        Line("unit", units, [name.replace(" ", "=") for name in units]),
        number_field("unit", "Unit", unit, config.tokens_mlp_dim),
    )


def _rows(scope: Microscope, selection: Selection, unit: int) -> Way:
    config = scope.model.config
    text = (
        f"Every row of the table, one token of {counted(config.hidden_dim, 'channel')}, goes through one MLP, the same "
        f"for all patches. Its output is added to the row. Patches do not interact; the channels of "
        "each patch are combined into new features."
    )
    return Way(
        "channel mixing",
        text,
        f"row {_patch(scope, selection.patch)}",
        _channels(config.hidden_dim),
        Line("unit", [f"unit {i}" for i in range(config.channels_mlp_dim)], [""] * config.channels_mlp_dim),
        f"<span>Unit <b>{unit}</b> (largest contribution to this patch)</span>",
    )


def _mixing_cards(scope: Microscope, selection: Selection, found: forward_pass.Mixing, way: Way) -> str:
    sublayer = sublayer_of(scope, selection)
    token = sublayer == "a"
    before_name, read, written = ("X", "W1", "W2") if token else ("U", "W3", "W4")

    def drawn(values: np.ndarray) -> str:
        return over_grid(scope, values, selection.patch) if token else strip(values, found.place)

    before = forward_pass.table_before(scope.look(selection.picture), selection.block, sublayer).cpu().numpy()
    framed = (None, channel_of(scope, selection)) if token else (selection.patch, None)
    bent = f"sum {_n(found.read.total)}, after the GELU {_n(found.hidden)}"
    return (
        f"{card(_table(scope, before, *framed), f'input {before_name}, {way.what}', 'x')}&rarr;"
        f"{card(drawn(found.read.values), f'{way.what}, after the LayerNorm', 'n')}&times;"
        f"{card(drawn(found.read.weights), f'read weights {read} of unit {found.unit}', 'w1')}&rarr;"
        f"{card(gelu(found.read.total, found.hidden), bent, 's')}&times;"
        f"{card(drawn(found.writes), f'write weights {written} to each {way.line.kind}', 'w2')}&rarr;"
        f"{card(drawn(found.writes * found.hidden), f'update by unit {found.unit}', 'u')}"
    )


def gelu(summed: float, hidden: float) -> str:
    """SVG of the GELU, x/2 (1 + erf(x / sqrt 2)), with a point on it."""
    reach = max(3.0, abs(summed) + 0.5)
    at = np.linspace(-reach, reach, 61)
    curve = [(x, x / 2 * (1 + math.erf(x / math.sqrt(2)))) for x in at.tolist()]
    path = "M" + "L".join(f"{100 * (x + reach) / (2 * reach):.1f} {90 - 80 * y / reach:.1f}" for x, y in curve)
    x, y = 100 * (summed + reach) / (2 * reach), 90 - 80 * hidden / reach
    return (
        f"<svg class='gelu' viewBox='0 0 100 100' role='img' aria-label='the GELU of {_n(summed)} is {_n(hidden)}'>"
        f"<path class='axis' d='M0 90H100M50 5V98'/><path d='{path}'/><circle cx='{x:.1f}' cy='{y:.1f}' r='4'/></svg>"
    )


def _account(found: forward_pass.Sum, line: Line, first: int | None, total: str) -> str:
    """HTML: a sum, term by term: the largest terms, and the sum of the others. first: a term to list first"""
    products, read, by = found.products.tolist(), found.values.tolist(), found.weights.tolist()
    ranked = [i for i in np.argsort(-np.abs(found.products), kind="stable").tolist() if i != first]
    listed = ([] if first is None else [first]) + ranked[: LISTED - (first is not None)]
    rest = len(products) - len(listed)
    rows = [_row(_choose(line.names[i], line.links[i]), _n(read[i]), _n(by[i]), _n(products[i])) for i in listed]
    if rest:
        rows.append(_row(f"{rest:,} others together", "", "", _n(sum(products) - sum(products[i] for i in listed))))
    rows += [_row("bias", "", "", _n(found.bias)), _row(f"<b>{escape(total)}</b>", "", "", f"<b>{_n(found.total)}</b>")]
    head = _row(line.kind, "value", "weight", "value x weight", cell="th")
    return f"<table class='account'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _row(*texts: str, cell: str = "td") -> str:
    return f"<tr>{''.join(f'<{cell}>{text}</{cell}>' for text in texts)}</tr>"


def _choose(name: str, words: str) -> str:
    return f"<button type='button' data-words='{words}'>{escape(name)}</button>" if words else escape(name)


def _terms(found: forward_pass.Sum, line: Line) -> Numbers:
    values = np.stack([found.values, found.weights, found.products], 1)
    return Numbers("value", {line.kind: line.names, "of": ("value", "weight", "value x weight")}, values)


def _head(title: str, text: str) -> str:
    return f"<h4>{escape(title)}</h4><p>{text}</p>"


def _table(scope: Microscope, values: np.ndarray, row: int | None, column: int | None) -> str:
    shown = window(column or 0, scope.model.config.hidden_dim)
    return table(values, shown, row, column)


def _channel(scope: Microscope, channel: int) -> str:
    return number_field("channel", "Channel", channel, scope.model.config.hidden_dim)


def _channels(count: int) -> Line:
    return Line("channel", [f"channel {i}" for i in range(count)], [f"channel={i}" for i in range(count)])


def _patch(scope: Microscope, patch: int) -> str:
    return figures.patch_label(*scope.grid.position(patch))


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _n(value: float) -> str:
    """A number as text, in four decimals."""
    return f"{value:.4f}"
