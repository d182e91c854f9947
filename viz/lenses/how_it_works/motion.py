"""One block in motion: a column leaves the table and comes back, then a row; at last the patches are shuffled."""

from html import escape

import numpy as np
from jaxtyping import Float

from viz import figures
from viz.lenses.how_it_works.cells import cells, window
from viz.lenses.how_it_works.chosen import channel_of
from viz.lenses.mixing.shuffle import SEED, order_of, shuffled_pixels
from viz.lenses.view import Drawn, View
from viz.microscope import Microscope
from viz.selection import Selection

MOST = 16
"""channels that are drawn"""


def view(scope: Microscope) -> View:
    return View(
        "motion",
        "Animation of one block",
        "What happens to a column, then to a row? "
        "One block is shown step by step: the column of the selected channel, then the row of the selected patch. "
        "Press Start, or Step.",
        f"Not shown: all columns are processed in parallel, then all rows; one of each is shown, and at most {MOST} of "
        "the channels. Each table has its own colour scale.",
        sees=lambda s: (s.picture, s.patch, s.block, channel_of(scope, s), SEED.of(s)),
        draw=draw,
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    trace, block, grid = scope.look(selection.picture), selection.block, scope.grid
    tables = [trace.depths[2 * block + i, 0].cpu().numpy() for i in range(3)]
    channel, patch = channel_of(scope, selection), selection.patch
    tables.append(tables[2][order_of(scope, selection)])
    shown = _few(window(scope, channel), channel)
    column, added_column = tables[0][:, [channel]], (tables[1] - tables[0])[:, [channel]]
    row, added_row = tables[1][[patch]][:, shown], (tables[2] - tables[1])[[patch]][:, shown]
    layers = "".join(f"<div class='layer t{i}'>{_cells(table[:, shown])}</div>" for i, table in enumerate(tables))
    across = f"--at: {(channel - shown.start) / len(shown):.4f}; --size: {1 / len(shown):.4f}"
    down = f"--at: {patch / grid.patches:.4f}; --size: {1 / grid.patches:.4f}"
    moving = (
        f"<div class='mover col' style='{across}'><div>{_cells(column)}</div><div>{_cells(added_column)}</div></div>"
        f"<div class='mover line' style='{down}'><div>{_cells(row)}</div><div>{_cells(added_row)}</div></div>"
    )
    pixels = scope.pixels(selection.picture), shuffled_pixels(scope, selection)
    wide, high = pixels[0].shape[1], pixels[0].shape[0]
    pictures = "".join(
        f"<div class='layer {steps}'>{cells(one, wide / high)}</div>"
        for one, steps in zip(pixels, ("t0 t1 t2", "t3"), strict=True)
    )
    steps = "".join(f"<li>{escape(step)}</li>" for step in _steps(scope, selection, len(shown)))
    html = (
        "<div class='motion' data-step='0'><div class='stagebox' aria-hidden='true'>"
        f"<div class='tablebox'>{layers}{moving}</div><div class='mlp'><span>token-mixing MLP</span>"
        f"<span>channel-mixing MLP</span><div class='shuffled'>{pictures}</div></div></div>"
        "<p class='plays'><button type='button' data-do='play'>Start</button>"
        "<button type='button' data-do='step'>Step</button></p>"
        f"<ol>{steps}</ol></div>"
    )
    return Drawn(html=html)


def _few(shown: range, channel: int) -> range:
    """As many channels around the given one as can be told apart."""
    first = min(max(shown.start, channel - MOST // 2), max(shown.start, shown.stop - MOST))
    return range(first, min(shown.stop, first + MOST))


def _cells(values: Float[np.ndarray, "rows cols"]) -> str:
    return cells(figures.painted(values.astype(np.float32), True), 1)


def _steps(scope: Microscope, selection: Selection, shown: int) -> list[str]:
    config, grid, channel = scope.model.config, scope.grid, channel_of(scope, selection)
    name = figures.place(*grid.position(selection.patch))
    return [
        f"The input of block {selection.block + 1} is a table. It has {grid.patches} rows, one for each patch, and "
        f"{config.hidden_dim} columns, of which {shown} are shown.",
        f"A column leaves it: channel {channel} of all {grid.patches} patches.",
        f"The token-mixing MLP, the same for all columns, maps its {grid.patches} numbers to {grid.patches} new ones.",
        "They are added to the column; the same happens to every column.",
        f"A row leaves it: {name} with all {config.hidden_dim} channels.",
        f"The channel-mixing MLP, the same for all rows, maps them to {config.hidden_dim} new numbers.",
        "They are added to the row; the same happens to every row. The block is complete.",
        "Patches and token-mixing weights are shuffled in the same way: the rows swap places; values, mean and answer "
        "stay the same.",
    ]
