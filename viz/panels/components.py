"""The page's components: real HTML controls, which `instrument.js` binds to the selection. They know no lens."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from viz import figures
from viz.panels.glossary import underlined
from viz.panels.view import Lens, View
from viz.selection import Choice, Number, Option, Several

SCRIPT = Path(__file__).with_name("instrument.js")


def head() -> str:
    """What the document's head needs: the script, and where the figures' library lies."""
    script = SCRIPT.read_text().replace("${PLOTLY_JS}", figures.PLOTLY_JS.as_posix())
    return f"<script>{script}</script>"


def component(kind: str, template: str, value: Any = None, **settings: Any) -> gr.HTML:
    """An HTML component whose markup stays as it is; the script of this kind shows its value."""
    arguments = "element" if kind == "header" else "element, props, trigger, watch"
    return gr.HTML(
        value,
        html_template=_literal(template),
        js_on_load=f"instrument.{kind}({arguments});",
        apply_default_css=False,
        **settings,
    )


def view_component(lens: Lens, view: View) -> gr.HTML:
    """Its value is made by `view_value`."""
    name = element_id(lens, view)
    question, caution = underlined(view.question, view.caution)
    template = f"""
<section class="view" data-view="{name}" aria-labelledby="{name}-title">
  <h3 id="{name}-title">{escape(view.title)}</h3>
  <p class="question">{question}</p>
  <div class="options">{"".join(map(control, view.options))}</div>
  <div class="measure" data-part="measure"></div>
  <div class="panes"><div class="pane">
    <p class="which" data-part="which"></p>
    <p class="words" data-part="words"></p>
    <div class="figure" data-part="figure" role="img" hidden></div>
    <div class="html" data-part="html"></div>
  </div></div>
  <p class="which" data-part="scale"></p>
  <footer>
    <p class="caution">{caution}</p>
    <p class="take">
      <button type="button" data-do="png">PNG</button><button type="button" data-do="svg">SVG</button>
      <button type="button" data-do="csv">Numbers (CSV)</button>
      <button type="button" data-do="python">Copy as Python</button>
      <button type="button" data-do="large">Enlarge</button>
    </p>
  </footer>
</section>"""
    return component("view", template, elem_id=name, elem_classes="view-component")


def element_id(lens: Lens, view: View) -> str:
    return f"{lens.id.replace('.', '-')}-{view.id}"


def tabs_component(lenses: Sequence[Lens], opened: str) -> gr.HTML:
    """Its value is the id of the open lens. A lens with parts has a second row of tabs."""
    groups: dict[str, list[Lens]] = {}
    for lens in lenses:
        groups.setdefault(lens.id.split(".")[0], []).append(lens)
    tops, parts = [], []
    for group, members in groups.items():
        if len(members) == 1:
            tops.append(f'<button type="button" role="tab" data-lens="{group}">{escape(members[0].name)}</button>')
            continue
        top = escape(members[0].group)
        first = members[0].id
        tops.append(f'<button type="button" role="tab" data-group="{group}" data-first="{first}">{top}</button>')
        inner = "".join(
            f'<button type="button" role="tab" data-lens="{lens.id}">{escape(lens.name)}</button>' for lens in members
        )
        parts.append(
            f'<div role="tablist" class="tabs parts" data-parts="{group}" aria-label="{top}" hidden>{inner}</div>'
        )
    template = f'<div role="tablist" class="tabs" aria-label="Lenses">{"".join(tops)}</div>{"".join(parts)}'
    return component("tabs", template, opened, elem_id="tabs")


def lens_header(lens: Lens) -> gr.HTML:
    """What a lens asks, and the options of all of its views. Its value: {"set": option texts}."""
    fields = f'<div class="options">{"".join(map(control, lens.options))}</div>' if lens.options else ""
    template = f'<p class="asks">{escape(lens.asks)}</p>{fields}'
    return component("controls", template, {"set": {}}, elem_id=f"{lens.id.replace('.', '-')}-asks")


def control(option: Option) -> str:
    """HTML of an option; nothing where it has no label, as its view sets it by itself."""
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
        return f'<fieldset id="option-{name}"><legend>{label}</legend>{boxes}</fieldset>'
    assert isinstance(option, Number)
    if option.slider:
        values = ",".join(map(str, range(option.low, option.high + 1)))
        return slider(option.name, option.label, values)
    return (
        f'<label>{label}<input type="number" id="option-{name}" data-word="{name}" min="{option.low}" '
        f'max="{option.high}"></label>'
    )


def select(name: str, label: str, choices: Sequence[tuple[str, str]], element: str = "") -> str:
    """HTML of a list to choose from. choices: (as in a link, as on the page)"""
    options = "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in choices)
    return (
        f'<label>{escape(label)}<select id="{escape(element or f"option-{name}")}" data-word="{escape(name)}">'
        f"{options}</select></label>"
    )


def slider(name: str, label: str, values: str, element: str = "") -> str:
    """HTML of a slider over values (with commas between them), each shown by its name."""
    name = escape(name)
    return (
        f'<label class="slider">{escape(label)} <output></output><input type="range" '
        f'id="{escape(element or f"option-{name}")}" data-word="{name}" data-values="{escape(values)}" min="0" '
        f'max="{values.count(",")}"></label>'
    )


def _literal(template: str) -> str:
    """Markup that Gradio's two template languages leave as it is."""
    return template.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${").replace("{{", "{&#123;")
