"""The first drawing: the table of tokens, the sublayers of the selected block, and a rail with all depths.

`page/stage.js` plays it, from the numbers and colours in `data-stage`.
"""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from viz import figures, forward_pass, tokens
from viz.lenses.glossary import underlined
from viz.lenses.how_it_works import detail
from viz.lenses.how_it_works.cells import cells, over_grid, picture, strip, window
from viz.lenses.how_it_works.part import PARTS, NetworkPart, open_part
from viz.lenses.how_it_works.selected_channel import channel_of
from viz.lenses.mixing.selected_unit import unit_of
from viz.lenses.view import Drawn, Numbers, View, counted
from viz.microscope import Microscope
from viz.selection import Selection, patch_text

ROWS, CHANNELS = 32, 24
"""maximum number of rows and columns of the table: more could not be distinguished"""
SUBLAYERS: tuple[forward_pass.Sublayer, forward_pass.Sublayer] = ("a", "b")
TOP = 5
"""number of classes in the answer"""


def _sees(scope: Microscope, s: Selection) -> Hashable:
    part = open_part(scope, s)
    return s.picture, s.patch, s.depth, channel_of(scope, s), unit_of(scope, s), part, part == "head" and s.target


def draw(scope: Microscope, selection: Selection) -> Drawn:
    part, table, trace = open_part(scope, selection), _Table.of(scope, selection), scope.look(selection.picture)
    read, added = tokens.logit_lens(trace, scope.model), forward_pass.strengths(trace)
    if part:
        drawn = detail.draw(scope, selection)
        middle, numbers = f"<div class='opened'>{_close(part)}{drawn.html}</div>", drawn.numbers
    else:
        middle, numbers = _sublayers(table), _numbers(scope, scope.answer(selection.picture), read, added)
    flow = (_picture(scope, selection, part), _stem(scope, part), table.html(), _answer(scope, selection, part))
    html = (
        f"<div class='stage{' open' * bool(part)}' data-stage='{escape(json.dumps(table.played()), True)}'>"
        f"<div class='flow'>{''.join(flow)}</div>{middle}{_rail(scope, selection, part, read, added)}</div>"
    )
    return Drawn(html=html, words=_result_text(scope, selection, read, added), numbers=numbers)


def _numbers(
    scope: Microscope, answer: int, read: tokens.LogitLens, added: Float32[np.ndarray, "sublayers"]
) -> Numbers:
    of = (f"probability of {scope.classes[answer]}", "norm of the update / norm of its input")
    values = np.stack([read.probabilities[:, answer], [np.nan, *added]], 1)
    return Numbers("value", {"depth": scope.depth_names, "of": of}, values)


def _result_text(
    scope: Microscope, selection: Selection, read: tokens.LogitLens, added: Float32[np.ndarray, "sublayers"]
) -> str:
    names, most, answer = scope.depth_names, int(added.argmax()), scope.answer(selection.picture)
    update = f"The largest update is that of <b>{names[most + 1]}</b>: {_share(added[most])} of its input."
    if not added.any():
        update = "Every sublayer has an update of zero."
    return (
        f"From <b>{names[read.decided_at]}</b> on, the head would already give the answer, "
        f"<b>{escape(scope.classes[answer])}</b>. {update}"
    )


def _button(part: NetworkPart, chosen: NetworkPart | None, inner: str, label: str) -> str:
    """HTML: a button that opens the calculation of a part, or closes it."""
    here = part == chosen
    return (
        f"<button type='button' class='part {part}' data-keep='{part}' data-words='part={'depth' if here else part}' "
        f"aria-expanded='{str(here).lower()}' aria-label='{escape(label, True)}'>{inner}</button>"
    )


def _close(part: NetworkPart) -> str:
    return (
        f"<button type='button' class='close' data-keep='{part}' data-words='part=depth' "
        f"aria-label='Close {PARTS[part]}'>&times;</button>"
    )


def _picture(scope: Microscope, selection: Selection, chosen: NetworkPart | None) -> str:
    grid, (height, width) = scope.grid, scope.grid.patch_size
    cut = f"{counted(grid.patches, 'patch')} of {height} x {width} pixels"
    inner = f"{picture(scope, selection.picture, selection.patch)}<b>picture</b><small>{cut}</small>"
    return _button("picture", chosen, inner, f"The picture: {cut}. Show its numbers")


def _stem(scope: Microscope, chosen: NetworkPart | None) -> str:
    size = f"{scope.grid.values} numbers to {scope.model.config.hidden_dim}"
    return _button("stem", chosen, f"<b>stem →</b><small>{size}</small>", f"The stem: {size}. Show the sum")


