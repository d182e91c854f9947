"""Knock out: parts of the network that do not do their work."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.figures import with_sign
from viz.intervene import knockout
from viz.microscope import Microscope
from viz.panels.mixing.chosen import unit_of
from viz.panels.view import Drawn, Lens, Numbers, Point, View
from viz.running import Measurement
from viz.selection import Choice, Selection, Words

SKIPPED, MEAN = "skipped", "mean"
HOW = Choice("knocked", "A half-block", ((SKIPPED, "is skipped"), (MEAN, "adds its mean over the samples")), SKIPPED)
LISTED = 12
"""units that are shown"""


def lens(scope: Microscope) -> Lens:
    halves = View(
        "halves",
        "Which half-block does the answer need?",
        "The change of the asked class's logit when one half-block adds nothing, or only what it adds in the mean over "
        "the samples. Grey: mean and standard deviation of that change over the samples.",
        "What is lost is not what the half-block alone does: those behind it meet tokens that they never met, and "
        "others may do its work in its place. The changes do not add up.",
        sees=lambda s: (s.picture, s.target, s.depth),
        draw=draw_halves,
        options=(HOW,),
        pick=pick_half,
        needs=halves_needed,
    )
    units = View(
        "units",
        "Which hidden unit does the answer need?",
        "The change of the asked class's logit when one hidden unit of the block's token mixing is silent: 0 in every "
        "channel. The units that change it most; grey: the chosen one over the samples.",
        "A unit that changes little alone may do much together with others, and silence is itself a value: a unit "
        "that is usually active is unusual when silent.",
        sees=lambda s: (s.picture, s.target, s.block, s.unit),
        draw=draw_units,
        pick=pick_unit,
        needs=units_needed,
    )
    asks = "What if a part of the network did not do its work? So it is seen which part the answer needs."
    return Lens("whatif.knockout", "Knock out", asks, ((halves,), (units,)))


def draw_halves(scope: Microscope, selection: Selection) -> Drawn:
    own, target = scope.recall(_halves_key(selection)), selection.target
    if own is None:
        return Drawn()
    names, label = scope.depth_names[1:], f"change of the logit for {scope.classes[target]}"
    spread = scope.recall(_usual_key(selection))
    usual = None if spread is None else np.stack([spread.mean[:, target], spread.deviation[:, target]])
    values = own[:, target]
    figure = figures.effects(values, names, label, figures.HALVES, selection.depth - 1, usual)
    most = int(np.abs(values).argmax())
    words = f"Without <b>{names[most]}</b> the logit changes most: by <b>{with_sign(values[most], '.2f')}</b>."
    lines = {"this picture": values}
    if usual is not None:
        often = int(np.abs(usual[0]).argmax())
        words += f" Over the samples: {names[often]}, {with_sign(usual[0, often], '.2f')} ± {usual[1, often]:.2f}."
        lines |= {"mean of the samples": usual[0], "deviation of the samples": usual[1]}
    numbers = Numbers(label, {"of": list(lines), "half-block": names}, np.stack(list(lines.values())))
    return Drawn(figure, words=words, numbers=numbers)


def pick_half(scope: Microscope, selection: Selection, point: Point) -> Words:
    (half,) = point.index
    return {"depth": scope.depth_names[1:][half]}


def halves_needed(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    """For this picture at once, over the samples when it is asked for."""
    model, pace, halves = scope.model, scope.explanations.seconds_per_pass, len(scope.depth_names) - 1
    averaged = HOW.of(selection) == MEAN
    if averaged and (first := means_needed(scope)):
        return first
    needed = []
    key, usual_key, picture = _halves_key(selection), _usual_key(selection), selection.picture

    def own() -> Iterator[int]:
        found = []
        for change in knockout.without_halves(model, scope.input(picture)[None], _means(scope, averaged)):
            found.append(change[0])
            yield len(found)
        scope.remember(key, np.stack(found))

    def usual() -> Iterator[int]:
        return scope.keep(usual_key, knockout.without_halves_over(model, scope.sample_inputs, _means(scope, averaged)))

    if scope.recall(key) is None:
        needed.append(Measurement(key, "Knocking out", "half-blocks", halves, (1 + halves / 2) * pace, own))
    if scope.recall(usual_key) is None:
        needed.append(scope.over_samples(usual_key, "Knocking out over the samples", usual, 1 + halves / 2, asked=True))
    return needed


def means_needed(scope: Microscope) -> list[Measurement]:
    def steps() -> Iterator[int]:
        return scope.keep("mean updates", knockout.mean_updates(scope.model, scope.sample_inputs))

    if scope.recall("mean updates") is not None:
        return []
    return [scope.over_samples("mean updates", "What half-blocks add in the mean", steps)]


def draw_units(scope: Microscope, selection: Selection) -> Drawn:
    found, block, unit = scope.recall(_units_key(selection)), selection.block, unit_of(scope, selection)
    if found is None:
        return Drawn()
    values, label = found[:, selection.target], f"change of the logit for {scope.classes[selection.target]}"
    listed = _listed(values, unit)
    spread, usual = scope.recall(_usual_unit_key(selection, unit)), None
    words = (
        f"Block {block + 1}: silent, unit <b>{listed[0]}</b> changes it most, by "
        f"<b>{with_sign(values[listed[0]], '.3f')}</b>; half of the {len(values)} units change it by less than "
        f"{np.median(np.abs(values)):.1g}."
    )
    if spread is not None:
        mean, deviation = spread.mean[selection.target], spread.deviation[selection.target]
        usual = np.full((2, len(listed)), np.nan)
        usual[:, listed.index(unit)] = mean, deviation
        words += f" Unit {unit} over the samples: {with_sign(mean, '.3f')} ± {deviation:.3f}."
    names = [str(each) for each in listed]
    across = f"hidden unit of the token mixing of block {block + 1}"
    figure = figures.effects(values[listed], names, label, across, listed.index(unit), usual)
    return Drawn(figure, words=words, numbers=Numbers(label, {"unit": range(len(values))}, values))


def pick_unit(scope: Microscope, selection: Selection, point: Point) -> Words:
    found, (place,) = scope.recall(_units_key(selection)), point.index
    if found is None:
        return {}
    return {"unit": str(_listed(found[:, selection.target], unit_of(scope, selection))[place])}


def units_needed(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    """All units for this picture at once; the chosen one over the samples when it is asked for."""
    model, block, unit = scope.model, selection.block, unit_of(scope, selection)
    key, usual_key, image = _units_key(selection), _usual_unit_key(selection, unit), scope.input(selection.picture)
    behind, units = 1 - block / len(model.blocks), model.config.tokens_mlp_dim

    def own() -> Iterator[int]:
        return scope.keep(key, knockout.without_units(model, image, block))

    def usual() -> Iterator[int]:
        return scope.keep(usual_key, knockout.without_unit_over(model, scope.sample_inputs, block, unit))

    needed = []
    if scope.recall(key) is None:
        seconds = units * behind * scope.explanations.seconds_per_pass
        needed.append(Measurement(key, f"Silencing units of block {block + 1}", "units", units, seconds, own))
    if scope.recall(usual_key) is None:
        name = f"Silencing unit {unit} over the samples"
        needed.append(scope.over_samples(usual_key, name, usual, 1 + behind, asked=True))
    return needed


def _means(scope: Microscope, averaged: bool) -> knockout.Updates | None:
    """Raises RuntimeError where they are wanted and not known: nothing else may be taken for them."""
    means = scope.recall("mean updates") if averaged else None
    if averaged and means is None:
        raise RuntimeError("the means over the samples were forgotten")
    return means


def _halves_key(selection: Selection) -> Hashable:
    return "without halves", HOW.of(selection), selection.picture


def _usual_key(selection: Selection) -> Hashable:
    return "without halves over the samples", HOW.of(selection)


def _units_key(selection: Selection) -> Hashable:
    return "without units", selection.picture, selection.block


def _usual_unit_key(selection: Selection, unit: int) -> Hashable:
    return "without the unit over the samples", selection.block, unit


def _listed(values: Float32[np.ndarray, "units"], unit: int) -> list[int]:
    """The units that are shown: those that change most, the largest change first, and the chosen one."""
    most = [*map(int, np.argsort(-np.abs(values), kind="stable")[:LISTED])]
    return most if unit in most else [*most, unit]
