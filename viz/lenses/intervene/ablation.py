"""Ablation: parts of the network are removed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.figures import with_sign
from viz.intervene import ablation
from viz.intervene.sweep import sweep_work
from viz.lenses.mixing.selected_unit import unit_of
from viz.lenses.view import Drawn, Lens, Numbers, Point, View, counted, pick_sublayer
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import FIRST, with_result
from viz.running_stats import RunningStats
from viz.selection import Choice, Params, Selection

SKIPPED, MEAN = "skipped", "mean"
HOW = Choice("ablation", "Ablation", ((SKIPPED, "zero"), (MEAN, "mean over the samples")), SKIPPED)
LISTED = 12
"""units in the figure: those with the largest effect"""


def lens(scope: Microscope) -> Lens:
    sublayers = View(
        "sublayers",
        "Ablation of sublayers",
        "How does the selected class's logit change without the update of one sublayer (grey: mean and deviation of "
        "the samples)?",
        "Limits: later parts get unusual tokens and may do the work of the removed part; the changes do not add up.",
        sees=lambda scope, s: (s.picture, s.target, s.depth),
        draw=draw_sublayers,
        options=(HOW,),
        pick=pick_sublayer,
        needs=sublayers_needed,
    )
    units = View(
        "units",
        "Ablation of hidden units",
        "How does the selected class's logit change if one token-mixing unit is 0 in every channel (grey: over the "
        "samples)?",
        "Limits: a unit that changes little alone may do much together with others, and 0 may be an unusual value.",
        sees=lambda scope, s: (s.picture, s.target, s.block, s.unit),
        draw=draw_units,
        pick=pick_unit,
        needs=lambda scope, s: [units_of(scope, s), unit_over_samples(scope, s)],
    )
    asks = "Which part of the network does the answer need?"
    return Lens("whatif.ablation", "Ablation", asks, ((sublayers,), (units,)))


def draw_sublayers(scope: Microscope, selection: Selection) -> Drawn:
    own, target = scope.latest(sublayers_of(scope, selection)), selection.target
    if own is None:
        return Drawn()
    names, label = scope.depth_names[1:], f"change of the logit for {scope.classes[target]}"
    spread = scope.latest(sublayers_over_samples(scope, selection))
    samples = None if spread is None else np.stack([spread.mean[:, target], spread.deviation[:, target]])
    values = own[:, 0, target]
    figure = figures.signed_bars(values, names, label, figures.SUBLAYERS, selection.depth - 1, samples)
    most = int(np.abs(values).argmax())
    words = f"<b>{names[most]}</b> has the largest effect on the logit, <b>{with_sign(values[most], '.2f')}</b>."
    lines = {"this picture": values}
    if samples is not None:
        often = int(np.abs(samples[0]).argmax())
        mean, deviation = with_sign(samples[0, often], ".2f"), f"{samples[1, often]:.2f}"
        words += f" Over the samples {names[often]} has the largest effect, {mean} ± {deviation}."
        lines |= {"mean of the samples": samples[0], "deviation of the samples": samples[1]}
    numbers = Numbers(label, {"of": list(lines), "sublayer": names}, np.stack(list(lines.values())))
    return Drawn(figure, words=words, numbers=numbers)


def sublayers_of(scope: Microscope, selection: Selection) -> Measurement[Float32[np.ndarray, "sublayers 1 classes"]]:
    """For this picture."""
    sublayers = len(scope.depth_names) - 1
    return scope.measurement(
        ("without sublayers", HOW.value(selection), selection.picture),
        "Ablation of sublayers",
        "sublayers",
        sweep_work(sublayers),
        lambda: with_result(
            ablation.ablate_sublayers(scope.model, scope.look(selection.picture), _means(scope, selection))
        ),
        passes=(1 + sublayers) / 2,
    )


def sublayers_over_samples(scope: Microscope, selection: Selection) -> Measurement[RunningStats]:
    """Over the samples, on request."""
    return scope.over_samples(
        ("without sublayers over the samples", HOW.value(selection)),
        "Ablation over the samples",
        lambda: ablation.ablate_sublayers_over(scope.model, scope.sample_inputs, _means(scope, selection)),
        passes=1 + len(scope.depth_names) / 2,
        on_request=True,
        first=FIRST,
    )


def means_of(scope: Microscope) -> Measurement[ablation.Updates]:
    return scope.over_samples(
        "mean updates",
        "Mean updates of sublayers",
        lambda: ablation.mean_updates(scope.model, scope.sample_inputs),
    )


def _means(scope: Microscope, selection: Selection) -> ablation.Updates | None:
    """The updates that replace those of the sublayers; None for zero ablation."""
    return scope.measured(means_of(scope)) if HOW.value(selection) == MEAN else None


def sublayers_needed(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    if HOW.value(selection) == MEAN and (first := scope.missing([means_of(scope)])):
        return first
    return [sublayers_of(scope, selection), sublayers_over_samples(scope, selection)]


def draw_units(scope: Microscope, selection: Selection) -> Drawn:
    found, block, unit = scope.latest(units_of(scope, selection)), selection.block, unit_of(scope, selection)
    if found is None:
        return Drawn()
    values, label = found[:, selection.target], f"change of the logit for {scope.classes[selection.target]}"
    listed = _listed(values, unit)
    spread, samples = scope.latest(unit_over_samples(scope, selection)), None
    words = (
        f"Block {block + 1}: unit <b>{listed[0]}</b> has the largest effect, "
        f"<b>{with_sign(values[listed[0]], '.3f')}</b>. Half of {counted(len(values), 'unit')} change the logit "
        f"by less than {np.median(np.abs(values)):.1g}."
    )
    if spread is not None:
        mean, deviation = spread.mean[selection.target], spread.deviation[selection.target]
        samples = np.full((2, len(listed)), np.nan)
        samples[:, listed.index(unit)] = mean, deviation
        words += f" Unit {unit} over the samples: {with_sign(mean, '.3f')} ± {deviation:.3f}."
    names = [str(each) for each in listed]
    across = f"hidden unit of the token mixing of block {block + 1}"
    figure = figures.signed_bars(values[listed], names, label, across, listed.index(unit), samples)
    return Drawn(figure, words=words, numbers=Numbers(label, {"unit": range(len(values))}, values))


def pick_unit(scope: Microscope, selection: Selection, point: Point) -> Params:
    found, (place,) = scope.latest(units_of(scope, selection)), point.index
    if found is None:
        return {}
    return {"unit": str(_listed(found[:, selection.target], unit_of(scope, selection))[place])}


def units_of(scope: Microscope, selection: Selection) -> Measurement[Float32[np.ndarray, "units classes"]]:
    """All units, for this picture."""
    picture, block, units = selection.picture, selection.block, scope.model.config.tokens_mlp_dim
    return scope.measurement(
        ("without units", picture, block),
        f"Ablation of the units of block {block + 1}",
        "units",
        units,
        lambda: ablation.ablate_units(scope.model, scope.input(picture), block),
        passes=units * _share_after(scope, block),
    )


def unit_over_samples(scope: Microscope, selection: Selection) -> Measurement[RunningStats]:
    """The selected unit over the samples, on request."""
    block, unit = selection.block, unit_of(scope, selection)
    return scope.over_samples(
        ("without the unit over the samples", block, unit),
        f"Ablation of unit {unit} over the samples",
        lambda: ablation.ablate_unit_over(scope.model, scope.sample_inputs, block, unit),
        passes=1 + _share_after(scope, block),
        on_request=True,
        first=FIRST,
    )


def _share_after(scope: Microscope, block: int) -> float:
    """The share of a pass that follows the token mixing of a block."""
    return 1 - (block + 0.5) / len(scope.model.blocks)


def _listed(values: Float32[np.ndarray, "units"], unit: int) -> list[int]:
    """The units in the figure: those with the largest effect, in this order, and the selected one."""
    most = [*map(int, np.argsort(-np.abs(values), kind="stable")[:LISTED])]
    return most if unit in most else [*most, unit]
