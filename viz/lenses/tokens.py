"""Patch tokens: what each token contains, at each depth."""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float32

from viz import figures, tokens
from viz.intervene import ablation
from viz.lenses.view import Drawn, Lens, Numbers, Point, View, counted, pick_patch, pick_row, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import FIRST
from viz.pictures import thumbnail_url
from viz.selection import Choice, Params, Selection

ABREAST = 9
"""depths side by side at most"""
CROPS = 10
JOINT = "joint"
BASIS = Choice("basis", "Colours", ((JOINT, "one basis for all depths"), ("single", "one basis per depth")), JOINT)
RAW, UNUSUAL = "raw", "unusual"
COMPARE = Choice("compare", "Show", ((RAW, "values"), (UNUSUAL, "difference from the mean over the samples")), RAW)
TOKENS, UPDATES = "tokens", "updates"
NORM_OF = Choice("norms", "Of", ((TOKENS, "tokens"), (UPDATES, "updates by stem, a and b")), TOKENS)
DEPTHS, PAIRS = "depths", "pairs"
SIMILAR_TO = Choice(
    "similar", "Show", ((DEPTHS, "the selected patch, all depths"), (PAIRS, "all pairs, the selected depth")), DEPTHS
)
DIFFERENCE = "The figure shows values minus the mean over the samples, for the same patch and depth."


def lens(scope: Microscope) -> Lens:
    return Lens(
        "tokens",
        "Patch tokens",
        "What does each token contain, at each depth?",
        ((ANSWERS, VOTES), (_neighbours(scope),), (SIMILAR,), (PCA,), (NORMS,)),
        shows=("how similar tokens are, and their logits", "what a direction means in itself"),
    )


def _tiles(
    scope: Microscope,
    values: Float32[np.ndarray, "depths patches"],
    label: str,
    signed: bool = False,
    span: float | None = None,
    chosen: int | None = None,
) -> Drawn:
    """One map for each depth."""
    maps = scope.grid.map(values)
    framed = None if chosen is None else scope.grid.position(chosen)
    drawn = figures.tiles(
        maps, scope.depth_names, label, signed, abreast(scope), scope.grid.patch_size, span=span, chosen=framed
    )
    return Drawn(drawn, numbers=Numbers(label, {"depth": scope.depth_names, **places(scope)}, maps))


def abreast(scope: Microscope) -> int:
    """The number of maps in a line, in every view with one map for each depth."""
    return min(ABREAST, len(scope.depth_names))


