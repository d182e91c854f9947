"""A report: the views of one picture as one HTML file, which works without the microscope and without internet.

It has the views that depend on the picture, those with given names, or all. Each has its question, settings, figure,
numbers and caution, and the names of missing measurements. The plotting library is in it once, at `LIBRARY`. It is also
made for printing, for example as PDF.
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from operator import itemgetter
from pathlib import Path

import numpy as np

from mixer.record import circumstances
from viz import figures
from viz.lenses.all import Lenses
from viz.lenses.view import (
    Drawn,
    Lens,
    Numbers,
    View,
    csv_of,
    element_id,
    facts_of,
    file_name,
    in_place,
    picture_name,
    safe_name,
)
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.page import pin
from viz.page.address import Address
from viz.page.markup import COLOURS
from viz.page.session import Session
from viz.page.specimen import TOP, answer_texts
from viz.pictures import png_url
from viz.selection import Option, Selection

HERE = Path(__file__).parent
LEARN = "learn"
LIBRARY = "<template id=library></template>"
"""the place of the plotting library, which `with_library` inserts; in a browser, `connection.js` does"""
BROKEN = "This view could not be drawn. The log has the details."

MAX_BYTES = 10_000_000
"""maximum size of a report in bytes: that of attachments in mail programs and chats"""
MAX_LINES, MAX_FILE = 50_000, 1_000_000
"""maximum number of numbers in the CSV file of a view, and of its characters"""
TOO_LARGE = "<p class='missing'>The {} is left out, as it has {:.1f} MB; the app shows it.</p>"

LONG = 60
"""seconds for an estimate in a report, unless everything is measured"""

Progress = Callable[[Measurement], Iterable[int]]
"""runs a measurement step by step and may show the progress"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heavy:
    """A part that is left out if the file would be too large."""

    name: str
    text: str

    @property
    def left_out(self) -> str:
        return TOO_LARGE.format(self.name, _size(self.text) / 1e6)


Part = str | Heavy
"""a part of an HTML file"""


def choose(here: Lenses, selection: Selection, names: Sequence[str] = (), everything: bool = False) -> list[str]:
    """The full names of the views for a report: those that depend on the picture, those with given names, or all.

    The lens Learn is left out by default, as its texts are the same for every picture.

    names: of views and lenses. Raises ValueError for unknown ones.
    """
    views = {name: pair for name, pair in here.named.items() if pair[0] is not here.specimen}
    named = {name: {each for each in views if each == name or each.startswith(f"{name}.")} for name in names}
    for name, found in named.items():
        if not found:
            raise ValueError(f"there is no view or lens {name!r}: there are {', '.join(views)}")
    if names:
        return [each for each in views if each in set().union(*named.values())]
    if everything:
        return [*views]
    black = replace(selection, picture=bytes(len(selection.picture)))
    return [
        name
        for name, (lens, view) in views.items()
        if lens.id != LEARN and view.sees(here.scope, selection) != view.sees(here.scope, black)
    ]


def measure(
    scope: Microscope, views: Iterable[View], selection: Selection, progress: Progress, everything: bool = False
) -> None:
    """Run the missing measurements of the views: estimates for a minute, at least until their first result.

    everything: estimates completely, and measurements that start only on request, too
    """

    def end(one: Measurement) -> int:
        """The number of steps to run."""
        if everything:
            return one.total
        if one.on_request:
            return 0
        return min(max(one.first, int(LONG / one.per_step)), one.total) if one.first else one.total

    for view in views:
        while todo := [one for one in view.missing(scope, selection) if one.reached < end(one)]:
            for _ in progress(todo[0]):
                if todo[0].reached >= end(todo[0]):
                    break


def report(here: Lenses, visit: Session, address: str, names: Collection[str] | None = None) -> str:
    """The HTML text, without the plotting library: see `with_library`.

    address: URL of a microscope with this network, for the link; used only if it is http or https
    names: of the views, from `choose`; None: those that depend on the picture
    """
    scope, selected = here.scope, set(choose(here, visit.selection) if names is None else names)
    shown, others = dict[View, Lens](), dict[View, Lens]()  # a view in two lenses is shown once
    for name, (lens, view) in here.named.items():
        (shown if name in selected else others).setdefault(view, lens)
    parts, contents = list[Part](), ""
    for lens in here.lenses:
        if views := [view for view in lens.views if shown.get(view) is lens]:
            parts += _lens(here, lens, views, visit)
            links = ", ".join(f"<a href='#{element_id(lens, view)}'>{escape(view.title)}</a>" for view in views)
            contents += f"<li><a href='#{lens.id}'>{escape(_name(lens))}</a>: {links}</li>"
    titles = dict.fromkeys(v.title for v, lens in others.items() if v not in shown and lens is not here.specimen)
    without = f"<p class='missing'>Not in this report: {escape(', '.join(titles))}.</p>" if titles else ""
    title = f"{_picture(scope, visit)}: {scope.classes[scope.answer(visit.selection.picture)]}"
    return document(title, [_head(here, visit, address), f"<nav><ul>{contents}</ul>{without}</nav>", *parts])


