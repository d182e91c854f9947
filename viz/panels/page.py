"""The page: one selection, the lenses that look at it, and the only place that draws."""

import logging
import time
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from mixer.picture import Decoded
from viz import figures
from viz.microscope import Microscope
from viz.panels import attribution, doubt, endpoint, events, how, intervene, mixing, model, specimen, tokens
from viz.panels.boundary import Guarded
from viz.panels.components import component, element_id, lens_header, tabs_component, view_component
from viz.panels.how import tour
from viz.panels.photo import WORDS, Photo
from viz.panels.report import name_of, report
from viz.panels.upload import Upload
from viz.panels.view import Drawn, Lens, Point, View, as_python, csv_of, facts_of, file_name, in_place
from viz.panels.visit import Part, Visit
from viz.running import Clock, Measurement, on_model_thread
from viz.selection import Page, Words, change, first, option_text, show, to_link

SHORT = 1
"""seconds from which on a wait is shown, and can be cancelled"""
REFRESH = 0.2
"""seconds between two looks at how far a measurement is"""
BROKEN = "Something in the program went wrong here. Choose something else to go on; the server's log has the details."

STATUS = """
<p class="said" role="alert" data-part="said"></p>
<div class="wait" role="status" hidden>
  <progress aria-label="how far it is"></progress><span data-part="wait"></span>
  <button type="button" data-do="stop">Cancel</button>
</div>"""

log = logging.getLogger(__name__)


