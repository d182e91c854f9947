"""What one visitor looks at, and what of it is on the page."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from viz import measuring
from viz.measuring import Measurement
from viz.page.photo import Photo
from viz.page.pin import Pinned
from viz.selection import Selection


class Session:
    """It changes in place, so that a measurement that is under way sees what is wanted now."""

    def __init__(self, selection: Selection):
        self.selection = selection
        self.only = ""
        """the element of the view that is alone on the page, as in the page of somebody else"""
        self.pinned: Pinned | None = None
        """what is kept beside it"""
        self.photo: Photo | None = None
        """the visitor's own photo, while it is the picture"""
        self.sent: dict[str, Hashable] = {}
        """for the id of each part of the page, what it depended on when it was sent"""
        self.requested: dict[Hashable, str] = {}
        """measurements that the visitor started, each with the view that needs it"""
        self.started: dict[Hashable, float] = {}
        """measurements that started by themselves since the visitor's last choice, and the seconds they may take"""
        self.stopped: dict[Hashable, str] = {}
        """measurements that the visitor cancelled or that failed, with the words for it"""
        self.measuring = False
        """whether a run is under way"""

    def starts(self, measurement: Measurement) -> bool:
        """Whether it is to be made now: it was asked for, or it starts by itself and is within the `BUDGET`.

        Of an estimate that is not within it, the first result may be.
        """
        key = measurement.key
        if key in self.stopped or measurement.on_request:
            return key in self.requested and key not in self.stopped
        parts = [(key, measurement.seconds)]
        if measurement.first is not None and not measurement.reached:
            parts.append(((key, "first"), measurement.first))
        for part, seconds in parts:
            if sum((self.started | {part: seconds}).values()) <= measuring.BUDGET:
                self.started[part] = seconds
            if part in self.started:
                return True
        return key in self.requested


@dataclass(frozen=True, eq=False)
class Element:
    """An element of the page that shows something of the selection."""

    element: str
    sees: Callable[[Session], Hashable]
    """all that its value depends on"""
    value: Callable[[Session], Any]
    lens: str | None = None
    """the lens that it stands in; None: always on the page"""
