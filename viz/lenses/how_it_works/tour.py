"""A tour of eight stops: each shows a view and explains it with the numbers of the loaded network."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl

import numpy as np

from viz import forward_pass, tokens
from viz.lenses.how_it_works.detail import mixing
from viz.lenses.how_it_works.selected_channel import channel_of
from viz.lenses.mixing.shuffle import experiment
from viz.lenses.tokens import ablated_text, head_text
from viz.lenses.view import counted
from viz.microscope import Microscope
from viz.mixing import weights
from viz.selection import Number, Selection, at_depth

Text = Callable[[Microscope, Selection], str]


@dataclass(frozen=True)
class Stop:
    """A stop: a view and its explanation."""

    title: str
    words: str | Text
    """the parameters of a link that show the view"""
    view: str
    """the element of the view"""
    text: Text
    """HTML"""

    def link(self, scope: Microscope, selection: Selection) -> str:
        return self.words if isinstance(self.words, str) else self.words(scope, selection)


def bar(scope: Microscope, selection: Selection) -> str:
    """HTML: the current stop and links to the others; outside the tour, the link that starts it."""
    number = TOUR.value(selection)
    if not number:
        begin = _way(scope, selection, 1, "Take the tour", "")
        return f"<nav class='tour' aria-label='Tour'>{begin}</nav>" if selection.lens == "how" else ""
    ways = "".join(
        f"<li>{_way(scope, selection, i, str(i), STOPS[i - 1].title, i == number)}</li>"
        for i in range(1, len(STOPS) + 1)
    )
    stop = STOPS[number - 1]
    back = _way(scope, selection, number - 1, "Back", "", step="back") if number > 1 else ""
    following = _way(scope, selection, number + 1, "Next", "", step="next") if number < len(STOPS) else ""
    again = "" if shows(scope, selection, stop) else _way(scope, selection, number, "Go back to this stop", "")
    return (
        f"<nav class='tour on' aria-label='Tour'><p><b>{number} of {len(STOPS)}: {escape(stop.title)}</b> "
        f"{stop.text(scope, selection)}</p><div>{back}{following}{again}<ol>{ways}</ol>"
        f"<button type='button' data-words='{TOUR.name}=0'>Leave</button></div></nav>"
    )


def shows(scope: Microscope, selection: Selection, stop: Stop) -> bool:
    """Whether the selection has the lens and the depth of a stop."""
    chosen = {"lens": selection.lens, "depth": scope.depth_names[selection.depth]}
    return chosen.items() <= (chosen | dict(parse_qsl(stop.link(scope, selection)))).items()


def _way(
    scope: Microscope, selection: Selection, number: int, text: str, title: str, here: bool = False, step: str = ""
) -> str:
    """HTML: a link to a stop."""
    stop = STOPS[number - 1]
    words = f"{TOUR.name}={number}&{stop.link(scope, selection)}"
    marks = " aria-current='step'" if here else ""
    marks += f" data-step='{step}'" if step else ""
    marks += f" title='{escape(title, True)}' aria-label='stop {number}: {escape(title, True)}'" if title else ""
    return f"<a href='?{words}' data-words='{words}' data-go='{stop.view}'{marks}>{text}</a>"


def _table(scope: Microscope, selection: Selection) -> str:
    grid, config = scope.grid, scope.model.config
    return (
        f"The picture is cut into {counted(grid.patches, 'patch')}; the {grid.values} numbers of each become a token "
        f"of {counted(config.hidden_dim, 'number')}. All blocks work on this table of "
        f"{counted(grid.patches, 'row')} and {counted(config.hidden_dim, 'column')}."
    )


def _token_mixing(scope: Microscope, selection: Selection) -> str:
    at = at_depth(selection, 1)
    found = mixing(scope, at, "a")
    shared, each = forward_pass.shared_weights(scope.model)
    return (
        f"This is one column: channel {channel_of(scope, at)} of all patches. Unit {found.unit} takes their "
        f"weighted sum, {found.read.total:.2f}; the GELU of it is {found.hidden:.2f}. "
        f"Together the units change the value of the selected patch from {found.before:.2f} to {found.after:.2f}. "
        f"Only token mixing moves information between patches. All channels share these {shared:,} parameters; one MLP "
        f"for each would need {each:,}."
    )


def _units(scope: Microscope, selection: Selection) -> str:
    maps = weights.reads(scope.model, 0)
    pairs, correlation = scope.cached("opposite pairs of block 1", lambda: weights.opposite_pairs(maps))
    if not len(pairs):
        return f"The maps show the weights of {counted(len(maps), 'unit')} of block 1. No two are opposite."
    chance = weights.untrained_median(len(maps), scope.grid.patches)
    return (
        f"All channels share the weights of a unit, so they are one map over the picture. These are the {len(maps)} "
        f"units of block 1. The paper reports many pairs with opposite weights. Here the most opposite, "
        f"{counted(len(pairs), 'pair')}, have a median correlation of {np.median(correlation):.2f}; by "
        f"chance, {chance:.2f} is expected."
    )


def _channel_mixing(scope: Microscope, selection: Selection) -> str:
    added = forward_pass.strengths(scope.look(selection.picture))
    return (
        f"This is one row: the channels of one patch are recombined by one MLP, the same for all "
        f"patches. In block 1 the update of channel mixing is {added[1]:.0%} of its "
        f"input; that of token mixing is {added[0]:.0%}."
    )


def _decided(scope: Microscope, selection: Selection) -> str:
    own, stats = scope.decided_at(selection.picture), scope.latest(scope.sample_stats())
    text = (
        f"If the network ended at {scope.depth_names[own]} or later, it would already give its final answer: the head "
        "can read it there. This does not say which part makes the answer. "
        f"{ablated_text(scope, selection.picture, own)}"
    )
    if stats is None:
        return f"{text} For other pictures, the depth is measured under the figure."
    return f"{text} {head_text(scope, stats)}"


def _votes(scope: Microscope, selection: Selection) -> str:
    trace, target = scope.look(selection.picture), selection.target
    found = tokens.votes(trace, scope.model, len(scope.depth_names) - 1)[:, target]
    best = scope.grid.position(int(found.argmax()))
    return (
        f"The logit for {escape(scope.classes[target])}, {found.mean():.2f}, is the mean of the {len(found)} per-patch "
        f"logits. They range from {found.min():.2f} to {found.max():.2f}; patch {best} has the largest. By then each "
        "token contains information from all patches."
    )


def _shuffle(scope: Microscope, selection: Selection) -> str:
    found = experiment(scope, selection)
    after = int(found.patches_permuted.argmax())
    return (
        "Only token mixing depends on the order of the patches. If patches and token-mixing weights are shuffled in "
        f"the same way, no logit changes by more than {found.largest_logit_difference:.0e}, which is rounding. If only "
        f"the picture is shuffled, the answer is {escape(scope.classes[after])} ({found.patches_permuted[after]:.0%})."
    )


def _attribution(scope: Microscope, selection: Selection) -> str:
    answer = scope.answer(selection.picture)
    return (
        f"Which of the patches support the answer, {escape(scope.classes[answer])} "
        f"({scope.probabilities(selection.picture)[answer]:.0%})? Each method has its own result, and a sum that it "
        "should have. Before you trust one, open the tab Reliability of maps. The tour ends here: now you can select "
        "any picture, class and part."
    )


STOPS = (
    Stop("The picture becomes a table", "lens=how&depth=stem&part=depth", "how-network", _table),
    Stop("Token mixing: a column at a time", "lens=how&depth=1a&part=a", "how-network", _token_mixing),
    Stop("Token-mixing units are maps", "lens=mixing.units&depth=1a&order=pairs", "mixing-units-units", _units),
    Stop("Channel mixing: a row at a time", "lens=how&depth=1b&part=b", "how-network", _channel_mixing),
    Stop(
        "The answer can be read from here on",
        lambda scope, s: f"lens=how&depth={scope.depth_names[scope.decided_at(s.picture)]}&part=depth",
        "how-lens",
        _decided,
    ),
    Stop(
        "Votes: one logit per patch",
        lambda scope, s: f"lens=tokens&depth={scope.depth_names[-1]}",
        "tokens-votes",
        _votes,
    ),
    Stop("Shuffled patches", "lens=mixing.shuffle", "mixing-shuffle-answers", _shuffle),
    Stop("Which patches support the answer?", "lens=attribution", "attribution-maps", _attribution),
)
TOUR = Number("tour", "", 0, len(STOPS), 0)
