"""The network as a drawing: every part with its values for this picture, to be selected."""

from html import escape

import numpy as np
from jaxtyping import Float32

from viz import forward_pass, tokens
from viz.lenses.how_it_works.cells import over_grid, picture, strip, table, window
from viz.lenses.how_it_works.chosen import channel_of
from viz.lenses.how_it_works.part import Part, part_of, words_of
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection

TOP = 5
"""classes of the answer that are shown"""
ARROW = "<svg class='arrow' viewBox='0 0 28 12' aria-hidden='true'><path d='M0 6H24M19 1L25 6L19 11'/></svg>"
HALVES: dict[Part, str] = {"a": "token mixing", "b": "channel mixing"}


def view(scope: Microscope) -> View:
    return View(
        "network",
        "Network overview",
        "What happens to the picture inside the network? "
        "The whole network is shown with its values for this picture. Click a part to see its calculation below.",
        "Scales: each map has its own colour scale. The colour shows where the update is large; the number is the norm "
        "of the update / the norm of its input. A large update may be undone later.",
        sees=lambda s: (s.picture, s.patch, s.depth, part_of(scope, s), channel_of(scope, s)),
        draw=draw,
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    strengths = forward_pass.strengths(scope.look(selection.picture))
    added = strengths.tolist()
    stages = _given(scope, selection), _blocks(scope, selection, added), _end(scope, selection)
    html = f"<div class='network'>{''.join(stages)}</div>"
    numbers = Numbers("norm of the update / norm of its input", {"depth": scope.depth_names[1:]}, strengths)
    return Drawn(html=html, words=_in_words(scope, selection, added), numbers=numbers)


def decided_at(scope: Microscope, selection: Selection) -> int:
    """The depth from which on the answer is the most probable class, if the network ended there."""
    return tokens.logit_lens(scope.look(selection.picture), scope.model).decided_at


def _in_words(scope: Microscope, selection: Selection, added: list[float]) -> str:
    names, most, answer = scope.depth_names, added.index(max(added)) + 1, scope.answer(selection.picture)
    leads = decided_at(scope, selection)
    update = f"The largest update is that of <b>{names[most]}</b>: {_share(added[most - 1])} of its input."
    if not any(added):
        update = "Every half-block has an update of zero."
    return (
        f"From <b>{names[leads]}</b> on, the head would already give the answer, "
        f"<b>{escape(scope.classes[answer])}</b>. {update}"
    )


def _button(scope: Microscope, selection: Selection, part: Part, depth: int, inner: str, label: str) -> str:
    chosen = part == part_of(scope, selection) and (part not in HALVES or depth == selection.depth)
    return (
        f"<button type='button' class='part' data-words='{escape(words_of(scope, part, depth))}' "
        f"data-go='how-detail' aria-pressed='{str(chosen).lower()}' aria-label='{escape(label, True)}'>{inner}</button>"
    )


def _given(scope: Microscope, selection: Selection) -> str:
    grid, config = scope.grid, scope.model.config
    (height, width), channel = grid.patch_size, channel_of(scope, selection)
    cut = f"{grid.patches} patches of {height} x {width} pixels: {grid.values} numbers each"
    image = f"{picture(scope, selection.picture, selection.patch)}<b>picture</b><small>{cut}</small>"
    stem = scope.look(selection.picture).stem[0].cpu().numpy()
    shown = window(scope, channel)
    drawn = table(stem, shown, selection.patch, channel)
    size = f"{grid.patches} tokens x {config.hidden_dim} channels"
    part = "" if len(shown) == config.hidden_dim else f" ({len(shown)} shown)"
    how_made = f"{size}{part}; the same {config.hidden_dim} filters for every patch"
    stage = f"{drawn}<b>stem</b><small>{how_made}</small>"
    return (
        f"<div class='stage'>{_button(scope, selection, 'picture', 0, image, f'The picture: {cut}')}{ARROW}"
        f"{_button(scope, selection, 'stem', 0, stage, f'The stem: {size}')}</div>"
    )


def _blocks(scope: Microscope, selection: Selection, added: list[float]) -> str:
    written = tokens.update_norms(scope.look(selection.picture))  # halves patches
    leads = decided_at(scope, selection)
    items = []
    for block in range(len(scope.model.blocks)):
        halves = "<i class='stream'></i>".join(
            _half(scope, selection, depth, written[depth - 1], added[depth - 1], depth == leads)
            for depth in (2 * block + 1, 2 * block + 2)
        )
        items.append(f"<li aria-label='block {block + 1}'>{halves}</li>")
    return (
        "<p class='lanes'><span>upper row (a): token mixing, on columns</span>"
        "<span>lower row (b): channel mixing, on rows</span>"
        "<span>map: norm of the update of each patch; number: update / input</span></p>"
        f"<ol class='blocks'>{''.join(items)}</ol>"
    )


def _half(
    scope: Microscope,
    selection: Selection,
    depth: int,
    written: Float32[np.ndarray, "patches"],
    added: float,
    here: bool,
) -> str:
    part: Part = "a" if depth % 2 else "b"
    name = scope.depth_names[depth]
    flag = "<em>readable</em>" if here else ""
    inner = (
        f"<b>{name}</b>{flag}{over_grid(scope, written, selection.patch, signed=False)}"
        f"<span class='strength' style='--share: {min(1, added / 2):.0%}'>+{_share(added)}</span>"
    )
    label = f"{name}, {HALVES[part]} of block {(depth + 1) // 2}: its update is {_share(added)} of its input"
    return _button(
        scope, selection, part, depth, inner, label + (", from here on the head can read the answer" if here else "")
    )


def _end(scope: Microscope, selection: Selection) -> str:
    config, picture_ = scope.model.config, selection.picture
    pooled = scope.look(picture_).pooled[0].cpu().numpy()
    size = f"of the {scope.grid.patches} tokens: {config.hidden_dim} numbers"
    mean = f"{strip(pooled)}<b>mean</b><small>{size}</small>"
    best, probabilities = scope.leading(picture_, TOP), scope.probabilities(picture_)
    rows = "".join(
        f"<span class='strength' style='--share: {probabilities[i]:.1%}'>{escape(scope.classes[i])} "
        f"<i>{probabilities[i]:.1%}</i></span>"
        for i in best
    )
    head = f"{rows}<b>head</b><small>{config.num_classes} classes, each a weighted sum of the mean</small>"
    last = len(scope.depth_names) - 1
    return (
        f"<div class='stage end'>{_button(scope, selection, 'head', last, mean, 'The mean of the tokens')}{ARROW}"
        f"{_button(scope, selection, 'head', last, head, f'The head: {scope.classes[best[0]]}')}</div>"
    )


def _share(value: float) -> str:
    return f"{100 * value:.1g}%" if 0 < value < 0.005 else f"{value:.0%}"
