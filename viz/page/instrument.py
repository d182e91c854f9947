"""One network's page and what happens on it: what a browser sends changes a visit, and what changed is sent back.

It knows no Gradio: `app.py` puts it on a page.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from html import escape
from itertools import count
from typing import Any

from cachetools import LRUCache

from mixer.errors import message
from viz.lenses.all import SCALE, Lenses, now_at
from viz.lenses.how_it_works import tour
from viz.lenses.tokens import lens_needed
from viz.lenses.view import (
    Drawn,
    Lens,
    Numbers,
    Point,
    View,
    as_python,
    csv_of,
    element_id,
    facts_of,
    file_name,
    in_place,
)
from viz.measuring import Clock, Measurement, duration, on_model_thread
from viz.microscope import Microscope
from viz.page import pin, specimen
from viz.page.address import DIGEST, Address, said_of
from viz.page.markup import asks_id
from viz.page.photo import WORDS, Photo
from viz.page.pin import Pinned
from viz.page.report import choose, drawn_or_words, name_of, report
from viz.page.session import Element, Session
from viz.selection import Params, Selection, bare, change, from_query, option_text, show
from viz.zerogpu import LENT

INSTANT = 0 if LENT else 0.2
"""seconds of measurements that are made before the answer, as another answer would take longer; none where they may
borrow a GPU, see `app.py`"""
SHORT = 1
"""seconds from which on a wait is shown, and can be cancelled"""
REDRAW = 1
"""seconds at least between two drawings of an estimate that becomes better"""
REFRESH = 0.2
"""seconds between two looks at how far a measurement is"""
LISTED = 3
"""names of measurements in a sentence"""
VISITS = 200
"""visitors whom a network remembers; who comes back after so many others is sent all anew, from the link"""
SAME = "Identical for the pinned selection."
BROKEN = "Something in the program went wrong here. Choose something else to go on; the server's log has the details."

STATUS = "status"
"""the element that shows the link's address, sentences, and how far a measurement is"""

log = logging.getLogger(__name__)

_turn = count(1)

Updates = dict[str, Any]
"""values for elements of the page, by their ids"""


