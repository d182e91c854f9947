"""The networks of a server. A link says which one it shows: `network=NAME`; without it, the first.

All share one page. Where a link leads to another network than the one that is shown, the answer brings the markup that
depends on the network (`app.py`).
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from mixer.errors import message
from mixer.networks import LocalNetwork, present
from viz.microscope import Microscope
from viz.page.instrument import Instrument
from viz.page.pin import network_of
from viz.selection import bare, from_query, to_query

MAX_OPEN = 4
"""networks in memory beside the first; one more takes the place of the one that was used longest ago"""
CLOSED = "This server opens only the networks of its list"
UNKNOWN = "there is no network {} here"
LOCAL = ("127.0.0.1", "localhost", "::1")
"""what this machine calls itself"""
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host"}
"""headers of a proxy"""
ERRORS = (ValueError, OSError, MemoryError)
"""what opening a network raises, in words"""


class Networks:
    """The networks that visitors and programs may use."""

    def __init__(
        self,
        source: str,
        scope: Microscope,
        hub: Collection[str] | None = None,
        pictures: Mapping[str, Any] | None = None,
    ):
        """source: the first network's

        hub: ids of models on the Hub that may be opened beside what is present. None: whatever a visitor names, folders
            of this machine included; for a server that nobody else can reach
        pictures: where those are that each network is shown with, for `Microscope.load`
        """
        path = Path(source).resolve()
        found = (one for one in present() if Path(one.source) in (path, path.parent))  # now: a run goes on
        self._first, self._hub = next(found, LocalNetwork(source, source, "")), hub
        self.first = Instrument(scope, self._first.name, self.opened)
        self._named, self._pictures = set(hub or ()), pictures or {}
        self._open: LRUCache[str, Instrument] = LRUCache(MAX_OPEN)
        self._loading = asyncio.Lock()

    def opened(self, name: str) -> Instrument:
        """The network of this name, if it is in memory. Raises ValueError, in words, for others."""
        if name in ("", self.first.name):
            return self.first
        if name not in self._open:
            raise ValueError(UNKNOWN.format(name))
        return self._open[name]

    async def load(self, name: str) -> Instrument:
        """The network of this name, loaded if need be. Raises ValueError, OSError or MemoryError, in words."""
        with suppress(ValueError):
            return self.opened(name)
        async with self._loading:  # so that none is loaded twice
            sources = {one: one for one in self._named}
            sources |= {one.name: one.source for one in await asyncio.to_thread(present)}
            found = next((each for each in (name, bare(name)) if each in sources), None)
            if found is None:
                here = ", ".join(one["name"] for one in await asyncio.to_thread(self.listed))
                raise ValueError(f"{UNKNOWN.format(name)}; the networks are {here}")
            if found not in self._open:
                scope = await asyncio.to_thread(Microscope.load, sources[found], **self._pictures)
                self._open[found] = Instrument(scope, found, self.opened, further=True)
            return self._open[found]

    async def add(self, source: str) -> Instrument:
        """As `load`, of any source, which is listed from now on."""
        new = source not in self._named
        self._named.add(source)
        try:
            return await self.load(source)
        except ERRORS:
            if new:
                self._named.remove(source)
            raise

    async def for_link(self, event: Mapping[str, Any], may_open: bool) -> tuple[Instrument, str]:
        """The network that an event with a link asks for; else the one that is shown, and a sentence why."""
        words = from_query(str(event["link"]))
        try:
            if "open" not in event:
                found = await self.load(words.get("network", ""))
            elif may_open:
                found = await self.add(str(event["open"]).strip())
            else:
                raise ValueError(CLOSED)
        except ERRORS as error:
            return self.shown(event) or self.first, f"{message(error)}."
        if "pin" in words:
            with suppress(*ERRORS):  # the instrument says what is wrong with it
                await self.load(network_of(words["pin"], found.name))
        return found, ""

    def shown(self, event: Mapping[str, Any]) -> Instrument | None:
        """The network that an event comes from; None where it is no longer in memory."""
        with suppress(ValueError):
            return self.opened(str(event.get("network", "")))
        return None

    def listed(self) -> list[dict[str, str]]:
        """The networks to choose from, the first one first: the name of each, and how good it is."""
        here = {one.name: one.words for one in present()}
        rest = {name: words for name, words in here.items() if name != self._first.name}
        names = {self._first.name: self._first.words} | rest | dict.fromkeys(sorted(self._named - here.keys()), "")
        return [{"name": name, "words": words} for name, words in names.items()]

    def may_open(self, request: Request | gr.Request) -> bool:
        """Whether this visitor may name a network.

        Not who comes through a proxy, or by a name of somebody else's, or from another server's page.
        """
        origin = request.headers.get("origin")
        from_here = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        private = self._hub is None and request.url.hostname in LOCAL and FORWARDED.isdisjoint(request.headers)
        return private and from_here


def moved(request: Request) -> RedirectResponse:
    """From an address of November 2026, such as `/networks/NAME/?patch=1,1`, to the link that shows the same."""
    path = request.path_params["path"]
    name = unquote(path.partition("/")[0].replace("~", "%"))
    words = {"network": name} | from_query(request.url.query)
    return RedirectResponse(f"{'../' * (1 + path.count('/'))}?{to_query(words)}")


ROUTES = [Route("/networks/{path:path}", moved)]
"""for the app of the page"""
