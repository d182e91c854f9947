"""Patch tokens: what each place holds, at each depth."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Float32

from viz import figures, tokens
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view
from viz.panels.neighbours import SHOWN, nearest

NAME = "Patch tokens"
JOINT, SINGLE = "one basis for all depths", "one basis per depth"
COLUMNS = 5
"""depths side by side"""
KEPT = 8
"""pictures whose figures that do not depend on the patch are kept, 0.1 MB each"""


def build(scope: Microscope, state: gr.State) -> Lens:
    grid = scope.grid
    height, width = grid.patch_size
    basis = gr.Radio([JOINT, SINGLE], value=JOINT, show_label=False, container=False, render=False, elem_id="basis")
    explained, lead, mean = (gr.Markdown(render=False) for _ in range(3))
    drawn = gr.State()
    with gr.Row(equal_height=True):
        given = view(
            "tokens-given",
            "What is it given?",
            f"The chosen patch as the network receives it: {height} x {width} pixels in three colours, {grid.values} "
            "numbers, each less the mean and divided by the deviation that the network was trained with.",
            "Red and blue in the maps are not colours of the picture: red is more and blue is less than the mean, of "
            "whichever colour the map is.",
        )
        with gr.Column(elem_classes="view"):
            gr.Markdown(
                "### Where else does it hold this?\n"
                f"The {SHOWN} tokens with the largest cosine to the chosen one, among all patches of the "
                f"{len(scope.samples)} samples at the chosen depth; the specimen itself is left out."
            )
            crops = gr.HTML(elem_id="tokens-neighbours", min_height=300, padding=False)
            with gr.Row(elem_classes="foot"):
                gr.Markdown(
                    "*There is always a nearest: read the cosine. And a token tells of more than its frame: from the "
                    "first block on it has heard from the whole picture.*"
                )
    with gr.Row(equal_height=True):
        similar = view(
            "tokens-similarity",
            "Which places hold the same as this one?",
            "The cosine of the chosen patch's token (framed) with every other, at every depth: 1 for the same "
            "direction, 0 for nothing in common, -1 for the opposite.",
            "Alike is not connected: like pixels give like tokens with nothing passed between them, and a direction "
            "that all tokens share lifts every cosine.",
        )
        pca = view(
            "tokens-pca",
            "Which places belong together?",
            "The three directions in which the tokens differ most, as red, green and blue: places that are alike along "
            "them have the same colour.",
            "A colour has no meaning of its own, and each direction gets its full range however little it explains. "
            "What differs in other directions does not show.",
            within=[basis, explained],
        )
    with gr.Row(equal_height=True):
        norms = view(
            "tokens-norms",
            "How long is each token?",
            "The length (Euclidean norm) of the token of every place, at every depth.",
            "Long does not mean important: every MLP reads the tokens through a LayerNorm, which takes the length out.",
        )
        updates = view(
            "tokens-updates",
            "Who writes where?",
            "The length of what is added to the token of every place: by the stem, by token mixing (a) and by channel "
            "mixing (b).",
            "Much written is not much achieved: an update may undo an earlier one, or point where the classifier does "
            "not look.",
        )
    with gr.Row(equal_height=True):
        matrix = view(
            "tokens-matrix",
            "Which pairs are alike?",
            "The cosine of every token with every token at the chosen depth; the chosen patch's row is framed.",
            "Patches stand in reading order, row after row: neighbours in the picture need not be neighbours here.",
        )
        lens = view(
            "tokens-lens",
            "When does the answer lead?",
            "The class probabilities if the network ended at each depth: its own classifier on the mean token. Dotted: "
            "the chosen depth.",
            "The classifier was trained for the last depth only: a class that it does not see early may be there, in a "
            "form that it cannot read.",
            within=[lead],
        )
    with gr.Row(equal_height=True):
        answers = view(
            "tokens-answers",
            "What would each place answer?",
            "The class with the largest logit when the classifier reads one token in place of the mean, at the chosen "
            "depth.",
            "A place answers with all that it has heard, not for what its pixels show; and a class may win by a hair: "
            "point at it to see by how much.",
        )
        votes = view(
            "tokens-votes",
            "Which places speak for the class?",
            "The logit that each token alone gives the class asked about, at the chosen depth.",
            "Logits have no zero of their own: a vote counts only against the votes for other classes, so ask about "
            "another class too before you believe it.",
            within=[mean],
        )

    @lru_cache(KEPT)
    def lengths(picture: bytes) -> list[figures.go.Figure]:
        trace = scope.look(picture)
        norms = tokens.norms(trace)
        written = np.concatenate([norms[:1], tokens.update_norms(trace)])
        return [_tiles(scope, norms, "length of the token"), _tiles(scope, written, "length of the update")]

    @lru_cache(KEPT)
    def coloured(picture: bytes, basis: str) -> tuple[figures.go.Figure, str]:
        return _pca(scope, tokens.pca_colours(scope.look(picture), basis == JOINT), basis)

    @lru_cache(KEPT)
    def answered(picture: bytes, depth: int, target: int) -> tuple[figures.go.Figure, str]:
        return _lens(scope, picture, depth, target)

    def draw(selection: Selection, basis: str) -> list[Any]:
        trace, (row, col) = scope.look(selection.picture), grid.position(selection.patch)
        depth = scope.depth_names[selection.depth]
        return [
            _given(scope, selection),
            _tiles(
                scope,
                tokens.similarity(trace, selection.patch),
                f"cosine with ({row}, {col})",
                span=1,
                chosen=(row, col),
            ),
            *lengths(selection.picture),
            figures.patch_matrix(
                tokens.similarity_matrix(trace, selection.depth),
                grid.cols,
                f"cosine at {depth}",
                signed=True,
                relation="{one} and {other}",
                chosen=selection.patch,
                span=1,
            ),
            *coloured(selection.picture, basis),
            *answered(selection.picture, selection.depth, selection.target),
            *_votes(scope, selection),
            replace(selection, target=0, lens=NAME),
        ]

    def follow(drawn: Selection | None, progress: gr.Progress = gr.Progress()) -> Any:
        return nearest(scope, drawn, progress) if drawn else gr.skip()  # nothing on a page that has just been opened

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 1, "trigger_mode": "always_last"}
    basis.input(
        lambda basis, selection: coloured(selection.picture, basis),
        [basis, state],
        [pca, explained],
        concurrency_id="model",
        show_progress="hidden",
        **private,
    )
    drawn.change(follow, drawn, crops, concurrency_id="samples", **private)
    outputs = [given, similar, norms, updates, matrix, pca, explained, lens, lead, answers, votes, mean, drawn]
    return Lens(outputs, draw, [basis])


def _given(scope: Microscope, selection: Selection) -> figures.go.Figure:
    (rows, cols), config = scope.grid.pixels(selection.patch), scope.model.config
    values = scope.input(selection.picture)[:, rows, cols].permute(1, 2, 0).cpu().numpy()
    span = max(max(mean, 1 - mean) / std for mean, std in zip(config.mean, config.std, strict=True))
    pixels = scope.pixels(selection.picture)[rows, cols]
    return figures.patch_pixels(pixels, values, (rows.start, cols.start), span)


def _tiles(
    scope: Microscope,
    values: Float32[np.ndarray, "depths patches"],
    label: str,
    span: float | None = None,
    chosen: tuple[int, int] | None = None,
) -> figures.go.Figure:
    """One map for each depth; signed where the scale has a span."""
    maps = values.reshape(-1, scope.grid.rows, scope.grid.cols)
    return figures.tiles(
        maps, scope.depth_names, label, span is not None, COLUMNS, scope.grid.patch_size, span=span, chosen=chosen
    )


def _pca(scope: Microscope, found: tokens.PcaColours, basis: str) -> tuple[figures.go.Figure, str]:
    grid, names = scope.grid, scope.depth_names
    maps = found.colours.reshape(-1, grid.rows, grid.cols, 3)
    figure = figures.colour_tiles(maps, names, COLUMNS, grid.patch_size)
    shares = found.explained.sum(1)
    if basis == JOINT:
        red, green, blue = found.explained[0]
        words = (
            f"Red explains {red:.0%} of the variance over all depths, green {green:.0%}, blue {blue:.0%}; the other "
            f"{max(0, 1 - shares[0]):.0%} do not show. A colour means the same at every depth."
        )
    else:
        least, most = shares.argmin(), shares.argmax()
        words = (
            f"Together the three explain from {shares[least]:.0%} of the variance (at {names[least]}) to "
            f"{shares[most]:.0%} (at {names[most]}). Compare colours within one depth only."
        )
    return figure, words


def _lens(scope: Microscope, picture: bytes, depth: int, target: int) -> tuple[figures.go.Figure, str]:
    found = tokens.logit_lens(scope.look(picture), scope.model)
    answer = int(found.probabilities[-1].argmax())
    figure = figures.lines_over_depth(
        found.probabilities,
        scope.depth_names,
        scope.classes,
        [figures.class_colour(i) for i in range(len(scope.classes))],
        "probability",
        depth,
        sorted({answer, target}),
    )
    return figure, lead_in_words(found, scope.classes, scope.depth_names)


def lead_in_words(found: tokens.LogitLens, classes: Sequence[str], depths: Sequence[str]) -> str:
    """Where the final answer first leads, and whether for good."""
    answers, first = found.probabilities.argmax(1), found.leads_from
    answer = answers[-1]
    after = answers[first + 1 :]
    behind = int((after != answer).sum())
    if not len(after):
        then = "the last depth"
    elif behind:
        then = f"but is behind again at {behind} of the {len(after)} depths after it"
    else:
        then = "and stays ahead to the end"
    return f"The answer, **{classes[answer]}**, first leads at **{depths[first]}**, {then}."


def _votes(scope: Microscope, selection: Selection) -> tuple[figures.go.Figure, figures.go.Figure, str]:
    trace, grid = scope.look(selection.picture), scope.grid
    votes = tokens.votes(trace, scope.model, selection.depth).reshape(grid.rows, grid.cols, -1)
    asked, name = votes[..., selection.target], scope.classes[selection.target]
    depth, last = scope.depth_names[selection.depth], scope.depth_names[-1]
    picture, chosen = scope.pixels(selection.picture), grid.position(selection.patch)
    logit = float(trace.logits[0, selection.target])
    words = f"Mean of the {grid.patches} votes at {depth}: **{asked.mean():.4f}**. The logit: **{logit:.4f}**. "
    if depth == last:
        words += "One number: at the last depth the logit is the mean of the votes."
    else:
        words += f"They are one number only at the last depth, {last}."
    return (
        figures.answers_over_picture(picture, votes, scope.classes, chosen),
        figures.over_picture(picture, asked, f"logit for {name} at {depth}", signed=True, chosen=chosen),
        words,
    )
