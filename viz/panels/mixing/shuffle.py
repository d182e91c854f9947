"""Shuffle: does the network mind when the patches trade places?"""

from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np

from viz import figures
from viz.intervene import PermutationExperiment, permutation_experiment
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view

NAME = "Shuffle"
CONDITIONS = ("original", "picture and weights shuffled", "only the picture shuffled")
TOP = 3
"""classes of each condition that are shown"""
KEPT = 8


def build(scope: Microscope, state: gr.State) -> Lens:
    seed = gr.State(0)
    with gr.Row():
        again = gr.Button("Shuffle again", scale=0, min_width=160, elem_id="mixing-shuffle")
    words = gr.Markdown(elem_id="mixing-shuffle-words")
    with gr.Row(equal_height=True):
        shown = view(
            "mixing-shuffle-pictures",
            "What is shuffled?",
            "The patches of the picture trade places at random. Point at one to see where it came from.",
            "Nothing inside a patch changes: its pixels, and their order, are the same.",
        )
        answers = view(
            "mixing-shuffle-answers",
            "Does the network mind?",
            "Its answers to the original, to the shuffled picture with the token-mixing weights shuffled alike, and to "
            "the shuffled picture as it is.",
            "That shuffled weights undo shuffled patches holds for any weights, also untrained ones. What is learned "
            "is only how much the network as it is minds.",
        )

    @lru_cache(KEPT)
    def experiment(picture: bytes, seed: int) -> PermutationExperiment:
        return permutation_experiment(scope.model, scope.input(picture), seed)

    def draw(selection: Selection, seed: int = 0) -> list[Any]:
        found = experiment(selection.picture, seed)
        return [_in_words(scope, found), _pictures(scope, selection, found), _answers(scope, found)]

    def shuffle(selection: Selection, seed: int) -> list[Any]:
        return [seed + 1, *draw(selection, seed + 1)]

    outputs = [words, shown, answers]
    again.click(
        shuffle,
        [state, seed],
        [seed, *outputs],
        concurrency_id="model",
        concurrency_limit=1,
        api_visibility="private",
        show_progress="hidden",
    )
    return Lens(outputs, draw, [seed])


def _in_words(scope: Microscope, found: PermutationExperiment) -> str:
    before, after = int(found.original.argmax()), int(found.patches_permuted.argmax())
    return (
        "Only the token-mixing weights know which place is which. Shuffle them like the patches, and the answer stays: "
        f"the largest difference of a logit is **{found.largest_logit_difference:.1e}**, which is rounding. "
        f"The network as it is takes the shuffled picture for **{scope.classes[after]}** "
        f"({found.patches_permuted[after]:.1%}), the original for **{scope.classes[before]}** "
        f"({found.original[before]:.1%})."
    )


def _pictures(scope: Microscope, selection: Selection, found: PermutationExperiment) -> figures.go.Figure:
    grid, pixels = scope.grid, scope.pixels(selection.picture)
    shuffled = np.empty_like(pixels)
    for place, patch in enumerate(found.order.tolist()):
        shuffled[grid.pixels(place)] = pixels[grid.pixels(patch)]
    inside = grid.mask().flatten().tolist()
    names = [figures.place(*grid.position(patch)) for patch in range(grid.patches)]
    here = [names[patch] for patch in inside]
    moved = [f"{names[place]}: here from {names[found.order[place]]}" for place in inside]
    return figures.pictures(np.stack([pixels, shuffled]), ["original", "shuffled"], [here, moved])


def _answers(scope: Microscope, found: PermutationExperiment) -> figures.go.Figure:
    values = np.stack([found.original, found.both_permuted, found.patches_permuted])
    best = dict.fromkeys(int(i) for line in values for i in np.argsort(-line, kind="stable")[:TOP])
    chosen = list(best)
    return figures.grouped_bars(values[:, chosen], CONDITIONS, [scope.classes[i] for i in chosen], "probability")
