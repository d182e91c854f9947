"""What the paper says, beside the same on the loaded network: as far as one network can tell."""

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


def view(scope: Microscope) -> View:
    return View(
        "paper",
        "The paper and this network",
        "Which findings of the paper hold here? "
        "Tolstikhin et al. 2021, arXiv 2105.01601: what one network can show of it, on this network.",
        "One network of one training, on small pictures, proves nothing about Mixers; and what the paper compares over "
        "many networks and data sets cannot be seen in one.",
        sees=lambda s: (s.picture, SEED.of(s)),
        draw=draw,
        needs=needs,
    )


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [medians_of(scope), experiment_of(scope, selection)]


def medians_of(scope: Microscope) -> Measurement[list[float]]:
    """How opposite the units of each block are."""
    count, units = len(scope.model.blocks), scope.model.config.tokens_mlp_dim
    # the pairs of a block are sorted and gone through one by one
    seconds = count * units**2 * 4e-7
    measured = scope.measurement(
        "medians of pairs", "Pairs of opposite units", "blocks", count, lambda: weights.median_pairs(scope.model)
    )
    return replace(measured, seconds=seconds)


def draw(scope: Microscope, selection: Selection) -> Drawn:
    if scope.missing(needs(scope, selection)):
        return Drawn(words="Being measured on this network.")
    rows = (_shared(scope), _units(scope), _pairs(scope), _filters(scope), _shuffled(scope, selection))
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("in the paper", "here", "what differs"))
    body = "".join(
        f"<tr><th scope='row'><b>{where}</b> {says}</th><td>{here}"
        f" <button type='button' data-words='{link}'>See it</button></td><td>{differs}</td></tr>"
        for where, says, here, differs, link in rows
    )
    return Drawn(html=f"<table class='paper'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


Row = tuple[str, str, str, str, str]
"""where in the paper, what it says, what it is here, what differs, and a link to it"""


def _shared(scope: Microscope) -> Row:
    shared, each = forward_pass.shared_weights(scope.model)
    return (
        "Section 2, equation 1.",
        "One token-mixing MLP is shared by all channels, which saves memory; results do not suffer (supplement A.1).",
        f"{shared:,} parameters in place of {each:,}, in every block.",
        "Whether separate ones would do better is not tried here: it takes another training.",
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
        "In the first token-mixing MLPs some units look at the whole picture, others at a small part; deeper, no order "
        "is to be seen.",
        f"Median frequency of the units' maps: {speeds[0]:.4f} cycles per pixel in block 1, "
        f"{speeds[1]:.4f} in the last.",
        f"{rows} x {cols} patches are few: what is small and what is large can hardly be told apart. The paper's B/16 "
        "has 14 x 14, and far more pictures to learn from.",
        "lens=mixing.units&depth=1a&order=frequency&side=reads",
    )


def _pairs(scope: Microscope) -> Row:
    medians = scope.made(medians_of(scope))
    chance = weights.untrained_median(scope.model.config.tokens_mlp_dim, scope.grid.patches)
    most = int(np.argmin(medians))
    return (
        "Section 3.5, Figure 5.",
        "Many units come in pairs of opposite phase.",
        f"Median correlation of the best pairs: {medians[0]:.2f} in block 1, {medians[-1]:.2f} in the last, most "
        f"opposite in block {most + 1} ({medians[most]:.2f}). Chance alone makes {chance:.2f}.",
        "The paper shows it by eye; here each unit gets the most opposite of those still free, so chance has its part.",
        "lens=mixing.units&depth=1a&order=pairs&side=reads",
    )


def _filters(scope: Microscope) -> Row:
    speed = weights.spatial_frequency(weights.stem_filters(scope.model), (1, 1))
    (height, width) = scope.grid.patch_size
    return (
        "Supplement, Figure 7.",
        "The stem's filters for large patches (32 x 32) are slow, ordered patterns; for 16 x 16 most are fast, without "
        "clear order.",
        f"Filters of {height} x {width} pixels: the median has {np.median(speed):.3f} cycles per pixel, from "
        f"{speed.min():.3f} to {speed.max():.3f}.",
        f"A filter of {height} x {width} pixels has room for few patterns.",
        "lens=mixing.stem&filters=frequency",
    )


def _shuffled(scope: Microscope, selection: Selection) -> Row:
    found = experiment(scope, selection)
    before, after = int(found.original.argmax()), int(found.patches_permuted.argmax())
    return (
        "Section 3.4, Figure 4.",
        "Trained on pictures whose patches, and the pixels in each, are shuffled, all alike, a Mixer learns as well.",
        f"Shuffled weights undo shuffled patches: no logit changes by more than {found.largest_logit_difference:.0e}. "
        f"As it is, the network takes the shuffled picture for {escape(scope.classes[after])} "
        f"({found.patches_permuted[after]:.0%}), the original for {escape(scope.classes[before])} "
        f"({found.original[before]:.0%}).",
        "Nothing is trained anew: the weights are shuffled in its place, which is the reason that it does not mind.",
        "lens=mixing.shuffle",
    )