def _answer(scope: Microscope, selection: Selection, chosen: NetworkPart | None) -> str:
    best, probabilities = scope.leading(selection.picture, TOP), scope.probabilities(selection.picture)
    rows = "".join(
        f"<span class='share' style='--share: {probabilities[i]:.1%}'>{escape(scope.classes[i])} "
        f"<i>{probabilities[i]:.1%}</i></span>"
        for i in best
    )
    inner = f"<b>after {scope.depth_names[-1]}: mean of the rows → head</b>{rows}"
    return _button("head", chosen, inner, f"Mean and head: {scope.classes[best[0]]}. Show the sum")


@dataclass(frozen=True, eq=False)
class _Table:
    """The tables of tokens around the selected block, and the rows and columns of them that are drawn."""

    scope: Microscope
    selection: Selection
    channel: int
    rows: range
    columns: range
    tables: Float32[np.ndarray, "3 rows columns"]
    """the input of the block, after its token mixing, after its channel mixing"""
    mixings: dict[forward_pass.Sublayer, forward_pass.Mixing]
    """the selected value in both sublayers of the block"""

    @classmethod
    def of(cls, scope: Microscope, selection: Selection) -> "_Table":
        channel = channel_of(scope, selection)
        rows = window(selection.patch, scope.grid.patches, ROWS)
        columns = window(channel, scope.model.config.hidden_dim, CHANNELS)
        depths = scope.look(selection.picture).depths[2 * selection.block : 2 * selection.block + 3, 0]
        part = depths[:, rows.start : rows.stop, columns.start : columns.stop].float().cpu().numpy()
        mixings = {sublayer: detail.mixing(scope, selection, sublayer) for sublayer in SUBLAYERS}
        return cls(scope, selection, channel, rows, columns, part, mixings)

    @property
    def shown(self) -> int:
        """The index of the table at the selected depth."""
        return self.selection.depth - 2 * self.selection.block

    @property
    def span(self) -> float:
        """The end of the common colour scale of the tables."""
        return figures.span_of(self.tables)

    @property
    def titles(self) -> list[str]:
        first = 2 * self.selection.block
        before, *others = self.scope.depth_names[first : first + 3]
        return [f"input: {before}", *(f"after {name}" for name in others)]

    def html(self) -> str:
        scope, grid, patch = self.scope, self.scope.grid, self.selection.patch
        size = f"{counted(grid.patches, 'patch')} x {counted(scope.model.config.hidden_dim, 'channel')}"
        part = f"{len(self.rows)} x {len(self.columns)} shown"
        ends = f"{-self.span:.2g}", f"{self.span:.2g}"
        bar = cells(figures.to_rgb(np.linspace(-1, 1, 64, dtype=np.float32)[None], True, 1), 8)
        key = f"<span class='bar'>{ends[0]} {bar} {ends[1]}</span>"
        head = f"<b>{self.titles[self.shown]}</b> <small>{size} ({part})</small>"
        value = self.tables[self.shown, patch - self.rows.start, self.channel - self.columns.start]
        here = f"{figures.patch_label(*grid.position(patch))}, channel {self.channel}: {value:.3g}"
        return (
            f"<div class='table'><p>{head}</p>"
            f"<div class='rows'>{cells(self._crops(), 1)}</div>"
            f"<div class='grid' data-keep='grid' tabindex='0' role='group' aria-label='Tokens. {here}. "
            f"Arrow keys select another value'>{self._layers()}</div>"
            f"<p><span class='value'>{here}</span>{key}</p></div>"
        )

    def _crops(self) -> UInt8[np.ndarray, "height width 3"]:
        """The patches of the rows in one picture, one below the other."""
        pixels, grid = self.scope.pixels(self.selection.picture), self.scope.grid
        return np.concatenate([pixels[grid.pixels(patch)] for patch in self.rows])

    def _layers(self) -> str:
        """HTML: the three tables as layers, and the frames of the selected row, column and value."""
        row, column = self.selection.patch - self.rows.start, self.channel - self.columns.start
        drawn = (cells(figures.to_rgb(table, True, self.span), 1) for table in self.tables)
        layers = "".join(
            f"<div class='layer t{i}{' shown' * (i == self.shown)}'>{each}</div>" for i, each in enumerate(drawn)
        )
        at = f"--row: {row}; --column: {column}; --rows: {len(self.rows)}; --columns: {len(self.columns)}"
        return f"{layers}<div class='frames' style='{at}'><i class='b'></i><i class='a'></i><i class='here'></i></div>"

    def played(self) -> dict[str, Any]:
        """The data of `page/stage.js`: numbers for the pointer, and colours of the animation."""
        scope, grid = self.scope, self.scope.grid
        row, column = self.selection.patch - self.rows.start, self.channel - self.columns.start
        before, mixed, after = self.tables
        return {
            "shown": self.shown,
            "steps": _steps(self),
            "titles": self.titles,
            "patches": [patch_text(scope, i) for i in self.rows],
            "channels": list(self.columns),
            "selected": [row, column],
            "values": [[float(f"{value:.3g}") for value in line] for line in self.tables[self.shown]],
            "map": [grid.rows, grid.cols],
            "sublayer": "a" if self.selection.depth % 2 or not self.selection.depth else "b",
            "a": _moving(mixed[:, column] - before[:, column], self.mixings["a"], self.rows),
            "b": _moving(after[row] - mixed[row], self.mixings["b"], self.columns),
        }