def document(title: str, parts: Sequence[Part]) -> str:
    """An HTML file without the plotting library. If it would be too large, its largest parts are left out."""
    head = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · MLP-Mixer microscope</title>
<style>{COLOURS}{_file("style.css")}{_file("stage.css")}{_file("report.css")}</style>
{LIBRARY}</head>
<body class="gradio-container report"><main>
"""
    tail = f"""
</main><script>{_file("report.js")}</script></body></html>
"""
    return _fitting([head, *parts, tail], MAX_BYTES - _size(with_library(LIBRARY)))


def _fitting(parts: Sequence[Part], most: int) -> str:
    """All parts in one text of at most that many bytes: the largest `Heavy` parts are left out."""
    texts = [part if isinstance(part, str) else part.left_out for part in parts]
    left = most - sum(map(_size, texts))
    heavy = [(_size(part.text), i, part) for i, part in enumerate(parts) if isinstance(part, Heavy)]
    for size, i, part in sorted(heavy, key=itemgetter(0)):
        left -= size - _size(part.left_out)
        if left >= 0:
            texts[i] = part.text
    return "".join(texts)


def _size(text: str) -> int:
    return len(text.encode())


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def with_library(text: str) -> str:
    """A file with the plotting library."""
    return text.replace(LIBRARY, f"<script>{figures.PLOTLY_JS.read_text('utf-8')}</script>", 1)


def name_of(scope: Microscope, selection: Selection) -> str:
    """The name of the file."""
    return safe_name(f"{picture_name(scope, selection)}_report.html")


def _picture(scope: Microscope, visit: Session) -> str:
    """The name of the picture, with that of its file."""
    return pin.with_file(picture_name(scope, visit.selection), _file_of(visit))


def _file_of(visit: Session) -> str:
    return visit.photo.name if visit.photo else ""


def _head(here: Lenses, visit: Session, address: str) -> str:
    """HTML: the picture, the answer, the selection, and date, device and versions."""
    scope, selection, made = here.scope, visit.selection, circumstances(here.scope.device)
    probabilities = scope.probabilities(selection.picture)
    best = "".join(
        f"<li><span>{escape(scope.classes[i])}</span> {probabilities[i]:.1%}</li>"
        for i in scope.leading(selection.picture, TOP)
    )
    code = f", code {made['commit']}" if made["commit"] else ""  # empty without git
    facts = facts_of(scope, selection, ()) | {
        "picture": _picture(scope, visit),
        "made": f"{made['date']}, {made['device']}, torch {made['versions']['torch']}{code}",
    }
    if visit.pinned:
        facts["pinned"] = pin.describe(visit.pinned, here)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(fact)}</td></tr>" for name, fact in facts.items()
    )
    lines = "".join(f"<p>{line}</p>" for line in answer_texts(scope, selection))
    photo = visit.photo.html(scope.grid.image_size) if visit.photo else ""
    return f"""<header>
