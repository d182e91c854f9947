"""The markup of the page: HTML controls, which `instrument.js` binds to the selection. It names no lens."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from viz import figures
from viz.figures import style
from viz.lenses.glossary import underlined
from viz.lenses.view import Lens, View, element_id, full_name
from viz.selection import Choice, Number, Option, Several

SCRIPTS, STYLES = (
    [Path(__file__).with_name(name) for name in names.split()]
    for names in (
        "figure.js address.js sight.js lecture.js controls.js over.js view.js connection.js networks.js instrument.js "
        "exported.js stage.js",
        "style.css stage.css",
    )
)
"""in the order in which the browser reads them"""

COLOURS = ":root {{ --chosen: {}; --token: {}; --channel: {}; --for: {}; --against: {}; --accent: {}; }}".format(
    *(style.SELECTED, style.TOKEN, style.CHANNEL, style.RISES, style.FALLS, style.ACCENT)
)
"""of figures, for the style sheets"""


def head() -> str:
    """For the document's head: the scripts in one scope, with the address of the figures' library, and the colours."""
    script = "".join(file.read_text(encoding="utf-8") for file in SCRIPTS)
    script = script.replace("${PLOTLY_JS}", quote(figures.PLOTLY_JS.as_posix()))
    return f"<script>{{{script}}}</script><style>{COLOURS}</style>"


def lenses(shown: Sequence[Lens], opened: str) -> str:
    """HTML: the tabs, the tour, the pinned selection, and all lenses. opened: the id of the open one"""
    return "".join(
        (
            _tabs(shown),
            '<div class="bars"><div id="tour" data-kind="controls"><div data-part="html"></div></div>',
            '<div id="pin" data-kind="controls"><div data-part="html"></div></div></div>',
            *(
                f'<div id="lens-{one.element}" class="lens{" open" * (one.id == opened)}" role="tabpanel" '
                f'aria-labelledby="tab-{one.element}">{_asks(one)}{lens(one)}</div>'
                for one in shown
            ),
        )
    )


def lens(shown: Lens) -> str:
    """HTML: the views of a lens, row by row."""
    rows = ("".join(_view(shown, view) for view in row) for row in shown.rows)
    return "".join(f'<div class="views">{row}</div>' for row in rows)


def _view(lens: Lens, view: View) -> str:
    """HTML: a view without its value, see `Instrument._value`."""
    name = element_id(lens, view)
    question, caution = underlined(view.question, view.caution)
    return f"""<div id="{name}" class="view-component" data-kind="view">
<section class="view" data-view="{name}" data-name="{full_name(lens, view)}" aria-labelledby="{name}-title">
  <div class="top"><h3 id="{name}-title">{escape(view.title)}</h3>
  <div class="options">{"".join(map(control, view.options))}</div></div>
  <div class="take">
    <button type="button" data-do="large" aria-label="Enlarge" title="Enlarge">⤢</button>
    <button type="button" popovertarget="{name}-take" aria-label="Save, copy, link" title="Save, copy, link">…</button>
    <div popover id="{name}-take">
      <button type="button" class="pictured" data-do="png" autofocus>PNG</button>
      <button type="button" class="pictured" data-do="svg">SVG</button>
      <button type="button" data-do="csv">CSV</button>
      <button type="button" data-do="python">Copy as Python</button>
      <button type="button" data-do="share">Link to it</button>
      <button type="button" data-do="embed">Copy as iframe</button>
    </div>
  </div>
  <p class="question">{question}</p>
  <div class="panes"><div class="pane">
    <p class="which" data-part="which"></p>
    <div class="figure" data-part="figure" role="img" hidden></div>
    <div class="html" data-part="html"></div>
    <p class="words" data-part="words"></p>
  </div></div>
  <p class="which" data-part="scale"></p>
  <div class="measure" data-part="measure"></div>
  <p class="caution">{caution}</p>
</section></div>"""


def question_id(lens: Lens) -> str:
    return f"{lens.element}-asks"


def _tabs(lenses: Sequence[Lens]) -> str:
    """HTML: the tabs, whose value is the id of the open lens. A group of lenses has a second row of tabs."""
    groups: dict[str, list[Lens]] = {}
    for lens in lenses:
        groups.setdefault(lens.id.split(".")[0], []).append(lens)
    tops, parts = [], []
    for group, members in groups.items():
        if len(members) == 1:
            tops.append(_tab(members[0]))
            continue
        top = escape(members[0].group)
        first, panels = members[0].id, " ".join(f"lens-{lens.element}" for lens in members)
        tops.append(
            f'<button type="button" role="tab" data-group="{group}" data-first="{first}" aria-controls="{panels}">{top}'
            "</button>"
        )
        inner = "".join(map(_tab, members))
        parts.append(
            f'<div role="tablist" class="tabs parts" data-parts="{group}" aria-label="{top}" hidden>{inner}</div>'
        )
    top = f'<div role="tablist" class="tabs" aria-label="Lenses">{"".join(tops)}</div>'
    return f'<div id="tabs" data-kind="tabs">{top}{"".join(parts)}</div>'


def _tab(lens: Lens) -> str:
    name = lens.element
    return (
        f'<button type="button" role="tab" id="tab-{name}" data-lens="{lens.id}" aria-controls="lens-{name}">'
        f"{escape(lens.name)}</button>"
    )


def _asks(lens: Lens) -> str:
    """HTML: the question of a lens, and the options of all of its views. Its value: {"set": option texts}"""
    compare = "<button type='button' data-do='untrained'>Compare with the untrained network</button>"
    fields = f'<div class="options">{"".join(map(control, lens.options))}</div>' if lens.options else ""
    return (
        f'<div id="{question_id(lens)}" class="about" data-kind="controls"><p class="asks">{escape(lens.question)}</p>'
        f"{compare * lens.of_weights}{fields}</div>"
    )


def control(option: Option) -> str:
    """HTML of an option; empty without a label: then its view has buttons for it."""
    if not option.label:
        return ""
    name, label = escape(option.name), escape(option.label)
    if isinstance(option, Choice):
        return select(option.name, option.label, option.choices)
    if isinstance(option, Several):
        boxes = "".join(
            f'<label><input type="checkbox" data-word="{name}" value="{escape(value)}">{escape(words)}</label>'
            for value, words in option.choices
        )
        return (
            f"<details data-menu><summary>{label}: <span></span></summary>"
            f'<fieldset aria-label="{label}">{boxes}</fieldset></details>'
        )
    assert isinstance(option, Number)
    return f'<label>{label}<input type="number" data-word="{name}" min="{option.low}" max="{option.high}"></label>'


def select(name: str, label: str, choices: Sequence[tuple[str, str]], element: str = "") -> str:
    """HTML of a list to choose from. choices: (value in a link, text on the page)"""
    options = "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in choices)
    identity = f' id="{element}"' if element else ""
    return f'<label>{escape(label)}<select{identity} data-word="{escape(name)}">{options}</select></label>'


def slider(name: str, label: str, values: str) -> str:
    """HTML of a slider. values: comma-separated, in order; the slider shows the current one"""
    return (
        # the label must name the slider, not the output, which is hidden from screen readers: the slider has the value
        f'<label class="slider"><span>{escape(label)}</span><input type="range" '
        f'id="{name}" data-word="{name}" data-values="{escape(values)}" min="0" '
        f'max="{values.count(",")}"><output aria-hidden="true"></output></label>'
    )
