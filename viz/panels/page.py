"""The page: one selection, the lenses that look at it, and the only place that draws."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr

from mixer.outside import sentence
from mixer.picture import Decoded
from viz import figures
from viz.microscope import Microscope
from viz.panels import endpoint, events, pin, specimen
from viz.panels.boundary import Guarded
from viz.panels.components import component, element_id, lens_header, tabs_component, view_component
from viz.panels.how import tour
from viz.panels.lenses import Lenses
from viz.panels.photo import WORDS, Photo
from viz.panels.pin import Pinned
from viz.panels.report import name_of, report
from viz.panels.upload import Upload
from viz.panels.view import Drawn, Lens, Point, View, as_python, csv_of, facts_of, file_name, in_place
from viz.panels.visit import Part, Visit
from viz.running import Clock, Measurement, on_model_thread
from viz.selection import Selection, Words, change, option_text, show, to_words

SHORT = 1
"""seconds from which on a wait is shown, and can be cancelled"""
REFRESH = 0.2
"""seconds between two looks at how far a measurement is"""
SAME = "The same for what is pinned."
BROKEN = "Something in the program went wrong here. Choose something else to go on; the server's log has the details."

STATUS = """
<p class="said" role="alert" data-part="said"></p>
<div class="wait" role="status" hidden>
  <progress aria-label="how far it is"></progress><span data-part="wait"></span>
  <button type="button" data-do="stop">Cancel</button>