class Instrument(Lenses):
    """The lenses of a network, and the parts of its page."""

    def __init__(
        self,
        scope: Microscope,
        name: str = "",
        beside: Callable[[str], Lenses] | None = None,
        further: bool = False,
    ):
        """name, further: see `Lenses`

        beside: gives the views of another network by its name, to be pinned here. Raises ValueError, in words
        """
        super().__init__(scope, name, further)
        self.visits: LRUCache[str, Session] = LRUCache(VISITS)
        """by visitor"""
        self._beside = beside
        self.parts = [
            *specimen.parts(scope),
            Element("pin", lambda v: (v.pinned, v.selection.target, SCALE.value(v.selection)), self._bar),
            Element("tabs", lambda v: v.selection.lens, lambda v: v.selection.lens),
            Element("tour", self._touring, lambda v: {"set": {}, "html": tour.bar(scope, v.selection)}),
            *map(self._asks, self.lenses),
            *(self._view(lens, view) for lens in (self.specimen, *self.lenses) for view in lens.views),
            Element("kept", lambda v: tuple(self._address(v).kept), lambda v: self._address(v).kept),
        ]

    def _bar(self, visit: Session) -> dict[str, Any]:
        """What is kept."""
        selection = visit.selection
        html = pin.bar(visit.pinned, self, self.scope.classes[selection.target])
        return {"html": html, "set": {SCALE.name: SCALE.value(selection)}}

    def _touring(self, visit: Session) -> Hashable:
        """All that the bar of the tour depends on: where its stops are, and at one what it says."""
        stop = tour.TOUR.value(visit.selection)
        open_ends = tuple(
            (one.key, one.reached) for one in self.scope.missing(lens_needed(self.scope, visit.selection))
        )
        return (visit.selection, open_ends) if stop else (visit.selection.picture, visit.selection.lens)

    def _asks(self, lens: Lens) -> Element:
        """The options of a lens."""

        def chosen(visit: Session) -> dict[str, str]:
            return {option.name: option_text(option, visit.selection) for option in lens.options}

        return Element(asks_id(lens), lambda v: tuple(chosen(v).values()), lambda v: {"set": chosen(v)}, lens.id)

    def _view(self, lens: Lens, view: View) -> Element:
        name = element_id(lens, view)
        return Element(name, lambda v: self._depends(v, name), lambda v: self._value(v, name), self.lens_of[name])

    def refresh(self, visit: Session) -> Updates:
        """Values for all that no longer shows what it should; what is not on the page waits until it is opened."""
        self.wanted(visit)  # what starts by itself is decided for all views together
        updates: Updates = {}
        for part in self.parts:
            if self._is_shown(visit, part.element, part.lens):
                sees = part.sees(visit)
                if visit.sent.get(part.element, self) != sees:
                    updates[part.element] = part.value(visit)
                    visit.sent[part.element] = sees
        return updates

    def wanted(self, visit: Session) -> list[Measurement]:
        """What is to be measured for what is open, the shortest first."""
        needed = {
            measurement.key: measurement
            for name, place in self.lens_of.items()
            if self._is_shown(visit, name, place)
            for measurement in self._needs(visit, name)
        }
        return [one for one in sorted(needed.values(), key=lambda one: one.seconds) if visit.starts(one)]

    def _is_shown(self, visit: Session, element: str, lens: str | None) -> bool:
        """Whether an element can be seen. lens: that it stands in, if any"""
        return element in (visit.only, "kept") if visit.only else lens in (None, visit.selection.lens)

    def _needs(self, visit: Session, name: str) -> list[Measurement]:
        """What a view needs, for the present selection and for the one that it is shown beside."""
        kept = self._kept(visit, name)
        here = self.views[name].missing(self.scope, visit.selection)
        return [*here, *(kept.needs(name, self) if kept else ())]

    def _waiting(self, visit: Session, name: str) -> list[Measurement]:
        """What a view needs that does not start by itself."""
        return [one for one in self._needs(visit, name) if not visit.starts(one)]

    def _offering(self, visit: Session, name: str) -> str:
        """The view that offers what this one waits for: the first of its lens that waits for the same."""
        keys, place = {one.key for one in self._waiting(visit, name)}, self.lens_of[name]
        if not keys:  # as nearly always: what the other views need is not looked at
            return name
        return next(
            other
            for other, lens in self.lens_of.items()
            if lens == place and (other == name or {one.key for one in self._waiting(visit, other)} == keys)
        )

    def _offer(self, visit: Session, name: str) -> str:
        """HTML: a button for what is not measured unasked, and why it is not there; one for all views of a lens."""
        waiting, offering = self._waiting(visit, name), self._offering(visit, name)
        if waiting and offering != name:
            return f"Measured together with: {escape(self.views[offering].title)}."
        return _offer(visit, waiting)

    def _kept(self, visit: Session, name: str) -> Pinned | None:
        return pin.beside(visit.pinned, self, name, visit.selection)

    def answer(self, visit: Session, event: Mapping[str, Any]) -> Updates:
        """Updates for whatever a browser sent, in the words of `instrument.js`: the one boundary of the page."""
        if event.get("again"):
            visit.sent.clear()  # an answer was lost on the way
        try:
            status = {} if "redraw" in event else self._act(visit, event)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not understood: %.200r: %s", event, error)
            status = {"said": "That could not be done: reload the page if it happens again."}
        return self._updates(visit, status)

    async def run(self, visit: Session) -> AsyncIterator[dict[str, Any]]:
        """Measure what is wanted, until nothing is; yields how far it is, and "redraw" when something is to be drawn:
        a result, or an estimate that became better.

        It draws nothing itself, so nothing is drawn out of order. One at a time for a visit.
        """
        if visit.measuring:
            return
        visit.measuring = True
        try:
            while todo := await on_model_thread(self.wanted, visit):
                async for told in self._measure(visit, todo):
                    yield told
                yield {"redraw": next(_turn)}
            # drawn anew in any case: another visitor may have measured it meanwhile
            yield {"wait": None, "redraw": next(_turn)}
        finally:
            visit.measuring = False

    async def _measure(self, visit: Session, todo: list[Measurement]) -> AsyncIterator[dict[str, Any]]:
        """Measure the first; yields how far it is, where it takes a while, and when a better estimate can be drawn."""
        measurement, clock, looked, drawn = todo[0], Clock(todo[0]), 0.0, 0.0
        steps, slow = measurement.steps(), sum(m.seconds for m in todo) > SHORT
        done: int | None = measurement.reached
        reached = measurement.reached
        while done is not None:
            if self.scope.reached(measurement.key) > reached and time.monotonic() - drawn > REDRAW:
                reached, drawn = self.scope.reached(measurement.key), time.monotonic()
                yield {"redraw": next(_turn)}
            if slow and time.monotonic() - looked > REFRESH:
                looked = time.monotonic()
                yield {"wait": _wait(measurement, done, clock.left(done), len(todo) - 1)}
            done = await on_model_thread(self._step, visit, measurement, steps)
            slow = slow or (done is not None and clock.left(done) > SHORT)

    def _step(self, visit: Session, measurement: Measurement, steps: Iterator[int]) -> int | None:
        """How much is done after one step more; None where all is, where it failed or is no longer wanted."""
        try:
            done = next(steps, None)
        except Exception as error:
            log.exception("%s failed", measurement.label)
            visit.stopped[measurement.key] = f"{error}." if isinstance(error, ValueError) else BROKEN
            return None
        if done is None and (view := visit.requested.pop(measurement.key, None)):
            # what the same view needs now, and would have started by itself if it were shorter
            visit.requested |= {other.key: view for other in self._needs(visit, view) if not other.on_request}
        wanted = any(other.key == measurement.key for other in self.wanted(visit))
        if done is None and wanted:
            visit.stopped[measurement.key] = BROKEN  # or it would be measured for ever
        return done if wanted else None

    def _act(self, visit: Session, event: Mapping[str, Any]) -> Updates:
        """What the status says of it: sentences, a file to save, a view to go to."""
        said, status = list[str](), dict[str, Any]()
        words = dict(event.get("words", {}))
        if "link" in event:
            words, visit.selection, visit.pinned = from_query(str(event["link"])), self.first, None
            words.pop("network", None)  # this one, if it was to be had
            if missing := [name for name, text in words.items() if DIGEST.fullmatch(text)]:
                words = {name: text for name, text in words.items() if name not in missing}
                said.append(said_of(missing))
            only = words.pop("only", "")
            name, chosen = now_at(self.scope, bare(words.pop("view", only)))
            lens, view = self.named.get(name, (None, None))
            if lens in self.lenses and view:
                place = element_id(lens, view)
                status |= {"only": place} if only else {"go": place}
                words = {**chosen, **words, "lens": lens.id}
            elif name:
                said.append(f"There is no view {name!r} here.")
            visit.only = status.setdefault("only", "")
        elif "view" in event:
            words = dict(self._picked(visit, event))
        words = {str(name): str(text) for name, text in words.items()}
        if visit.photo and not words.keys().isdisjoint(WORDS):
            framing = {name: words.pop(name) for name in WORDS if name in words}
            self._place(visit, visit.photo.framed(framing))
        if "link" in event or {"picture", "sample"} & words.keys():
            visit.photo = None
        if "photo" in event:
            self._place(visit, event["photo"])
            words.pop("picture", None)
        if not words.keys().isdisjoint(option.name for option in self.specimen.all_options) and "view" in event:
            status["go"] = element_id(self.specimen, self.specimen.views[0])
        kept = words.pop("pin", None)
        if words or "link" in event:
            visit.started.clear()
            visit.selection, wrong = change(self.scope, self.page, visit.selection, words)
            said += wrong
        if kept == pin.SWAP and visit.pinned:
            status["follow"] = pin.swapped(self, visit.pinned, visit.selection)
        elif kept is not None:
            said += self._pin(visit, kept)
        if event.get("stop"):
            visit.stopped |= dict.fromkeys((m.key for m in self.wanted(visit)), "Cancelled.")
        if "measure" in event:
            for measurement in self._needs(visit, event["measure"]):
                visit.stopped.pop(measurement.key, None)
                visit.requested[measurement.key] = event["measure"]
        if "report" in event:
            of = event.get("of")
            names = choose(self, visit.selection, [visit.selection.lens] * (of == "lens"), everything=of == "all")
            text = report(self, visit, str(event["report"]), names)
            status["file"] = {"name": name_of(self.scope, visit.selection), "text": text}
        if "csv" in event:
            status["file"] = self._file(visit, event["csv"])
        return status | {"said": " ".join(said)}

    def _pin(self, visit: Session, text: str) -> list[str]:
        """Keep what a link says, or the present selection, or nothing; sentences for the visitor."""
        if text == pin.HERE:
            visit.pinned = Pinned(self, visit.selection)
        elif text == pin.CLASS and visit.pinned:
            try:
                visit.pinned = pin.of_class(visit.pinned, self.scope.classes[visit.selection.target])
            except ValueError as error:
                return [f"What is pinned stays: {message(error)}."]
        elif not text:
            visit.pinned = None
        else:
            try:
                visit.pinned, said = pin.parse(text, self._network(pin.network_of(text, self.name)))
            except (ValueError, OSError, MemoryError) as error:
                return [f"What was pinned is not shown: {message(error)}."]
            return said
        return []

    def _network(self, name: str) -> Lenses:
        """The views of the network of this name; ValueError where it is not here."""
        if name == self.name:
            return self
        if self._beside is None:
            raise ValueError(f"{name} is not open here")
        return self._beside(name)

    def _place(self, visit: Session, photo: Photo | None) -> None:
        """Put a visitor's own photo under the microscope; None: it was taken away, its picture stays."""
        visit.photo = photo
        visit.started.clear()
        if photo is not None:
            visit.selection = show(self.scope, visit.selection, photo.picture(self.scope.grid.image_size))

    def _measure_at_once(self, visit: Session) -> None:
        """What is wanted, as far as it is expected to take no time that anybody would notice."""
        left = INSTANT
        while (wanted := self.wanted(visit)) and wanted[0].seconds <= left:
            left -= wanted[0].seconds
            steps = wanted[0].steps()
            while self._step(visit, wanted[0], steps) is not None:
                pass

    def _updates(self, visit: Session, status: Updates) -> Updates:
        """status: what else it says; without a sentence, the one that is there stays until something is chosen"""
        self._measure_at_once(visit)
        updates = self.refresh(visit)
        waits = self.wanted(visit)
        status = status | {"link": self._address(visit).query, "running": bool(waits) and not visit.measuring}
        if not waits:
            status["wait"] = None
        return updates | {STATUS: status}

    def _address(self, visit: Session) -> Address:
        return Address.of(pin.link(self, visit.pinned, visit.selection))

    def _picked(self, visit: Session, event: Mapping[str, Any]) -> Params:
        """What a click on a figure chooses. Where nothing is, nothing."""
        view = self.views[event["view"]]
        point = Point(int(event["curve"]), str(event.get("name")), tuple(map(int, event["index"])))
        try:
            return view.pick(self.scope, visit.selection, point) if view.pick else {}
        except (IndexError, ValueError):
            return {}

    def _file(self, visit: Session, name: str) -> dict[str, str] | None:
        view, selection = self.views[name], visit.selection
        numbers = view.draw(self.scope, selection).numbers
        if numbers is None:
            return None
        kept = self._kept(visit, name)
        if kept is None:
            text = csv_of(self.scope, selection, view, self.settings[name], numbers)
        else:
            text = self._both(kept, name, selection, numbers)
        return {"name": f"{file_name(self.scope, selection, view)}.csv", "text": text}

    def _both(self, kept: Pinned, name: str, selection: Selection, numbers: Numbers) -> str:
        """The numbers of a view as a file, with those of what is pinned: beside them, or after them."""
        there, view = kept.lenses, kept.lenses.views[name]
        pinned = view.draw(there.scope, kept.selection).numbers
        both = pinned and numbers.beside(pinned)
        now = csv_of(self.scope, selection, self.views[name], self.settings[name], both or numbers)
        of_pinned = pinned and csv_of(there.scope, kept.selection, view, there.settings[name], pinned)
        if both:
            return f"# {pin.which(kept, self, name, selection)[0]}\n{now}"
        return f"{now}\n# pinned\n{of_pinned}" if of_pinned else now

    def _depends(self, visit: Session, name: str) -> Hashable:
        kept, needs = self._kept(visit, name), self._needs(visit, name)
        open_ends = frozenset((m.key, m.reached, visit.starts(m), visit.stopped.get(m.key)) for m in needs)
        # beside what is kept, the words for what differs are of the whole selection
        beside = (kept, visit.selection) if kept else visit.pinned is None
        return pin.depends(self, name, visit.selection), beside, open_ends, self._offering(visit, name)

    def _value(self, visit: Session, name: str) -> dict[str, Any]:
        """What `instrument.js` shows of a view."""
        selection, view = visit.selection, self.views[name]
        drawn = drawn_or_words(self.scope, view, selection)
        needs, kept = self._needs(visit, name), self._kept(visit, name)
        facts = facts_of(self.scope, selection, self.settings[name])
        return {
            **_shown(drawn),
            "difference": None,
            "note": "",
            "own": False,
            "beside": "",
            "which": SAME if visit.pinned and not kept and self.lens_of[name] else "",
            "pinned": None,
            "alt": in_place(view, drawn),
            "name": file_name(self.scope, selection, view),
            "python": self._address(visit).short(
                as_python(self.scope, self.page, self.full_names[name], view, selection)
            ),
            "facts": " · ".join(f"{fact}: {told}" for fact, told in facts.items()),
            "set": {option.name: option_text(option, selection) for option in view.options},
            "counted": drawn.numbers is not None,
            "waiting": any(map(visit.starts, needs)),
            "measure": self._offer(visit, name),
        } | (self._beside_it(kept, name, visit, drawn) if kept else {})

    def _beside_it(self, kept: Pinned, name: str, visit: Session, drawn: Drawn) -> dict[str, Any]:
        """What a view shows of what is pinned, and of what that differs in, and what it says of both.

        drawn: what it shows now
        """
        there, view = kept.lenses, kept.lenses.views[name]
        before, now = pin.which(kept, self, name, visit.selection)
        other = drawn_or_words(there.scope, view, kept.selection)
        apart = pin.difference(other, drawn)
        python = as_python(there.scope, there.page, there.full_names[name], view, kept.selection)
        return {
            "which": now,
            "pinned": _pane(view, other, before),
            "difference": apart and _pane(view, apart, "Now minus pinned"),
            "note": pin.APART if drawn.figure and other.figure and not apart else "",
            "own": SCALE.value(visit.selection) == "own",
            "beside": "\n# pinned\n" + self._address(visit).short(python.partition("\n\n")[2]),
        }