def _moving(update: Float[np.ndarray, "line"], at: forward_pass.Mixing, shown: range) -> dict[str, Any]:
    """The animation of a column or row: colours of input and update, and weights of the unit from -1 to 1."""
    drawn = slice(shown.start, shown.stop)

    def scaled(weights: np.ndarray) -> list[float]:
        return [round(float(w), 2) for w in weights[drawn] / (np.abs(weights).max() or 1)]

    return {
        "line": _colours(at.read.values[drawn]),
        "update": _colours(update),
        "read": scaled(at.read.weights),
        "write": scaled(at.writes),
    }


def _colours(values: Float[np.ndarray, "line"]) -> list[str]:
    return ["#{:02x}{:02x}{:02x}".format(*shade) for shade in figures.to_rgb(values[None].astype(np.float32), True)[0]]


def _sublayers(table: _Table) -> str:
    """HTML: both sublayers of the block, each for one column or row, through one unit."""
    scope, patch, channel, columns = table.scope, table.selection.patch, table.channel, table.columns
    block = table.selection.block
    depths = scope.look(table.selection.picture).depths[2 * block : 2 * block + 3, 0]
    update = depths.diff(dim=0).float().cpu().numpy()
    place = figures.patch_label(*scope.grid.position(patch))

    def column(values: np.ndarray) -> str:
        return over_grid(scope, values, patch)

    def row(values: np.ndarray) -> str:
        return strip(values[columns.start : columns.stop], channel - columns.start)

    sublayers: tuple[tuple[forward_pass.Sublayer, str, np.ndarray, Callable[[np.ndarray], str], str], ...] = (
        ("a", f"column {channel} after LayerNorm", update[0][:, channel], column, "all columns"),
        ("b", f"row of {place} after LayerNorm", update[1][patch], row, "all rows"),
    )
    drawn = []
    for sublayer, what, added, look, others in sublayers:
        at = table.mixings[sublayer]
        cards = (
            _card("in", look(at.read.values), what),
            _card("read", look(at.read.weights), f"unit {at.unit} reads"),
            _card("bent", detail.gelu(at.read.total, at.hidden), f"GELU {at.hidden:.3g}"),
            _card("write", look(at.writes), f"unit {at.unit} writes"),
            _card("out", look(added), "+ update (all units)"),
        )
        name = f"{block + 1}{sublayer}"
        here = " here" * (scope.depth_names[table.selection.depth] == name)
        drawn.append(
            f"<div class='sublayer {sublayer}{here}'><h4>{name}: {next(underlined(PARTS[sublayer]))} <small>one MLP "
            f"for {others}</small></h4>"
            f"<button type='button' data-keep='{sublayer}' data-words='part={sublayer}' "
            f"aria-label='Show the sum of {name}'>Show the sum</button><div class='cards'>{''.join(cards)}</div></div>"
        )
    return f"<div class='sublayers'>{''.join(drawn)}</div>"


def _card(name: str, drawn: str, text: str) -> str:
    return f"<figure class='{name}'>{drawn}<figcaption>{escape(text)}</figcaption></figure>"


