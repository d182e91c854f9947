"""A report: all that is known of one picture as one HTML file, which needs neither the microscope nor a network.

Of every view that is ready it has the question, the settings, the figure, its numbers and how not to read it; of the
others, what is not measured. The figures' library is in it once, at `LIBRARY`. Printed, it makes a good PDF.
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from mixer.record import circumstances
from viz import figures
from viz.microscope import Microscope
from viz.panels.address import Address
from viz.panels.components import element_id
from viz.panels.pictures import png_url
from viz.panels.specimen import TOP, in_words
from viz.panels.view import Drawn, Lens, View, csv_of, facts_of, file_name, in_place, picture_name, safe_name
from viz.panels.visit import Visit
from viz.running import Measurement
from viz.selection import Option, Page, Selection, to_link

HERE = Path(__file__).parent
LIBRARY = "<template id=library></template>"
"""what the figures' library takes the place of; in a browser, `instrument.js` puts it there"""
BROKEN = "This view could not be drawn."

Progress = Callable[[Measurement], Iterable[int]]
"""does a measurement step by step, and may show how far it is"""

log = logging.getLogger(__name__)


def measure(scope: Microscope, lenses: Sequence[Lens], selection: Selection, progress: Progress) -> None:
    """Measure what the views need, but for what a visitor has to ask for."""
    for lens in lenses:
        for view in lens.views:
            while todo := [one for one in view.needs(scope, selection) if not one.asked]:
                for _ in progress(todo[0]):
                    pass


def report(scope: Microscope, page: Page, lenses: Sequence[Lens], visit: Visit, address: str) -> str:
    """The file, but for the figures' library.

    address: of a microscope that shows this network, for the link; only http and https are taken
    """
    selection, seen = visit.selection, set[View]()
    parts = "".join(_lens(scope, lens, selection, seen) for lens in lenses)
    title = f"{picture_name(scope, selection)}: {scope.classes[scope.answer(selection.picture)]}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · MLP-Mixer microscope</title>
<style>{(HERE / "style.css").read_text()}{(HERE / "report.css").read_text()}</style>
{LIBRARY}</head>
<body class="gradio-container report"><main>
{_head(scope, page, visit, address)}
{parts}
</main><script>{(HERE / "report.js").read_text()}</script></body></html>
"""


def whole(text: str) -> str:
    """A report with the figures' library."""
    return text.replace(LIBRARY, f"<script>{figures.PLOTLY_JS.read_text('utf-8')}</script>", 1)


def name_of(scope: Microscope, selection: Selection) -> str:
    """What the file is called."""
    return safe_name(f"{picture_name(scope, selection)}_report.html")


def _head(scope: Microscope, page: Page, visit: Visit, address: str) -> str:
    """The picture, what the network answers, what was selected, and how the report came about."""
    selection, made = visit.selection, circumstances(scope.device)
    probabilities = scope.probabilities(selection.picture)
    best = "".join(
        f"<li><span>{escape(scope.classes[i])}</span> {probabilities[i]:.1%}</li>"
        for i in scope.leading(selection.picture, TOP)
    )
    facts = facts_of(scope, selection, ()) | {
        "made": f"{made['date']}, {made['device']}, torch {made['versions']['torch']}, code {made['commit']}"
    }
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(fact)}</td></tr>" for name, fact in facts.items()
    )
    said = "".join(f"<p>{line}</p>" for line in in_words(scope, selection))
    photo = visit.photo.html(scope.grid.image_size) if visit.photo else ""
    return f"""<header>
<p class="kind">MLP-Mixer microscope: report</p>
<h1>{escape(scope.classes[scope.answer(selection.picture)])}</h1>
<div class="top"><figure><img class="seen" src="{png_url(scope.pixels(selection.picture))}" alt="the picture">
<figcaption>as the network sees it</figcaption></figure>{photo}
<div><ol class="best">{best}</ol>{said}</div></div>
<table class="facts">{rows}</table>
<p>{_link(Address.of(to_link(scope, page, selection)), address)}</p>
</header>"""


def _link(link: Address, address: str) -> str:
    if link.kept and not link.fragment:
        return "The picture is too large to be in a link: open its file in a microscope of this network."
    safe = address if address.startswith(("http://", "https://")) else "http://127.0.0.1:7860/"
    words = "Open this selection in a microscope of this network"
    return f'<a href="{escape(safe)}?{escape(link.query)}#{link.fragment}">{words}</a> (python app.py serves one).'


def _lens(scope: Microscope, lens: Lens, selection: Selection, seen: set[View]) -> str:
    """seen: the views that the report has already, to which these are added"""
    views = [view for view in lens.views if view not in seen]
    seen.update(views)
    waiting = {view: {one.label: None for one in view.needs(scope, selection)} for view in views}
    sections = "".join(_view(scope, lens, view, selection) for view in views if not waiting[view])
    missing = "".join(
        f"<li>{escape(view.title)} ({escape(', '.join(labels))})</li>" for view, labels in waiting.items() if labels
    )
    if missing:
        missing = f"<p class='missing'>Not measured:</p><ul class='missing'>{missing}</ul>"
    name = f"{lens.group}: {lens.name}" if lens.group else lens.name
    settings = _settings(lens.options, selection)
    return f"<h2>{escape(name)}</h2><p class='asks'>{escape(lens.asks)}</p>{settings}{sections}{missing}"


def _view(scope: Microscope, lens: Lens, view: View, selection: Selection) -> str:
    try:
        drawn = view.draw(scope, selection)
    except Exception:
        log.exception("%s could not be drawn", view.title)
        drawn = Drawn(words=BROKEN)
    figure = numbers = ""
    if drawn.figure is not None:
        content = drawn.figure.to_json().replace("<", "\\u003c")
        figure = f'<div class="figure" role="img" aria-label="{escape(in_place(view, drawn))}"></div>'
        figure += f'<script type="application/json">{content}</script>'
    if drawn.numbers is not None:
        csv = csv_of(scope, selection, view, (*lens.options, *view.options), drawn.numbers)
        address = b64encode(csv.encode()).decode()
        words = drawn.numbers.in_words()
        numbers = (
            f"<p class='numbers'>{escape(drawn.numbers.name)}: {escape(words)}. <a download='"
            f"{escape(file_name(scope, selection, view))}.csv' href='data:text/csv;base64,{address}'>All numbers "
            "(CSV)</a></p>"
        )
    return f"""<section class="view" id="{element_id(lens, view)}">
<h3>{escape(view.title)}</h3><p class="question">{escape(view.question)}</p>
{_settings(view.options, selection)}<p class="words">{drawn.words}</p>{figure}<div class="html">{drawn.html}</div>
{numbers}<p class="caution">{escape(view.caution)}</p></section>"""


def _settings(options: Sequence[Option], selection: Selection) -> str:
    said = [f"{option.label}: {option.said(selection)}" for option in options if option.label]
    return f"<p class='settings'>{escape(' · '.join(said))}</p>" if said else ""