<p class="kind">MLP-Mixer microscope: report</p>
<h1>{escape(scope.classes[scope.answer(selection.picture)])}</h1>
<div class="top"><figure><img class="seen" src="{png_url(scope.pixels(selection.picture))}" alt="the picture">
<figcaption>as the network sees it</figcaption></figure>{photo}
<div><ol class="best">{best}</ol>{lines}</div></div>
<table class="facts">{rows}</table>
<p>{_link(Address.of(pin.link(here, visit.pinned, selection)), address)}</p>
</header>"""


def _link(link: Address, address: str) -> str:
    if link.stored and not link.fragment:
        return "The picture is too large for a link: open its file in the running app."
    safe = address if address.startswith(("http://", "https://")) else "http://127.0.0.1:7860/"
    words = "Open this selection in the running app"
    return f'<a href="{escape(safe)}?{escape(link.query)}#{link.fragment}">{words}</a> (python app.py starts it).'


def _lens(here: Lenses, lens: Lens, views: Sequence[View], visit: Session) -> list[Part]:
    parts, scope, selection = list[Part](), here.scope, visit.selection
    for view in views:
        drawn, waiting = drawn_or_words(scope, view, selection), view.missing(scope, selection)
        labels = escape(", ".join(dict.fromkeys(one.label for one in waiting)))
        if waiting and not _is_known(drawn):
            title = f"<b id='{element_id(lens, view)}'>{escape(view.title)}</b>"
            parts.append(f"<p class='missing'>{title}: not measured ({labels}).</p>")
            continue
        missing = f"Not measured: {labels}." if waiting else ""
        around = _pinned(here, element_id(lens, view), visit, drawn)
        parts += section(scope, lens, view, selection, drawn, missing, *around)
    head = f"<h2 id='{lens.id}'>{escape(_name(lens))}</h2><p class='asks'>{escape(lens.question)}</p>"
    return [f"{head}{_settings(lens.options, selection)}<div class='views'>", *parts, "</div>"]


def _pinned(here: Lenses, name: str, visit: Session, drawn: Drawn) -> tuple[list[Part], list[Part]]:
    """The parts above and below a view: that of the pinned selection if it differs and is measured; the difference.

    drawn: the view of the current selection
    """
    pinned = pin.beside(visit.pinned, here, name, visit.selection)
    if pinned is None or (view := pinned.lenses.views[name]).missing(pinned.lenses.scope, pinned.selection):
        return [], []
    before, now = (
        f"<p class='which'>{escape(words)}</p>"
        for words in pin.captions(pinned, here, name, visit.selection, _file_of(visit))
    )
    other = drawn_or_words(pinned.lenses.scope, view, pinned.selection)
    apart, reason = pin.difference(other, drawn)
    under: list[Part] = ["<p class='which'>Now minus pinned</p>", *_shown(view, apart)] if apart else []
    if reason:
        under.append(f"<p class='which'>{escape(reason)}</p>")
    return [before, *_shown(view, other), now], under


def _name(lens: Lens) -> str:
    return f"{lens.group}: {lens.name}" if lens.group else lens.name


def _is_known(drawn: Drawn) -> bool:
    """Whether a view has a number: without its measurements, it has none, or only NaN."""
    if drawn.numbers is None:
        return False
    values = drawn.numbers.values
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).any())


def drawn_or_words(scope: Microscope, view: View, selection: Selection) -> Drawn:
    """A view drawn, with a sentence about unfinished estimates; after an error, a message."""
    try:
        drawn = view.draw(scope, selection)
        return replace(drawn, words=f"{drawn.words} {escape(view.so_far(scope, selection))}".strip())
    except Exception:
        log.exception("%s could not be drawn", view.title)
        return Drawn(words=BROKEN)


def section(
    scope: Microscope,
    lens: Lens,
    view: View,
    selection: Selection,
    drawn: Drawn,
    missing: str = "",
    over: Sequence[Part] = (),
    under: Sequence[Part] = (),
) -> list[Part]:
    """A view as HTML. missing: a sentence about missing measurements; over, under: parts to compare"""
    parts: list[Part] = [
        f"""<section class="view" id="{element_id(lens, view)}">
<h3>{escape(view.title)}</h3><p class="question">{escape(view.question)}</p>
{_settings(view.options, selection)}<p class="missing">{missing}</p>""",
        *over,
        *_shown(view, drawn),
        *under,
    ]
    if drawn.numbers is not None:
        parts += _numbers(scope, lens, view, selection, drawn.numbers)
    return [*parts, f'<p class="caution">{escape(view.caution)}</p></section>']


def _shown(view: View, drawn: Drawn) -> list[Part]:
    parts: list[Part] = [f'<p class="words">{drawn.words}</p>']
    if drawn.figure is not None:
        content = drawn.figure.to_json().replace("<", "\\u003c")
        figure = f'<div class="figure" role="img" aria-label="{escape(in_place(view, drawn))}"></div>'
        parts.append(Heavy("figure", f'{figure}<script type="application/json">{content}</script>'))
    if drawn.html:
        parts.append(Heavy("table", f'<div class="html">{drawn.html}</div>'))
    return parts


def _numbers(scope: Microscope, lens: Lens, view: View, selection: Selection, numbers: Numbers) -> list[Part]:
    """The extremes of the numbers as text, and all numbers as a CSV file if it is not too large."""
    words, size = f"<p class='numbers'>{escape(numbers.name)}: {escape(numbers.extremes())}.</p>", numbers.values.size
    csv = csv_of(scope, selection, view, (*lens.options, *view.options), numbers) if size <= MAX_LINES else ""
    if size > MAX_LINES or len(csv) > MAX_FILE:
        return [words, f"<p class='missing'>The file of its {size:,} numbers is left out; the app saves it as CSV.</p>"]
    address, name = b64encode(csv.encode()).decode(), escape(file_name(scope, selection, view))
    link = f"<a download='{name}.csv' href='data:text/csv;base64,{address}'>All numbers (CSV)</a>"
    return [words, Heavy("file of its numbers", f"<p class='numbers'>{link}</p>")]


def _settings(options: Sequence[Option], selection: Selection) -> str:
    settings = [f"{option.label}: {option.label_of(selection)}" for option in options if option.label]
    return f"<p class='settings'>{escape(' · '.join(settings))}</p>" if settings else ""
