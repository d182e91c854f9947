"""A report: what is known of one picture as one HTML file, which needs neither the microscope nor a network.

It shows the views that depend on the picture, or those that are named, or all; of each the question, the settings, the
figure, its numbers and how not to read it, and what is not measured. The figures' library is in it once, at `LIBRARY`.
Printed, it makes a good PDF.
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
from viz.page.specimen import TOP, in_words
from viz.pictures import png_url
from viz.selection import Option, Selection

HERE = Path(__file__).parent
LEARN = "learn"
LIBRARY = "<template id=library></template>"
"""what the figures' library takes the place of; in a browser, `instrument.js` puts it there"""
BROKEN = "This view could not be drawn. The log has the details."

MAX_BYTES = 10_000_000
"""bytes of a report: what mail programs and chats let through"""
MAX_LINES, MAX_FILE = 50_000, 1_000_000
"""numbers of a view that come as a file, and letters of that"""
TOO_LARGE = "<p class='missing'>The {} is left out, as it has {:.1f} MB; the app shows it.</p>"

Progress = Callable[[Measurement], Iterable[int]]
"""does a measurement step by step, and may show how far it is"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heavy:
    """What is left out of a file that would be too large."""

    name: str
    text: str

    @property
    def left_out(self) -> str:
        return TOO_LARGE.format(self.name, _size(self.text) / 1e6)


Part = str | Heavy
"""of an HTML file"""


def choose(here: Lenses, selection: Selection, names: Sequence[str] = (), everything: bool = False) -> list[str]:
    """The full names of the views for a report: of those that show the picture, or of those that are named, or of all.

    Texts to learn from show it, too, and are the same in every report but for that.

    names: of views, and of lenses. Raises ValueError for one that is none.
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
    shows = (name for name, (_, view) in views.items() if view.sees(selection) != view.sees(black))
    return [name for name in shows if views[name][0].id != LEARN]


def measure(
    scope: Microscope, views: Iterable[View], selection: Selection, progress: Progress, asked: bool = False
) -> None:
    """Measure what the views need; asked: also what a visitor has to ask for."""
    for view in views:
        while todo := [one for one in view.missing(scope, selection) if asked or not one.on_request]:
            for _ in progress(todo[0]):
                pass


def report(here: Lenses, visit: Session, address: str, names: Collection[str] | None = None) -> str:
    """The file, but for the figures' library.

    address: of a microscope that shows this network, for the link; only http and https are taken
    names: of the views that are to be in it, as `choose` gives them; without it, those that show the picture
    """
    scope, taken = here.scope, set(choose(here, visit.selection) if names is None else names)
    shown, others = dict[View, Lens](), dict[View, Lens]()  # each once, also where it stands in two lenses
    for name, (lens, view) in here.named.items():
        (shown if name in taken else others).setdefault(view, lens)
    parts, contents = list[Part](), ""
    for lens in here.lenses:
        if views := [view for view in lens.views if shown.get(view) is lens]:
            parts += _lens(here, lens, views, visit)
            links = ", ".join(f"<a href='#{element_id(lens, view)}'>{escape(view.title)}</a>" for view in views)
            contents += f"<li><a href='#{lens.id}'>{escape(_name(lens))}</a>: {links}</li>"
    titles = dict.fromkeys(v.title for v, lens in others.items() if v not in shown and lens is not here.specimen)
    without = f"<p class='missing'>Not chosen for this report: {escape(', '.join(titles))}.</p>" if titles else ""
    title = f"{_picture(scope, visit)}: {scope.classes[scope.answer(visit.selection.picture)]}"
    return document(title, [_head(here, visit, address), f"<nav><ul>{contents}</ul>{without}</nav>", *parts])


def document(title: str, parts: Sequence[Part]) -> str:
    """An HTML file that shows views, but for the figures' library; where it would be too large, without the largest."""
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
    return _fitting([head, *parts, tail], MAX_BYTES - _size(whole(LIBRARY)))


def _fitting(parts: Sequence[Part], most: int) -> str:
    """All parts together, in that many bytes: the smallest that may be left out stay."""
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


def whole(text: str) -> str:
    """A file with the figures' library."""
    return text.replace(LIBRARY, f"<script>{figures.PLOTLY_JS.read_text('utf-8')}</script>", 1)


