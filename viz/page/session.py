"""The state of one visitor: the selection, and what was sent of the page."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from viz import measuring
from viz.measuring import Measurement
from viz.page.photo import Photo
from viz.page.pin import Pinned
from viz.selection import Selection


class Session:
    """Changed in place, so that a running measurement sees the current selection."""

    def __init__(self, selection: Selection):
        self.selection = selection
        self.only = ""
        """the element of the only view on the page, if it is embedded in another page"""
        self.pinned: Pinned | None = None
        """the pinned selection"""
        self.photo: Photo | None = None
        """the visitor's own photo, while it is the selected picture"""
        self.sent: dict[str, Hashable] = {}
        """by element: what its value depended on when it was sent"""
        self.requested: dict[Hashable, str] = {}
        """keys of the measurements that the visitor started, each with the view that needs it"""
        self.started: dict[Hashable, float] = {}
        """keys of the measurements that started automatically since the last selection, each with the number of steps
        until its end or its next result, and the estimated seconds"""
        self.stopped: dict[Hashable, str] = {}
        """keys of the measurements that were cancelled or failed, with a message"""
        self.measuring = False
        """whether `Instrument.run` is active"""

    def starts(self, measurement: Measurement) -> bool:
        """Whether a measurement should run now: it was requested, or it starts automatically within the `BUDGET`.

        Of a longer estimate, as many results start automatically as the budget has time for.
        """
        key = measurement.key
        if key in self.stopped or measurement.on_request:
            return key in self.requested and key not in self.stopped
        for end in (measurement.total, measurement.milestone):
            seconds = measurement.until(end)
            if (key, end) not in self.started and sum(self.started.values()) + seconds <= measuring.BUDGET:
                self.started[key, end] = seconds
            if (key, end) in self.started:
                return True
        return key in self.requested


@dataclass(frozen=True, eq=False)
class Element:
    """An element of the page whose value depends on the session."""

    element: str
    sees: Callable[[Session], Hashable]
    """everything that its value depends on"""
    value: Callable[[Session], Any]
    lens: str | None = None
    """the lens that contains it; None: always on the page"""