def _rail(
    scope: Microscope,
    selection: Selection,
    part: NetworkPart | None,
    read: tokens.LogitLens,
    added: Float32[np.ndarray, "sublayers"],
) -> str:
    """HTML: for each depth the probability of the answer, and the patches that support it."""
    answer, names = scope.answer(selection.picture), scope.depth_names
    probabilities, decided = read.probabilities[:, answer], read.decided_at
    votes, label = _votes(scope, selection.picture, answer)
    span = figures.span_of(votes)
    stops = []
    for depth, name in enumerate(names):
        pixels = figures.to_rgb(scope.grid.map(votes[depth]), True, span)
        kind = "stem" if depth == 0 else "a" if depth % 2 else "b"
        here = depth == selection.depth
        title = f"{name}: {escape(scope.classes[answer])} {probabilities[depth]:.1%}"
        title += f", update {_share(added[depth - 1])} of its input" if depth else ""
        stops.append(
            f"<li class='{kind}{' decided' * (depth == decided)}' style='--p: {probabilities[depth]:.4f}'>"
            f"<button type='button' data-words='depth={name}' aria-current='{str(here).lower()}' title='{title}' "
            f"aria-label='{title}' tabindex='{0 if here else -1}'><span class='sky'></span>"
            f"{'<em>readable ↓</em>' * (depth == decided)}"
            f"{cells(pixels, scope.grid.image_size[1] / scope.grid.image_size[0])}<b>{name}</b></button></li>"
        )
    at, last = selection.depth, len(names) - 1
    jumps = (
        ("|&lt;", 0, "first"),
        ("&lt;", max(0, at - 1), "previous"),
        ("&gt;", min(last, at + 1), "next"),
        ("&gt;|", last, "last"),
    )
    steps = "".join(
        f"<button type='button' aria-label='{which} depth' data-words='depth={names[to]}'{' disabled' * (to == at)}>"
        f"{sign}</button>"
        for sign, to, which in jumps
    )
    key = f"Bars: probability of {scope.classes[answer]} at each depth. Maps: {label}."
    still = " disabled" * bool(part)  # the animation needs the table
    plays = "".join(
        f"<button type='button' data-do='{does.lower()}'{still}>{does}</button>" for does in ("Play", "Step")
    )
    return (
        f"<div class='rail'><p>{plays}<span>Depth</span>{steps}<span class='key'>{next(underlined(key))}</span>"
        f"<span class='step'></span></p>"
        f"<ol>{''.join(stops)}</ol></div>"
    )


def _steps(table: _Table) -> list[str]:
    """The texts of the steps of Play."""
    scope, selection = table.scope, table.selection
    config, grid = scope.model.config, scope.grid
    channels, row = config.hidden_dim, figures.patch_label(*grid.position(selection.patch))
    units = {sublayer: at.unit for sublayer, at in table.mixings.items()}
    strongest = ", the strongest" if selection.unit is None else ""
    active = ", which activates a strong unit" if selection.channel is None else ""
    return [
        f"Each patch of the picture is a row of the table: {counted(channels, 'number')}.",
        f"Token mixing takes one column, channel {table.channel}{active}: a map over the picture.",
        f"Each of {counted(config.tokens_mlp_dim, 'unit')} takes a weighted sum of it. "
        f"Shown: unit {units['a']}{strongest}.",
        "After the GELU, the unit writes to every patch.",
        "All units together make the update; it is added to the column.",
        "All columns go through the same MLP: patches exchange information.",
        f"Channel mixing takes one row: {row} with all its channels.",
        f"Each of {counted(config.channels_mlp_dim, 'unit')} takes a weighted sum of it. "
        f"Shown: unit {units['b']}, the strongest.",
        "After the GELU, the unit writes to every channel.",
        "All units together make the update; it is added to the row.",
        "All rows go through the same MLP: patches do not interact.",
        "After the last block the rows are averaged, and the head gives the answer.",
    ]


def _votes(scope: Microscope, image: bytes, answer: int) -> tuple[Float32[np.ndarray, "depths patches"], str]:
    """The votes for the answer by depth and patch, minus their mean over the samples if that is measured."""
    trace, name = scope.look(image), f"votes for {scope.classes[answer]}"
    votes = np.stack([tokens.votes(trace, scope.model, d)[:, answer] for d in range(len(scope.depth_names))])
    stats = scope.latest(scope.sample_stats())
    if stats is None:
        return votes, name
    return votes - stats.votes[:, :, answer], f"{name} minus the sample mean"


def _share(value: float) -> str:
    return f"{100 * value:.1g}%" if 0 < value < 0.005 else f"{value:.0%}"


VIEW = View(
    "network",
    "Network overview",
    "What happens to the picture inside the network? Click a part to see its calculation; the rail selects the depth.",
    f"Scales: {figures.FOR} is above zero, {figures.AGAINST} below. The colour bar belongs to the table; each map has "
    "its own scale, the maps of the rail have one.",
    sees=_sees,
    draw=draw,
    needs=lambda scope, s: [scope.sample_stats()],
)