def _shown(drawn: Drawn) -> dict[str, Any]:
    figure = drawn.figure.to_json() if drawn.figure is not None else None
    return {"figure": figure, "html": drawn.html, "words": drawn.words}


def _pane(view: View, drawn: Drawn, which: str) -> dict[str, Any]:
    return _shown(drawn) | {"which": which, "alt": f"{which}. {in_place(view, drawn)}"}


def _offer(visit: Session, waiting: Sequence[Measurement]) -> str:
    """HTML: a button for what is not measured unasked, and why it is not there."""
    if not waiting:
        return ""
    seconds = sum(measurement.seconds for measurement in waiting)
    labels = [*dict.fromkeys(measurement.label for measurement in waiting)]
    names = "; ".join(labels[:LISTED])
    if len(labels) > LISTED:
        names += f" and {len(labels) - LISTED} more"
    reasons = dict.fromkeys(visit.stopped[m.key] for m in waiting if m.key in visit.stopped)
    words = " ".join([*reasons, f"{names}: about {duration(seconds)}."])
    return f'<button type="button" data-do="measure">Measure</button> <span>{escape(words)}</span>'


def _wait(measurement: Measurement, done: int, left: float, others: int) -> dict[str, Any]:
    more = f", then {others} more" if others else ""
    of = f"{done:,} of {measurement.total:,} {measurement.unit}"
    text = f"{measurement.label}: {of}, about {duration(left)} left{more}"
    return {"done": done, "total": measurement.total, "text": text}