def pick_tile(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a row of maps: the depth, and the patch."""
    depth, row, col = figures.tile_at(point.index, _maps(scope), abreast(scope))
    return {"depth": scope.depth_names[depth], "patch": f"{row},{col}"}


def _pick_colour_tile(scope: Microscope, selection: Selection, point: Point) -> Params:
    depth, row, col = figures.colour_tile_at(point.index, _maps(scope), abreast(scope))
    return {"depth": scope.depth_names[depth], "patch": f"{row},{col}"}


def _maps(scope: Microscope) -> tuple[int, int, int]:
    return len(scope.depth_names), scope.grid.rows, scope.grid.cols


def _neighbours(scope: Microscope) -> View:
    return View(
        "neighbours",
        "Nearest tokens",
        f"Which {CROPS} tokens of the {len(scope.samples)} samples have the largest cosine at the selected depth?",
        "Limits: some token is always nearest, so check the cosine; after block 1, tokens contain the whole picture.",
        lambda scope, s: (s.picture, s.sample, s.patch, s.depth),
        _draw_neighbours,
        needs=lambda scope, s: [scope.sample_tokens(s.depth)],
    )


def _draw_neighbours(scope: Microscope, selection: Selection) -> Drawn:
    bank = scope.latest(scope.sample_tokens(selection.depth))
    if bank is None:
        return Drawn()
    token = scope.look(selection.picture).depths[selection.depth, 0, selection.patch]
    itself = selection.sample if (selection.sample or 0) < len(bank) else None
    others = (len(bank) - (itself is not None)) * scope.grid.patches
    if not others:
        return Drawn(words="There is no other sample.")
    found = tokens.neighbours(bank, token, min(CROPS, others), itself)
    tokens_found = list(zip(found.images.tolist(), found.patches.tolist(), found.cosines.tolist(), strict=True))
    crops = (_crop(scope, *one) for one in tokens_found)
    names = [f"sample {sample}, patch {scope.grid.position(patch)}" for sample, patch, _ in tokens_found]
    return Drawn(
        html=f"<ol class='crops'>{''.join(crops)}</ol>", numbers=Numbers("cosine", {"token": names}, found.cosines)
    )


def _crop(scope: Microscope, sample: int, patch: int, cosine: float) -> str:
    (row, col), grid = scope.grid.position(patch), scope.grid
    name = escape(scope.truth(sample))
    frame = (
        f"left: {col / grid.cols:.2%}; top: {row / grid.rows:.2%}; "
        f"width: {1 / grid.cols:.2%}; height: {1 / grid.rows:.2%}"
    )
    picture = thumbnail_url(scope.pixels(scope.sample_picture(sample)))
    return (
        f"<li><button type='button' data-words='sample={sample}&patch={row},{col}' aria-label='{name}, patch ({row}, "
        f"{col}), cosine {cosine:.3f}'><span class='thumb'><img src='{picture}' alt=''><i style='{frame}'></i></span>"
        f"{name}<br>({row}, {col}) · {cosine:.3f}</button></li>"
    )


def _draw_similar(scope: Microscope, selection: Selection) -> Drawn:
    if SIMILAR_TO.value(selection) == PAIRS:
        return _draw_pairs(scope, selection)
    row, col = scope.grid.position(selection.patch)
    values = tokens.similarity(scope.look(selection.picture), selection.patch)
    return _tiles(scope, values, f"cosine with ({row}, {col})", True, span=1, chosen=selection.patch)


def _pick_similar(scope: Microscope, selection: Selection, point: Point) -> Params:
    return (pick_row if SIMILAR_TO.value(selection) == PAIRS else pick_tile)(scope, selection, point)


def _draw_norms(scope: Microscope, selection: Selection) -> Drawn:
    seen, stats = scope.look(selection.picture), scope.latest(scope.sample_stats())
    if NORM_OF.value(selection) == TOKENS:
        label, values, mean = "norm of the token", tokens.norms(seen), stats and stats.norms
    else:
        values = np.concatenate([tokens.norms(seen)[:1], tokens.update_norms(seen)])
        label, mean = "norm of the update", stats and stats.updates
    if COMPARE.value(selection) == RAW:
        return _tiles(scope, values, label)
    if mean is None:
        return Drawn()
    drawn = _tiles(scope, values - mean, f"{label} minus sample mean", True)
    return Drawn(drawn.figure, words=DIFFERENCE, numbers=drawn.numbers)


def _compared(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [scope.sample_stats()] if COMPARE.value(selection) == UNUSUAL else ()


def _draw_pairs(scope: Microscope, selection: Selection) -> Drawn:
    depth = scope.depth_names[selection.depth]
    values = tokens.similarity_matrix(scope.look(selection.picture), selection.depth)
    names = [str(position) for position in scope.grid.positions]
    drawn = figures.patch_matrix(
        values,
        scope.grid.positions,
        f"cosine at {depth}",
        signed=True,
        relation="{one} and {other}",
        chosen=selection.patch,
        span=1,
    )
    return Drawn(drawn, numbers=Numbers("cosine", {"patch": names, "other patch": names}, values))


def _draw_pca(scope: Microscope, selection: Selection) -> Drawn:
    joint = BASIS.value(selection) == JOINT
    found, names, grid = tokens.pca_colours(scope.look(selection.picture), joint), scope.depth_names, scope.grid
    maps = grid.map(found.colours, axis=1)
    shares = found.explained.sum(1)
    if joint:
        red, green, blue = found.explained[0]
        words = (
            f"Red explains {red:.0%} of the variance over all depths, green {green:.0%}, blue {blue:.0%}; the other "
            f"{max(0, 1 - shares[0]):.0%} are not shown. A colour means the same at every depth."
        )
    else:
        least, most = shares.argmin(), shares.argmax()
        words = (
            f"Together the three explain from {shares[least]:.0%} of the variance (at {names[least]}) to "
            f"{shares[most]:.0%} (at {names[most]}). Compare colours within one depth only."
        )
    axes = {"depth": names, **places(scope), "component": ("red", "green", "blue")}
    drawn = figures.colour_tiles(maps, names, abreast(scope), grid.patch_size)
    return Drawn(drawn, words=words, numbers=Numbers("score from 0 to 1", axes, maps))


def _draw_logit_lens(scope: Microscope, selection: Selection) -> Drawn:
    found, stats = tokens.logit_lens(scope.look(selection.picture), scope.model), scope.latest(scope.sample_stats())
    named = {scope.answer(selection.picture), selection.target}
    truth = None if selection.sample is None else scope.truth_class(selection.sample)
    named |= set() if truth is None else {truth}
    drawn = figures.lines_over_depth(
        found.probabilities,
        scope.depth_names,
        scope.classes,
        [figures.class_colour(i) for i in range(len(scope.classes))],
        "probability",
        selection.depth,
        sorted(named),
        None if stats is None else stats.band,
    )
    words = lead_text(found, scope.classes, scope.depth_names)
    words += f" {ablated_text(scope, selection.picture, found.decided_at)}"
    if stats is not None:
        words += f" {head_text(scope, stats)} {_band_text(scope, stats)}"
    axes = {"depth": scope.depth_names, "class": scope.classes}
    return Drawn(drawn, words=words, numbers=Numbers("probability", axes, found.probabilities))


def lead_text(found: tokens.LogitLens, classes: Sequence[str], depths: Sequence[str]) -> str:
    """HTML: the depth from which on the final answer leads, and later depths at which it does not."""
    answers, begin = found.probabilities.argmax(1), found.leads_from
    answer = answers[-1]
    after = answers[begin + 1 :]
    behind = int((after != answer).sum())
    if not len(after):
        then = "the last depth"
    elif behind:
        then = f"loses the lead at {counted(behind, 'later depth')}, and keeps it from {depths[found.decided_at]} on"
    else:
        then = "and keeps the lead to the end"
    return f"The answer, <b>{escape(classes[answer])}</b>, first leads at <b>{depths[begin]}</b>, {then}."


def ablated_text(scope: Microscope, picture: bytes, depth: int) -> str:
    """HTML: the answer without the update of the sublayer before a depth; empty for the stem."""
    if not depth:
        return ""
    before, sublayer = scope.answer(picture), depth - 1
    after = scope.cached(
        ("answer without", picture, sublayer),
        lambda: int(ablation.ablate(scope.model, scope.input(picture)[None], [sublayer], {}).argmax()),
    )
    becomes = "stays the same" if after == before else f"becomes <b>{escape(scope.classes[after])}</b>"
    return f"Without {scope.depth_names[depth]}, the answer {becomes}."


def head_text(scope: Microscope, stats: tokens.SampleStats) -> str:
    """HTML: the depth at which the head can read most samples' answers, and the effect of ablating its sublayer."""
    depth = _most_read(stats)
    read = (
        f"For {stats.decided[depth]} of {stats.images} samples, the answer leads to the end from "
        f"{scope.depth_names[depth]} on."
    )
    if depth and (changed := scope.latest(ablated_answers(scope, depth))):
        read += f" Without {scope.depth_names[depth]}, the answers of {changed[0]} of {changed[1]} change."
    if scope.grown_from:
        had = scope.grown_from
        read += (
            f" This network had {' and then '.join(map(str, had))} blocks at first: its head learned to read "
            f"{' and '.join(f'{count}b' for count in had)}."
        )
    return read


def _most_read(stats: tokens.SampleStats) -> int:
    """The depth at which the head can first read the answers of most samples."""
    return int(stats.decided.argmax())


def ablated_answers(scope: Microscope, depth: int) -> Measurement[tuple[int, int]]:
    """(changed answers, samples) after ablation of the sublayer before a depth."""
    return scope.over_samples(
        ("answers without", depth),
        f"Skipping {scope.depth_names[depth]} over the samples",
        lambda: ablation.answers_ablated(scope.model, scope.sample_inputs, depth - 1),
        passes=2,
        first=FIRST,
    )


def lens_needed(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    """The statistics over the samples; then the ablation of the sublayer that `head_text` reports."""
    stats = scope.finished(scope.sample_stats())
    depth = _most_read(stats) if stats else 0
    return [scope.sample_stats(), *([ablated_answers(scope, depth)] if depth else [])]


def _band_text(scope: Microscope, stats: tokens.SampleStats) -> str:
    """HTML: a depth at which one class leads for nearly all samples, which is no evidence about this picture."""
    depth, leader = np.unravel_index(stats.leads[:-1].argmax(), stats.leads[:-1].shape)
    return (
        f"At {scope.depth_names[depth]}, {escape(scope.classes[leader])} leads for {stats.leads[depth, leader]} of "
        f"the {stats.images} samples: a lead there says little about the picture."
    )


def _pick_depth(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a point of the curves: the depth, and the class whose line it is."""
    words = {"depth": scope.depth_names[point.index[0]]}
    return words | {"class": point.name} if point.name in scope.classes else words


def _draw_answers(scope: Microscope, selection: Selection) -> Drawn:
    votes, grid = _votes_at(scope, selection.picture, selection.depth), scope.grid
    drawn = figures.answers_over_picture(
        scope.pixels(selection.picture), votes, scope.classes, grid.position(selection.patch)
    )
    return Drawn(drawn, numbers=Numbers("logit", {**places(scope), "class": scope.classes}, votes))


def _draw_votes(scope: Microscope, selection: Selection) -> Drawn:
    at = selection.depth
    name, last = scope.depth_names[at], scope.depth_names[-1]
    votes = _votes_at(scope, selection.picture, at)[..., selection.target]
    logit = float(scope.look(selection.picture).logits[0, selection.target])
    words = (
        f"The mean of {counted(scope.grid.patches, 'vote')} at {name} is <b>{votes.mean():.4f}</b>; the logit is "
        f"<b>{logit:.4f}</b>. "
    )
    if name == last:
        words += "At the last depth the logit is the mean of the votes."
    else:
        words += f"They are equal only at the last depth, {last}."
    label = f"logit for {scope.classes[selection.target]} at {name}"
    if COMPARE.value(selection) == UNUSUAL:
        stats = scope.latest(scope.sample_stats())
        if stats is None:
            return Drawn()
        votes = votes - scope.grid.map(stats.votes[at, :, selection.target])
        label, words = f"{label} minus sample mean", DIFFERENCE
    drawn = figures.over_picture(
        scope.pixels(selection.picture), votes, label, signed=True, chosen=scope.grid.position(selection.patch)
    )
    return Drawn(drawn, words=words, numbers=Numbers(label, places(scope), votes))


def _votes_at(scope: Microscope, picture: bytes, depth: int) -> Float32[np.ndarray, "rows cols classes"]:
    return scope.grid.map(tokens.votes(scope.look(picture), scope.model, depth), axis=0)


SIMILAR = View(
    "similarity",
    "Cosine similarity of tokens",
    "Which patches have tokens with a similar direction (1: the same, 0: orthogonal, -1: opposite)?",
    "Limits: similar pixels give similar tokens without token mixing, and a shared direction raises every cosine.",
    lambda scope, s: (s.picture, s.patch, s.depth if SIMILAR_TO.value(s) == PAIRS else None),
    _draw_similar,
    options=(SIMILAR_TO,),
    pick=_pick_similar,
)
PCA = View(
    "pca",
    "PCA of the tokens",
    "Which patches form groups in the three directions in which the tokens differ most (red, green, blue)?",
    "Limits: a colour has no meaning of its own, and each direction gets its full range however little it explains.",
    lambda scope, s: s.picture,
    _draw_pca,
    options=(BASIS,),
    pick=_pick_colour_tile,
)
NORMS = View(
    "norms",
    "Norms of tokens and updates",
    "How large is each token, and how large is the update by each sublayer?",
    "Limits: LayerNorm removes the norm before every MLP; a large update may be undone later, or ignored by the "
    "classifier.",
    lambda scope, s: s.picture,
    _draw_norms,
    options=(NORM_OF, COMPARE),
    pick=pick_tile,
    needs=_compared,
)
LOGIT_LENS = View(
    "lens",
    "Logit lens",
    "Which class probabilities does the network's own classifier read from the mean token at each depth?",
    "Limits: the curves show where the classifier can read the answer, not its cause; training ended with the "
    "classifier at the last depth.",
    lambda scope, s: (s.picture, s.sample, s.depth, s.target),
    _draw_logit_lens,
    pick=_pick_depth,
    needs=lens_needed,
)
ANSWERS = View(
    "answers",
    "Class per token",
    "Which class does the classifier predict from each token alone, at the selected depth?",
    "Limits: after block 1, a token contains information from all patches, and its class may lead by little.",
    lambda scope, s: (s.picture, s.patch, s.depth),
    _draw_answers,
    pick=pick_patch,
)
VOTES = View(
    "votes",
    "Per-patch logits (votes)",
    "Which logit does each token alone give the selected class, at the selected depth?",
    "Limits: only differences of logits have a meaning, and some patches vote alike for every picture: compare "
    "classes, or subtract the sample mean.",
    lambda scope, s: (s.picture, s.patch, s.depth, s.target),
    _draw_votes,
    options=(COMPARE,),
    pick=pick_patch,
    needs=_compared,
)
