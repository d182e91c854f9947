"""The page of one network: an event of a browser changes a session, and the answer has the changed values.

It does not use Gradio: `app.py` does.
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
from viz.page.address import DIGEST, Address, missing_values
from viz.page.markup import question_id
from viz.page.photo import WORDS, Photo
from viz.page.pin import Pinned
from viz.page.report import choose, drawn_or_words, name_of, report
from viz.page.session import Element, Session
from viz.selection import Params, Selection, bare, change, from_query, option_text, show
from viz.zerogpu import LENT

INSTANT = 0 if LENT else 0.2
"""seconds of measurements that run before an answer, as a second answer would take longer; none on ZeroGPU, see
`app.py`"""
SLOW = 1
"""longer measurements, in seconds, show their progress and can be cancelled"""
REDRAW = 1
"""minimum number of seconds between two drawings of an estimate"""
REFRESH = 0.2
"""seconds between two updates of the progress"""
LISTED = 3
"""maximum number of names of measurements in a sentence"""
MAX_VISITS = 200
"""sessions in the memory of a network; the page of a forgotten visitor starts again from its link"""
BROKEN = "An error occurred in the program. Select something else to continue; the server's log has the details."

STATUS = "status"
"""the element that shows messages and the progress"""

log = logging.getLogger(__name__)

_turn = count(1)

Updates = dict[str, Any]
"""new values of elements of the page, by their ids"""


class Instrument(Lenses):
    """The lenses of a network, and the elements of its page."""

    def __init__(
        self,
        scope: Microscope,
        name: str = "",
        beside: Callable[[str], Lenses] | None = None,
        further: bool = False,
    ):
        """name, further: see `Lenses`

        beside: name -> the views of another network, which can be pinned here. Raises ValueError for unknown names
        """
        super().__init__(scope, name, further)
        self.visits: LRUCache[str, Session] = LRUCache(MAX_VISITS)
        """sessions by visitor"""
        self._beside = beside
        self.parts = [
            *specimen.parts(scope),
            Element("pin", lambda v: (v.pinned, v.selection.target, SCALE.value(v.selection)), self._bar),
            Element("tabs", lambda v: v.selection.lens, lambda v: v.selection.lens),
            Element("tour", self._touring, lambda v: {"set": {}, "html": tour.bar(scope, v.selection)}),
            *map(self._asks, self.lenses),
            *(self._view(lens, view) for lens in (self.specimen, *self.lenses) for view in lens.views),
            Element("stored", lambda v: tuple(self._address(v).stored), lambda v: self._address(v).stored),
        ]

    def _bar(self, visit: Session) -> dict[str, Any]:
        """The value of the bar of the pinned selection."""
        selection = visit.selection
        html = pin.bar(visit.pinned, self, self.scope.classes[selection.target])
        return {"html": html, "set": {SCALE.name: SCALE.value(selection)}}

    def _touring(self, visit: Session) -> Hashable:
        """Everything that the bar of the tour depends on."""
        stop = tour.TOUR.value(visit.selection)
        open_ends = tuple(
            (one.key, one.reached) for one in self.scope.missing(lens_needed(self.scope, visit.selection))
        )
        return (visit.selection, open_ends) if stop else (visit.selection.picture, visit.selection.lens)

    def _asks(self, lens: Lens) -> Element:
        """The options of a lens."""

        def chosen(visit: Session) -> dict[str, str]:
            return {option.name: option_text(option, visit.selection) for option in lens.options}

        return Element(question_id(lens), lambda v: tuple(chosen(v).values()), lambda v: {"set": chosen(v)}, lens.id)

    def _view(self, lens: Lens, view: View) -> Element:
        name = element_id(lens, view)
        return Element(name, lambda v: self._depends(v, name), lambda v: self._value(v, name), self.lens_of[name])

    def refresh(self, visit: Session) -> Updates:
        """New values for each element whose inputs changed; elements of closed lenses wait."""
        self.to_run(visit)  # decides for all views together which measurements start automatically
        updates: Updates = {}
        for part in self.parts:
            if self._is_shown(visit, part.element, part.lens):
                sees = part.sees(visit)
                if visit.sent.get(part.element, self) != sees:
                    updates[part.element] = part.value(visit)
                    visit.sent[part.element] = sees
        return updates

    def to_run(self, visit: Session) -> list[Measurement]:
        """The measurements that should run for the open lens, the shortest first."""
        needed = {
            measurement.key: measurement
            for name, place in self.lens_of.items()
            if self._is_shown(visit, name, place)
            for measurement in self._needs(visit, name)
        }
        return [one for one in sorted(needed.values(), key=lambda one: one.seconds) if visit.starts(one)]

    def _is_shown(self, visit: Session, element: str, lens: str | None) -> bool:
        """Whether an element is on the screen. lens: the one that contains it, if any"""
        return element in (visit.only, "stored") if visit.only else lens in (None, visit.selection.lens)

    def _needs(self, visit: Session, name: str) -> list[Measurement]:
        """The missing measurements of a view, for the current and the pinned selection."""
        pinned = self._pinned_for(visit, name)
        here = self.views[name].missing(self.scope, visit.selection)
        return [*here, *(pinned.needs(name, self) if pinned else ())]

    def _waiting(self, visit: Session, name: str) -> list[Measurement]:
        """The missing measurements of a view that do not start automatically."""
        return [one for one in self._needs(visit, name) if not visit.starts(one)]

    def _offering(self, visit: Session, name: str) -> str:
        """The view with the button *Measure* for this one: the first on its page with the same missing measurements."""
        keys, place = {one.key for one in self._waiting(visit, name)}, self.lens_of[name]
        if not keys or visit.only:  # nearly always: this saves the search through the other views
            return name
        return next(
            other
            for other, lens in self.lens_of.items()
            if lens == place and (other == name or {one.key for one in self._waiting(visit, other)} == keys)
        )

    def _offer(self, visit: Session, name: str) -> str:
        """HTML: the button *Measure* with the reason, or the name of the view that has it."""
        waiting, offering = self._waiting(visit, name), self._offering(visit, name)
        if waiting and offering != name:
            return f"Measured together with: {escape(self.views[offering].title)}."
        return _offer(visit, waiting)

    def _pinned_for(self, visit: Session, name: str) -> Pinned | None:
        return pin.beside(visit.pinned, self, name, visit.selection)

    def answer(self, visit: Session, event: Mapping[str, Any]) -> Updates:
        """The answer to an event, which is untrusted and has the keys of `connection.js`."""
        if event.get("again"):
            visit.sent.clear()  # the last answer was lost
        try:
            status = {} if "redraw" in event else self._act(visit, event)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("invalid event: %.200r: %s", event, error)
            status = {"message": "The request is invalid. Reload the page if this happens again."}
        return self._updates(visit, status)

    async def run(self, visit: Session) -> AsyncIterator[dict[str, Any]]:
        """Run all measurements that should run; yields the progress, and "redraw" after each result or better estimate.

        The browser then fetches the views with `answer`, so they are drawn in order. One run at a time for a session.
        """
        if visit.measuring:
            return
        visit.measuring = True
        try:
            while todo := await on_model_thread(self.to_run, visit):
                async for update in self._measure(visit, todo):
                    yield update
                yield {"redraw": next(_turn)}
            # in any case, as another visitor may have measured it meanwhile
            yield {"wait": None, "redraw": next(_turn)}
        finally:
            visit.measuring = False

    async def _measure(self, visit: Session, todo: list[Measurement]) -> AsyncIterator[dict[str, Any]]:
        """Run the first one; yields its progress if it is slow, and "redraw" for better estimates."""
        measurement, looked, drawn = todo[0], 0.0, 0.0
        steps, slow = measurement.steps(), sum(m.seconds for m in todo) > SLOW
        reached = measurement.reached
        done = await on_model_thread(self._step, visit, measurement, steps)
        clock = Clock(measurement, done or 0)  # one that was cancelled continues where it was
        while done is not None:
            if measurement.reached > reached and time.monotonic() - drawn > REDRAW:
                reached, drawn = measurement.reached, time.monotonic()
                yield {"redraw": next(_turn)}
            if slow and time.monotonic() - looked > REFRESH:
                looked = time.monotonic()
                yield {"wait": _wait(measurement, done, clock.left(done), len(todo) - 1)}
            done = await on_model_thread(self._step, visit, measurement, steps)
            slow = slow or (done is not None and clock.left(done) > SLOW)

    def _step(self, visit: Session, measurement: Measurement, steps: Iterator[int]) -> int | None:
        """Run one step: the number of steps done; None at the end, after a failure, or if it should no longer run."""
        try:
            done = next(steps, None)
        except Exception as error:
            log.exception("%s failed", measurement.label)
            visit.stopped[measurement.key] = f"{error}." if isinstance(error, ValueError) else BROKEN
            return None
        if done is None and (view := visit.requested.pop(measurement.key, None)):
            # the click also starts the next measurements of the view, even those too long to start automatically
            visit.requested |= {other.key: view for other in self._needs(visit, view) if not other.on_request}
        still_needed = any(other.key == measurement.key for other in self.to_run(visit))
        if done is None and still_needed:
            visit.stopped[measurement.key] = BROKEN  # without a result, it would run again and again
        return done if still_needed else None

    def _act(self, visit: Session, event: Mapping[str, Any]) -> Updates:
        """Change the session; returns the status: message, file to save, view to show."""
        messages, status = list[str](), dict[str, Any]()
        words = dict(event.get("words", {}))
        if "link" in event:
            words, visit.selection, visit.pinned = from_query(str(event["link"])), self.first, None
            words.pop("network", None)  # opened already, if possible
            if missing := [name for name, text in words.items() if DIGEST.fullmatch(text)]:
                words = {name: text for name, text in words.items() if name not in missing}
                messages.append(missing_values(missing))
            only = words.pop("only", "")
            name, chosen = now_at(self.scope, bare(words.pop("view", only)))
            lens, view = self.named.get(name, (None, None))
            if lens in self.lenses and view:
                place = element_id(lens, view)
                status |= {"only": place} if only else {"go": place}
                words = {**chosen, **words, "lens": lens.id}
            elif name:
                messages.append(f"There is no view {name!r} here.")
            visit.only = status.setdefault("only", "")
        elif "view" in event:
            words = dict(self._picked(visit, event))
        words = {str(name): str(text) for name, text in words.items()}
        if visit.photo and not words.keys().isdisjoint(WORDS):
            framing = {name: words.pop(name) for name in WORDS if name in words}
            self._place(visit, visit.photo.with_crop(framing))
        if "link" in event or {"picture", "sample"} & words.keys():
            visit.photo = None
        if "photo" in event:
            self._place(visit, event["photo"])
            words.pop("picture", None)
        if not words.keys().isdisjoint(option.name for option in self.specimen.all_options) and "view" in event:
            status["go"] = element_id(self.specimen, self.specimen.views[0])
        pinned = words.pop("pin", None)
        if words or "link" in event:
            visit.started.clear()
            visit.selection, wrong = change(self.scope, self.page, visit.selection, words)
            messages += wrong
        if pinned == pin.SWAP and visit.pinned:
            status["follow"] = pin.swapped(self, visit.pinned, visit.selection)
        elif pinned is not None:
            messages += self._pin(visit, pinned)
        if event.get("stop"):
            visit.stopped |= dict.fromkeys((m.key for m in self.to_run(visit)), "Cancelled.")
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
        return status | {"message": " ".join(messages)}

    def _pin(self, visit: Session, text: str) -> list[str]:
        """Pin the selection of a link, the current one, or none; returns messages."""
        if text == pin.HERE:
            visit.pinned = Pinned(self, visit.selection)
        elif text == pin.CLASS and visit.pinned:
            try:
                visit.pinned = pin.of_class(visit.pinned, self.scope.classes[visit.selection.target])
            except ValueError as error:
                return [f"The pinned selection stays: {message(error)}."]
        elif not text:
            visit.pinned = None
        else:
            try:
                visit.pinned, messages = pin.parse(text, self._network(pin.network_of(text, self.name)))
            except (ValueError, OSError, MemoryError) as error:
                return [f"The pinned selection is not shown: {message(error)}."]
            return messages
        return []

    def _network(self, name: str) -> Lenses:
        """The views of a network. Raises ValueError if it is not open."""
        if name == self.name:
            return self
        if self._beside is None:
            raise ValueError(f"{name} is not open here")
        return self._beside(name)

    def _place(self, visit: Session, photo: Photo | None) -> None:
        """Select a visitor's own photo; None: it was removed, but the picture stays selected."""
        visit.photo = photo
        visit.started.clear()
        if photo is not None:
            visit.selection = show(self.scope, visit.selection, photo.picture(self.scope.grid.image_size))

    def _measure_at_once(self, visit: Session) -> None:
        """Run the measurements that take less than `INSTANT` in all."""
        left = INSTANT
        while (todo := self.to_run(visit)) and todo[0].seconds <= left:
            left -= todo[0].seconds
            steps = todo[0].steps()
            while self._step(visit, todo[0], steps) is not None:
                pass

    def _updates(self, visit: Session, status: Updates) -> Updates:
        """The changed values. status: its values so far; without a message, the current one stays"""
        self._measure_at_once(visit)
        updates = self.refresh(visit)
        waits = self.to_run(visit)
        status = status | {"link": self._address(visit).query, "running": bool(waits) and not visit.measuring}
        if not waits:
            status["wait"] = None
        return updates | {STATUS: status}

    def _address(self, visit: Session) -> Address:
        return Address.of(pin.link(self, visit.pinned, visit.selection))

    def _picked(self, visit: Session, event: Mapping[str, Any]) -> Params:
        """The parameters that a click on a figure selects; empty for a point without a meaning."""
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
        pinned = self._pinned_for(visit, name)
        if pinned is None:
            text = csv_of(self.scope, selection, view, self.settings[name], numbers)
        else:
            text = self._both(pinned, name, selection, numbers)
        return {"name": f"{file_name(self.scope, selection, view)}.csv", "text": text}

    def _both(self, pinned: Pinned, name: str, selection: Selection, numbers: Numbers) -> str:
        """The CSV text of a view with the pinned numbers: as columns beside its own, or after them."""
        there, view = pinned.lenses, pinned.lenses.views[name]
        other = view.draw(there.scope, pinned.selection).numbers
        both = other and numbers.beside(other)
        now = csv_of(self.scope, selection, self.views[name], self.settings[name], both or numbers)
        of_pinned = other and csv_of(there.scope, pinned.selection, view, there.settings[name], other)
        if both:
            return f"# {pin.captions(pinned, self, name, selection)[0]}\n{now}"
        return f"{now}\n# pinned\n{of_pinned}" if of_pinned else now

    def _depends(self, visit: Session, name: str) -> Hashable:
        pinned, needs = self._pinned_for(visit, name), self._needs(visit, name)
        open_ends = frozenset((m.key, m.reached, visit.starts(m), visit.stopped.get(m.key)) for m in needs)
        # the captions of a comparison depend on the whole selection
        beside = (pinned, visit.selection) if pinned else visit.pinned is None
        return self.views[name].depends(self.scope, visit.selection), beside, open_ends, self._offering(visit, name)

    def _value(self, visit: Session, name: str) -> dict[str, Any]:
        """The value of a view for `view.js`."""
        selection, view = visit.selection, self.views[name]
        drawn = drawn_or_words(self.scope, view, selection)
        needs, pinned = self._needs(visit, name), self._pinned_for(visit, name)
        facts = facts_of(self.scope, selection, self.settings[name])
        return {
            **_shown(drawn),
            "difference": None,
            "note": "",
            "own": False,
            "beside": "",
            "which": "" if pinned else self._alone(visit, name),
            "pinned": None,
            "alt": in_place(view, drawn),
            "name": file_name(self.scope, selection, view),
            "python": self._address(visit).short(
                as_python(self.scope, self.page, self.full_names[name], view, selection)
            ),
            "facts": " · ".join(f"{name}: {fact}" for name, fact in facts.items()),
            "set": {option.name: option_text(option, selection) for option in view.options},
            "counted": drawn.numbers is not None,
            "waiting": any(map(visit.starts, needs)),
            "measure": self._offer(visit, name),
        } | (self._beside_it(pinned, name, visit, drawn) if pinned else {})

    def _alone(self, visit: Session, name: str) -> str:
        """The reason why a view is not shown beside its pinned one; empty without a pin."""
        if visit.pinned is None or self.lens_of[name] is None:
            return ""
        return pin.SAME if name in visit.pinned.lenses.views else pin.ABSENT

    def _beside_it(self, pinned: Pinned, name: str, visit: Session, drawn: Drawn) -> dict[str, Any]:
        """The value of a view beside its pinned one: panes of the pinned selection and of the difference, captions.

        drawn: the view of the current selection
        """
        there, view = pinned.lenses, pinned.lenses.views[name]
        before, now = pin.captions(pinned, self, name, visit.selection)
        other = drawn_or_words(there.scope, view, pinned.selection)
        apart, reason = pin.difference(other, drawn)
        python = as_python(there.scope, there.page, there.full_names[name], view, pinned.selection)
        return {
            "which": now,
            "pinned": _pane(view, other, before),
            "difference": apart and _pane(view, apart, "Now minus pinned"),
            "note": reason,
            "own": SCALE.value(visit.selection) == "own",
            "beside": "\n# pinned\n" + self._address(visit).short(python.partition("\n\n")[2]),
        }


def _shown(drawn: Drawn) -> dict[str, Any]:
    figure = drawn.figure.to_json() if drawn.figure is not None else None
    return {"figure": figure, "html": drawn.html, "words": drawn.words}


def _pane(view: View, drawn: Drawn, which: str) -> dict[str, Any]:
    return _shown(drawn) | {"which": which, "alt": f"{which}. {in_place(view, drawn)}"}


def _offer(visit: Session, waiting: Sequence[Measurement]) -> str:
    """HTML: the button *Measure* with names, duration and messages; empty if no measurement waits."""
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