</div>"""

log = logging.getLogger(__name__)


class Instrument(Lenses):
    """One network's page, and what happens on it."""

    def __init__(
        self, scope: Microscope, fetch: bool = False, name: str = "", beside: Callable[[str], Lenses] | None = None
    ):
        """fetch: whether other programs may name pictures by addresses on the public internet

        beside: gives the views of another network by its name, to be pinned here; ValueError where it is not there
        """
        super().__init__(scope, name)
        self.fetch, self._beside = fetch, beside
        self.parts = list[Part]()

    def build(self) -> gr.Blocks:
        """The whole page."""
        self.parts = []
        gr.set_static_paths(figures.PLOTLY_JS)
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
                    kept = component("controls", '<div data-part="html"></div>', elem_id="pin")
                    self.parts.append(
                        Part(kept, lambda v: v.pinned, lambda v: {"set": {}, "html": pin.bar(v.pinned, self)})
                    )
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
        self.parts.append(
            Part(made, lambda v: self._depends(v, made.elem_id), lambda v: self._value(v, lens, view), place)
        )

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
            for name, place in self.places.items()
            if place in (None, visit.selection.lens)
            for measurement in self._needs(visit, name)
            if visit.starts(measurement)
        }
        return sorted(found.values(), key=lambda measurement: measurement.seconds)

    def _needs(self, visit: Visit, name: str) -> list[Measurement]:
        """What a view needs, for the present selection and for the one that it is shown beside."""
        kept = self._kept(visit, name)
        here = self.views[name].needs(self.scope, visit.selection)
        return [*here, *(kept.needs(name, self) if kept else ())]

    def _kept(self, visit: Visit, name: str) -> Pinned | None:
        """What is pinned, where a view shows something else of it than of the present selection."""
        kept = visit.pinned
        if kept is None or self.places[name] is None or name not in kept.lenses.views:
            return None
        same = kept.lenses is self and pin.depends(self, name, kept.selection) == pin.depends(
            self, name, visit.selection
        )
        return None if same else kept

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
            words, start, visit.pinned = {n: text for n, text in found if not n.startswith("__")}, self.first, None
        elif "view" in event:
            words = dict(self._picked(visit, event))
        words = {str(name): str(text) for name, text in words.items()}
        if visit.photo and not words.keys().isdisjoint(WORDS):
            framing = {name: words.pop(name) for name in WORDS if name in words}
            self._place(visit, visit.photo.framed(framing))
        if {"picture", "sample"} & words.keys():
            visit.photo = None
        kept = words.pop("pin", None)
        if words:
            visit.selection, said = change(self.scope, self.page, start, words)
        if kept is not None:
            said += self._pin(visit, kept)
        if event.get("stop"):
            visit.stopped |= dict.fromkeys((m.key for m in self.wanted(visit)), "Cancelled.")
        if "measure" in event:
            for measurement in self._needs(visit, event["measure"]):
                visit.stopped.pop(measurement.key, None)
                visit.asked.add(measurement.key)
        if "report" in event:
            text = report(self.scope, self.page, self.lenses, visit, str(event["report"]))
            return said, {"name": name_of(self.scope, visit.selection), "text": text}
        return said, self._file(visit, event["csv"]) if "csv" in event else None

    def _pin(self, visit: Visit, text: str) -> list[str]:
        """Keep what a link says, or the present selection, or look at what is kept; sentences for the visitor."""
        if text == pin.HERE:
            visit.pinned = Pinned(self, visit.selection)
        elif text == pin.SWAP:
            if visit.pinned and visit.pinned.lenses is self:
                here, visit.photo = visit.selection, None
                visit.selection = replace(visit.pinned.selection, lens=here.lens)
                visit.pinned = Pinned(self, here)
        elif not text:
            visit.pinned = None
        else:
            try:
                visit.pinned, said = pin.parse(text, self._network(pin.network_of(text, self.name)))
            except (ValueError, OSError, MemoryError) as error:
                return [f"What was pinned is not shown: {sentence(error)}."]
            return said
        return []

    def _network(self, name: str) -> Lenses:
        """The views of the network of this name; ValueError where it is not here."""
        if name == self.name:
            return self
        if self._beside is None:
            raise ValueError(f"{name} is not open here")
        return self._beside(name)

    def _place(self, visit: Visit, photo: Photo | None) -> None:
        visit.photo = photo
        if photo is not None:
            visit.selection = show(self.scope, visit.selection, photo.picture(self.scope.grid.image_size))

    def _updates(self, visit: Visit, said: Sequence[str], file: dict[str, str] | None) -> dict[gr.HTML, Any]:
        updates = self.refresh(visit)
        waits = self.wanted(visit)
        status: dict[str, Any] = {"link": self._link(visit), "said": " ".join(said)}
        if waits and not visit.measuring:
            status["running"] = visit.next()
        if not waits:
            status["wait"] = None
        if file:
            status["file"] = file
        return updates | {self.status: gr.HTML(**status)}

    def _link(self, visit: Visit) -> str:
        kept = {"pin": pin.to_text(visit.pinned)} if visit.pinned else {}
        return urlencode(to_words(self.scope, self.page, visit.selection) | kept, safe=",:;@")

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

    def _depends(self, visit: Visit, name: str) -> Hashable:
        kept, needs = self._kept(visit, name), self._needs(visit, name)
        open_ends = frozenset((m.key, visit.starts(m), visit.stopped.get(m.key)) for m in needs)
        # beside what is kept, the words for what differs are of the whole selection
        beside = (kept, visit.selection) if kept else visit.pinned is None
        return pin.depends(self, name, visit.selection), beside, open_ends

    def _value(self, visit: Visit, lens: Lens, view: View) -> dict[str, Any]:
        """What `instrument.js` shows of a view."""
        selection, name = visit.selection, element_id(lens, view)
        drawn = _drawn(self.scope, view, selection)
        needs, kept = self._needs(visit, name), self._kept(visit, name)
        facts = facts_of(self.scope, selection, self.settings[name])
        return {
            **_shown(drawn),
            "which": SAME if visit.pinned and not kept and self.places[name] else "",
            "pinned": None,
            "alt": in_place(view, drawn),
            "name": file_name(self.scope, selection, view),
            "python": as_python(self.scope, self.page, lens, view, selection),
            "facts": " · ".join(f"{fact}: {told}" for fact, told in facts.items()),
            "set": {option.name: option_text(option, selection) for option in view.options},
            "waiting": any(map(visit.starts, needs)),
            "measure": _offer(visit, [m for m in needs if not visit.starts(m)]),
        } | (self._beside_it(kept, name, selection) if kept else {})

    def _beside_it(self, kept: Pinned, name: str, selection: Selection) -> dict[str, Any]:
        """What a view shows of what is pinned, and what it says of both."""
        view = kept.lenses.views[name]
        before, now = pin.which(kept, self, name, selection)
        drawn = _drawn(kept.lenses.scope, view, kept.selection)
        return {"which": now, "pinned": _shown(drawn) | {"which": before, "alt": f"{before}. {in_place(view, drawn)}"}}


def _drawn(scope: Microscope, view: View, selection: Selection) -> Drawn:
    try:
        return view.draw(scope, selection)
    except Exception:
        log.exception("%s could not be drawn", view.title)
        return Drawn(words=BROKEN)


def _shown(drawn: Drawn) -> dict[str, Any]:
    figure = drawn.figure.to_json() if drawn.figure is not None else None
    return {"figure": figure, "html": drawn.html, "words": drawn.words}


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