class Instrument:
    """One network's page, and what happens on it."""

    def __init__(self, scope: Microscope, fetch: bool = False):
        """fetch: whether other programs may name pictures by addresses on the public internet"""
        self.scope, self.fetch = scope, fetch
        self.specimen = specimen.lens(scope)
        self.lenses = (
            how.lens(scope),
            tokens.lens(scope),
            *mixing.lenses(scope),
            attribution.lens(scope),
            doubt.lens(scope),
            *intervene.lenses(scope),
            model.lens(scope),
        )
        options = {option for lens in (self.specimen, *self.lenses) for option in lens.all_options}
        self.page = Page([lens.id for lens in self.lenses], sorted(options, key=lambda option: option.name))
        placed = {element_id(lens, view): (lens, view) for lens in (self.specimen, *self.lenses) for view in lens.views}
        self.views = {name: view for name, (_, view) in placed.items()}
        self.settings = {name: (*lens.options, *view.options) for name, (lens, view) in placed.items()}
        self.places: dict[str, str | None] = {
            name: lens.id if lens is not self.specimen else None for name, (lens, _) in placed.items()
        }
        self.parts: list[Part] = []
        self.first = first(scope, self.page)

    def build(self) -> gr.Blocks:
        with Guarded(
            title="MLP-Mixer microscope", fill_width=True, delete_cache=(3600, 3600), analytics_enabled=False
        ) as page:
            self.visit = gr.State(Visit(self.first))
            component("header", specimen.header(self.scope), elem_id="header")
            self.status = component("status", STATUS, None, elem_id="status", link="", said="", running=0, redraw="",
                                    wait=None, file=None)  # fmt: skip
            with gr.Row(elem_id="instrument"):
                with gr.Column(scale=1, min_width=300, elem_id="specimen"):
                    upload = specimen.build(self.scope, self.parts, self._specimen)
                with gr.Column(scale=3, min_width=320, elem_id="lenses"):
                    tabs = tabs_component(self.lenses, self.first.lens)
                    self.parts.append(Part(tabs, lambda v: v.selection.lens, lambda v: v.selection.lens))
                    bar = component("controls", '<div data-part="html"></div>', elem_id="tour")
                    self.parts.append(
                        Part(bar, self._touring, lambda v: {"set": {}, "html": tour.bar(self.scope, v.selection)})
                    )
                    for lens in self.lenses:
                        self._lens(lens)
            self._fill()
            self._listen(page, upload)
            endpoint.add(self.scope, self.fetch)
        return page

    def _touring(self, visit: Visit) -> Hashable:
        """All that the bar of the tour depends on: where its stops are, and at one what it says."""
        stop = tour.TOUR.of(visit.selection)
        return (visit.selection, self.scope.typical() is not None) if stop else visit.selection.picture

    def _specimen(self) -> None:
        for view in self.specimen.views:
            self._view(self.specimen, view, None)

    def _view(self, lens: Lens, view: View, place: str | None) -> None:
        """Put a view's component here. place: the lens that has to be open for it to be drawn, if any"""
        made = view_component(lens, view)
        self.parts.append(Part(made, lambda v: self._depends(v, view), lambda v: self._value(v, lens, view), place))

    def _lens(self, lens: Lens) -> None:
        classes = ["lens", "open"] if lens.id == self.first.lens else ["lens"]
        with gr.Column(elem_id=f"lens-{lens.id.replace('.', '-')}", elem_classes=classes):
            asks = lens_header(lens)
            self.parts.append(
                Part(
                    asks,
                    lambda v: tuple(option_text(option, v.selection) for option in lens.options),
                    lambda v: {"set": {option.name: option_text(option, v.selection) for option in lens.options}},
                    lens.id,
                )
            )
            for row in lens.rows:
                with gr.Row(equal_height=False, elem_classes="views"):
                    for view in row:
                        self._view(lens, view, lens.id)

    def _fill(self) -> None:
        """What the page opens on is in it from the start."""
        visit: Visit = self.visit.value
        for made, value in self.refresh(visit).items():
            made.value = value
        self.status.props["running"] = visit.next() if self.wanted(visit) else 0

    def _listen(self, page: gr.Blocks, upload: Upload) -> None:
        outputs: list[Any] = [*(part.component for part in self.parts), self.status]

        async def act(visit: Visit, event: gr.EventData) -> dict[Any, Any]:
            return await on_model_thread(self.answer, visit, event._data)

        async def put(decoded: Decoded | None, visit: Visit) -> dict[Any, Any]:
            return await on_model_thread(self.put, visit, Photo.of(decoded) if decoded else None)

        async def run(visit: Visit) -> AsyncIterator[dict[Any, Any]]:
            async for update in self.run(visit):
                yield update

        gr.on([made.select for made in outputs], act, self.visit, outputs, **events.DRAW)
        upload.input(put, [upload, self.visit], outputs, **events.DRAW)
        self.status.change(run, self.visit, self.status, **events.MEASURE)

    def refresh(self, visit: Visit) -> dict[gr.HTML, Any]:
        """Values for all that no longer shows what it should; what is not on the page waits until it is opened."""
        updates: dict[gr.HTML, Any] = {}
        for part in self.parts:
            if part.lens in (None, visit.selection.lens):
                sees, name = part.sees(visit), part.component.elem_id
                if visit.sent.get(name, self) != sees:
                    updates[part.component] = part.value(visit)
                    visit.sent[name] = sees
        return updates

    def wanted(self, visit: Visit) -> list[Measurement]:
        """What is to be measured for what is open, the shortest first."""
        found = {
            measurement.key: measurement
            for name, view in self.views.items()
            if self.places[name] in (None, visit.selection.lens)
            for measurement in view.needs(self.scope, visit.selection)
            if visit.starts(measurement)
        }
        return sorted(found.values(), key=lambda measurement: measurement.seconds)

    def answer(self, visit: Visit, event: Mapping[str, Any]) -> dict[gr.HTML, Any]:
        """Updates for whatever a browser sent, in the words of `instrument.js`: the one boundary of the page."""
        said: list[str] = []
        file = None
        try:
            said, file = self._act(visit, event)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not understood: %.200r: %s", event, error)
            said = ["That could not be done: reload the page if it goes on."]
        return self._updates(visit, said, file)

    def put(self, visit: Visit, photo: Photo | None) -> dict[gr.HTML, Any]:
        """Put a visitor's own photo under the microscope; None: it was taken away, its picture stays."""
        self._place(visit, photo)
        return self._updates(visit, [], None)

    async def run(self, visit: Visit) -> AsyncIterator[dict[Any, Any]]:
        """Measure what is wanted, until nothing is; yields how far it is. One at a time for a visit."""
        if visit.measuring:
            return
        visit.measuring = True
        try:
            while todo := await on_model_thread(self.wanted, visit):
                async for wait in self._measure(visit, todo):
                    yield {self.status: gr.HTML(wait=wait)}
                yield {self.status: gr.HTML(redraw=visit.next())}
            # drawn anew in any case: another visitor may have measured it meanwhile
            yield {self.status: gr.HTML(wait=None, redraw=visit.next())}
        finally:
            visit.measuring = False

    async def _measure(self, visit: Visit, todo: list[Measurement]) -> AsyncIterator[dict[str, Any]]:
        """Measure the first; yields how far it is, where it takes a while."""
        measurement, clock, looked = todo[0], Clock(todo[0]), 0.0
        steps, slow = measurement.steps(), sum(m.seconds for m in todo) > SHORT
        done: int | None = 0
        while done is not None:
            if slow and time.monotonic() - looked > REFRESH:
                looked = time.monotonic()
                yield _wait(measurement, done, clock.left(done), len(todo) - 1)
            done = await on_model_thread(self._step, visit, measurement, steps)
            slow = slow or (done is not None and clock.left(done) > SHORT)

    def _step(self, visit: Visit, measurement: Measurement, steps: Iterator[int]) -> int | None:
        """How much is done after one step more; None where all is, where it failed or is no longer wanted."""
        try:
            done = next(steps, None)
        except Exception as error:
            log.exception("%s failed", measurement.label)
            visit.stopped[measurement.key] = f"{error}." if isinstance(error, ValueError) else BROKEN
            return None
        if done is None:
            visit.asked.discard(measurement.key)
        wanted = any(other.key == measurement.key for other in self.wanted(visit))
        if done is None and wanted:
            visit.stopped[measurement.key] = BROKEN  # or it would be measured for ever
        return done if wanted else None

    def _act(self, visit: Visit, event: Mapping[str, Any]) -> tuple[list[str], dict[str, str] | None]:
        """Sentences for the visitor, and a file to save if one was asked for."""
        said: list[str] = []
        words, start = dict(event.get("words", {})), visit.selection
        if "link" in event:
            found = parse_qsl(str(event["link"]).removeprefix("?"), keep_blank_values=True)
            words, start = {name: text for name, text in found if not name.startswith("__")}, self.first
        elif "view" in event:
            words = dict(self._picked(visit, event))
        words = {str(name): str(text) for name, text in words.items()}
        if visit.photo and not words.keys().isdisjoint(WORDS):
            framing = {name: words.pop(name) for name in WORDS if name in words}
            self._place(visit, visit.photo.framed(framing))
        if {"picture", "sample"} & words.keys():
            visit.photo = None
        if words:
            visit.selection, said = change(self.scope, self.page, start, words)
        if event.get("stop"):
            visit.stopped |= dict.fromkeys((m.key for m in self.wanted(visit)), "Cancelled.")
        if "measure" in event:
            for measurement in self.views[event["measure"]].needs(self.scope, visit.selection):
                visit.stopped.pop(measurement.key, None)
                visit.asked.add(measurement.key)
        if "report" in event:
            text = report(self.scope, self.page, self.lenses, visit, str(event["report"]))
            return said, {"name": name_of(self.scope, visit.selection), "text": text}
        return said, self._file(visit, event["csv"]) if "csv" in event else None

    def _place(self, visit: Visit, photo: Photo | None) -> None:
        visit.photo = photo
        if photo is not None:
            visit.selection = show(self.scope, visit.selection, photo.picture(self.scope.grid.image_size))

    def _updates(self, visit: Visit, said: Sequence[str], file: dict[str, str] | None) -> dict[gr.HTML, Any]:
        updates = self.refresh(visit)
        waits = self.wanted(visit)
        status: dict[str, Any] = {"link": to_link(self.scope, self.page, visit.selection), "said": " ".join(said)}
        if waits and not visit.measuring:
            status["running"] = visit.next()
        if not waits:
            status["wait"] = None
        if file:
            status["file"] = file
        return updates | {self.status: gr.HTML(**status)}

    def _picked(self, visit: Visit, event: Mapping[str, Any]) -> Words:
        """What a click on a figure chooses. Where nothing is, nothing."""
        view = self.views[event["view"]]
        point = Point(int(event["curve"]), str(event.get("name")), tuple(map(int, event["index"])))
        try:
            return view.pick(self.scope, visit.selection, point) if view.pick else {}
        except (IndexError, ValueError):
            return {}

    def _file(self, visit: Visit, name: str) -> dict[str, str] | None:
        view, selection = self.views[name], visit.selection
        numbers = view.draw(self.scope, selection).numbers
        if numbers is None:
            return None
        text = csv_of(self.scope, selection, view, self.settings[name], numbers)
        return {"name": f"{file_name(self.scope, selection, view)}.csv", "text": text}

    def _depends(self, visit: Visit, view: View) -> Hashable:
        needs = view.needs(self.scope, visit.selection)
        open_ends = frozenset((m.key, visit.starts(m), visit.stopped.get(m.key)) for m in needs)
        chosen = tuple(option_text(option, visit.selection) for option in view.options)
        return view.sees(visit.selection), chosen, open_ends

    def _value(self, visit: Visit, lens: Lens, view: View) -> dict[str, Any]:
        """What `instrument.js` shows of a view."""
        selection = visit.selection
        try:
            drawn = view.draw(self.scope, selection)
        except Exception:
            log.exception("%s could not be drawn", view.title)
            drawn = Drawn(words=BROKEN)
        needs = view.needs(self.scope, selection)
        facts = facts_of(self.scope, selection, self.settings[element_id(lens, view)])
        return {
            "figure": drawn.figure.to_json() if drawn.figure is not None else None,
            "html": drawn.html,
            "words": drawn.words,
            "alt": in_place(view, drawn),
            "name": file_name(self.scope, selection, view),
            "python": as_python(self.scope, self.page, lens, view, selection),
            "facts": " · ".join(f"{name}: {fact}" for name, fact in facts.items()),
            "set": {option.name: option_text(option, selection) for option in view.options},
            "waiting": any(map(visit.starts, needs)),
            "measure": _offer(visit, [m for m in needs if not visit.starts(m)]),
        }


def _offer(visit: Visit, waiting: Sequence[Measurement]) -> str:
    """HTML: a button for what is not measured unasked, and why it is not there."""
    if not waiting:
        return ""
    seconds = sum(measurement.seconds for measurement in waiting)
    names = "; ".join(measurement.label for measurement in waiting)
    reasons = dict.fromkeys(visit.stopped[m.key] for m in waiting if m.key in visit.stopped)
    words = " ".join([*reasons, f"{names}: about {max(1, round(seconds)):,} s."])
    return f'<button type="button" data-do="measure">Measure</button> <span>{escape(words)}</span>'


def _wait(measurement: Measurement, done: int, left: float, others: int) -> dict[str, Any]:
    more = f", then {others} more" if others else ""
    text = f"{measurement.label}: {done:,} of {measurement.total:,} {measurement.unit}, about {left:.0f} s left{more}"
    return {"done": done, "total": measurement.total, "text": text}


def build(scope: Microscope, fetch: bool = False) -> gr.Blocks:
    """The whole page of a network. fetch: as for `Instrument`"""
    gr.set_static_paths(figures.PLOTLY_JS)
    return Instrument(scope, fetch).build()
