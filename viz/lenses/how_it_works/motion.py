"""One block in motion: a column leaves the table and comes back, then a row; and at last the places are shuffled."""

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
        "The block of the chosen depth: the chosen channel's column, then the chosen patch's row. Start plays it, Step "
        "goes on by one.",
        "In truth all columns go at once, and then all rows: only one of each is moved here. Few of the channels are "
        "drawn, each table with a scale of its own.",
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
    """So many channels around the given one as can be told apart."""
    first = min(max(shown.start, channel - MOST // 2), max(shown.start, shown.stop - MOST))
    return range(first, min(shown.stop, first + MOST))


def _cells(values: Float[np.ndarray, "rows cols"]) -> str:
    return cells(figures.painted(values.astype(np.float32), True), 1)


def _steps(scope: Microscope, selection: Selection, shown: int) -> list[str]:
    config, grid, channel = scope.model.config, scope.grid, channel_of(scope, selection)
    name = figures.place(*grid.position(selection.patch))
    return [
        f"The table that block {selection.block + 1} gets: {grid.patches} rows, one for each patch, and "
        f"{config.hidden_dim} columns, of which {shown} are drawn.",
        f"A column leaves it: channel {channel}, at all {grid.patches} places.",
        f"The token-mixing MLP, the same for all columns, makes of its {grid.patches} numbers {grid.patches} others.",
        "They come back and are added to the column; so it goes with every column.",
        f"A row leaves: {name}, with all {config.hidden_dim} channels.",
        f"The channel-mixing MLP, the same for all rows, makes {config.hidden_dim} numbers of them.",
        "They come back and are added to the row; so it goes with every row. The block is done.",
        "Shuffle the patches of the picture, and the token-mixing weights alike: the rows trade places, no number "
        "changes, and the mean, so the answer, stays.",
    ]
