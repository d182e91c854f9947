"""Findings of the paper, each compared with a measurement of the loaded network."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np

from viz import forward_pass
from viz.lenses.mixing.shuffle import SEED, experiment, experiment_of
from viz.lenses.view import Drawn, View
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing import weights
from viz.selection import Selection


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [medians_of(scope), experiment_of(scope, selection)]


def medians_of(scope: Microscope) -> Measurement[list[float]]:
    """The median correlation of the most opposite units, by block."""
    count, units = len(scope.model.blocks), scope.model.config.tokens_mlp_dim
    measured = scope.measurement(
        "medians of pairs", "Pairs of opposite units", "blocks", count, lambda: weights.median_pairs(scope.model)
    )
    return replace(measured, per_step=units**2 * 4e-7)  # the pairs are sorted, and compared one by one


def draw(scope: Microscope, selection: Selection) -> Drawn:
    if scope.missing(needs(scope, selection)):
        return Drawn(words="Measuring ...")
    rows = (_shared(scope), _units(scope), _pairs(scope), _filters(scope), _shuffled(scope, selection))
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("in the paper", "here", "what differs"))
    body = "".join(
        f"<tr><th scope='row'><b>{where}</b> {says}</th><td>{here}"
        f" <button type='button' data-words='{link}'>See it</button></td><td>{differs}</td></tr>"
        for where, says, here, differs, link in rows
    )
    return Drawn(html=f"<table class='paper'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


Row = tuple[str, str, str, str, str]
"""section of the paper, its finding, the result here, differences, and a link"""


def _shared(scope: Microscope) -> Row:
    shared, each = forward_pass.shared_weights(scope.model)
    return (
        "Section 2, equation 1.",
        "One token-mixing MLP is shared by all channels, which saves memory; results do not suffer (supplement A.1).",
        f"Every block has {shared:,} parameters instead of {each:,}.",
        "Not tested here: separate MLPs need another training.",
        "lens=how&depth=1a",
    )


def _units(scope: Microscope) -> Row:
    speeds = [
        float(np.median(weights.spatial_frequency(weights.reads(scope.model, block), scope.grid.patch_size)))
        for block in (0, len(scope.model.blocks) - 1)
    ]
    rows, cols = scope.grid.rows, scope.grid.cols
    return (
        "Section 3.5, Figure 5.",
        "In the first token-mixing MLPs some units use the whole picture, others a small part. Deeper units have no "
        "clear structure.",
        f"The median frequency of the units' maps is {speeds[0]:.4f} cycles per pixel in block 1, and "
        f"{speeds[1]:.4f} in the last.",
        f"With {rows} x {cols} patches, local and global patterns look alike; the paper's B/16 has 14 x 14.",
        "lens=mixing.units&depth=1a&order=frequency&side=reads",
    )


def _pairs(scope: Microscope) -> Row:
    medians = scope.measured(medians_of(scope))
    chance = weights.untrained_median(scope.model.config.tokens_mlp_dim, scope.grid.patches)
    most = int(np.argmin(medians))
    return (
        "Section 3.5, Figure 5.",
        "Many units form pairs with opposite phase.",
        f"The median correlation of the best pairs is {medians[0]:.2f} in block 1 and {medians[-1]:.2f} in the last. "
        f"It is lowest in block {most + 1}: {medians[most]:.2f}. By chance, {chance:.2f} is expected.",
        "The paper shows examples. Here units are paired greedily, so some opposition occurs by chance.",
        "lens=mixing.units&depth=1a&order=pairs&side=reads",
    )


def _filters(scope: Microscope) -> Row:
    speed = weights.spatial_frequency(weights.stem_filters(scope.model), (1, 1))
    (height, width) = scope.grid.patch_size
    return (
        "Supplement, Figure 7.",
        "The stem's filters for large patches (32 x 32) are low-frequency and structured; for 16 x 16 they are mostly "
        "high-frequency and unstructured.",
        f"The median frequency of the filters is {np.median(speed):.3f} cycles per pixel, from {speed.min():.3f} to "
        f"{speed.max():.3f}.",
        f"A filter of {height} x {width} pixels can show few patterns.",
        "lens=mixing.stem&filters=frequency",
    )


def _shuffled(scope: Microscope, selection: Selection) -> Row:
    found = experiment(scope, selection)
    before, after = int(found.original.argmax()), int(found.patches_permuted.argmax())
    return (
        "Section 3.4, Figure 4.",
        "A Mixer learns as well on pictures whose patches, and the pixels in each, are all shuffled in the same way.",
        f"Shuffled weights undo shuffled patches: no logit changes by more than {found.largest_logit_difference:.0e}. "
        f"With its own weights, the network predicts {escape(scope.classes[after])} "
        f"({found.patches_permuted[after]:.0%}) for the shuffled picture and "
        f"{escape(scope.classes[before])} ({found.original[before]:.0%}) for the original.",
        "Nothing is retrained: shuffling the weights shows why a retrained Mixer is unaffected.",
        "lens=mixing.shuffle",
    )


VIEW = View(
    "paper",
    "The paper and this network",
    "Which findings of Tolstikhin et al. 2021 (arXiv 2105.01601) hold here?",
    "Limits: one network, trained once on small pictures, proves nothing in general.",
    sees=lambda scope, s: (s.picture, SEED.value(s)),
    draw=draw,
    needs=needs,
)