def name_of(scope: Microscope, selection: Selection) -> str:
    """What the file is called."""
    return safe_name(f"{picture_name(scope, selection)}_report.html")


def _picture(scope: Microscope, visit: Session) -> str:
    """What the picture is called, with the name of its file."""
    file = f" ({visit.photo.name})" if visit.photo and visit.photo.name else ""
    return f"{picture_name(scope, visit.selection)}{file}"


def _head(here: Lenses, visit: Session, address: str) -> str:
    """The picture, what the network answers, what was selected, and how the report came about."""
    scope, selection, made = here.scope, visit.selection, circumstances(here.scope.device)
    probabilities = scope.probabilities(selection.picture)
    best = "".join(
        f"<li><span>{escape(scope.classes[i])}</span> {probabilities[i]:.1%}</li>"
        for i in scope.leading(selection.picture, TOP)
    )
    code = f", code {made['commit']}" if made["commit"] else ""  # not everybody has the program by git
    facts = facts_of(scope, selection, ()) | {
        "picture": _picture(scope, visit),
        "made": f"{made['date']}, {made['device']}, torch {made['versions']['torch']}{code}",
    }
    if visit.pinned:
        facts["pinned"] = pin.describe(visit.pinned, here)
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
<p>{_link(Address.of(pin.link(here, visit.pinned, selection)), address)}</p>
</header>"""


def _link(link: Address, address: str) -> str:
    if link.kept and not link.fragment:
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
        said = f"Not measured: {labels}." if waiting else ""
        around = _pinned(here, element_id(lens, view), visit, drawn)
        parts += section(scope, lens, view, selection, drawn, said, *around)
    head = f"<h2 id='{lens.id}'>{escape(_name(lens))}</h2><p class='asks'>{escape(lens.asks)}</p>"
    return [f"{head}{_settings(lens.options, selection)}<div class='views'>", *parts, "</div>"]


def _pinned(here: Lenses, name: str, visit: Session, drawn: Drawn) -> tuple[list[Part], list[Part]]:
    """What stands over and under a view: what it shows of what is pinned, where that is something else and known; and
    the difference.

    drawn: what it shows now
    """
    kept = pin.beside(visit.pinned, here, name, visit.selection)
    if kept is None or (view := kept.lenses.views[name]).missing(kept.lenses.scope, kept.selection):
        return [], []
    before, now = (f"<p class='which'>{escape(words)}</p>" for words in pin.which(kept, here, name, visit.selection))
    other = drawn_or_words(kept.lenses.scope, view, kept.selection)
    apart = pin.difference(other, drawn)
    under: list[Part] = ["<p class='which'>Now minus pinned</p>", *_shown(view, apart)] if apart else []
    return [before, *_shown(view, other), now], under


def _name(lens: Lens) -> str:
    return f"{lens.group}: {lens.name}" if lens.group else lens.name


def _is_known(drawn: Drawn) -> bool:
    """Whether there is a number in it: of what is not measured, a view says so, or shows NaN."""
    if drawn.numbers is None:
        return False
    values = drawn.numbers.values
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).any())


def drawn_or_words(scope: Microscope, view: View, selection: Selection) -> Drawn:
    """What a view shows, and how far estimates are; or that it could not be drawn."""
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
    """A view as HTML. missing: a sentence on what of it is not measured; over, under: what stands there to compare"""
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
    """Their extremes in words, and all of them as a file, where that is not too large."""
    words, size = f"<p class='numbers'>{escape(numbers.name)}: {escape(numbers.in_words())}.</p>", numbers.values.size
    csv = csv_of(scope, selection, view, (*lens.options, *view.options), numbers) if size <= MAX_LINES else ""
    if size > MAX_LINES or len(csv) > MAX_FILE:
        return [words, f"<p class='missing'>The file of its {size:,} numbers is left out; the app saves it as CSV.</p>"]
    address, name = b64encode(csv.encode()).decode(), escape(file_name(scope, selection, view))
    link = f"<a download='{name}.csv' href='data:text/csv;base64,{address}'>All numbers (CSV)</a>"
    return [words, Heavy("file of its numbers", f"<p class='numbers'>{link}</p>")]


def _settings(options: Sequence[Option], selection: Selection) -> str:
    said = [f"{option.label}: {option.label_of(selection)}" for option in options if option.label]
    return f"<p class='settings'>{escape(' · '.join(said))}</p>" if said else ""
