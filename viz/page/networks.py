"""The networks of a server. A link selects one with `network=NAME`; without it, the first.

All share one page. The answer to a link to another network contains the markup that depends on the network (`app.py`).
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
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
from viz.measuring import on_model_thread
from viz.microscope import Microscope
from viz.page.instrument import Instrument
from viz.page.pin import network_of
from viz.selection import bare, from_query, to_query

MAX_OPEN = 4
"""maximum number of networks in memory in addition to the first; the least recently used one is closed"""
CLOSED = "This server opens only the networks in its list"
UNKNOWN = "there is no network {} here"
LOCAL = ("127.0.0.1", "localhost", "::1")
"""host names of this machine"""
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host"}
"""headers that a proxy adds"""
ERRORS = (ValueError, OSError, MemoryError)
"""errors of opening a network, with a message for visitors"""


class Networks:
    """The networks that visitors and programs may use."""

    def __init__(
        self,
        source: str,
        scope: Microscope,
        hub: Collection[str] | None = None,
        pictures: Mapping[str, Any] | None = None,
    ):
        """source: the first network

        hub: ids of models on the Hub that may be opened in addition to local networks. None: visitors may open any
            model and any folder of this machine; only for servers that no other machine can reach
        pictures: arguments of `Microscope.load` that select the pictures of each network
        """
        path = Path(source).resolve()
        # resolved now, as a run may add checkpoints
        found = (one for one in present() if Path(one.source) in (path, path.parent))
        self._first, self._hub = next(found, LocalNetwork(source, source, "")), hub
        self.first = Instrument(scope, self._first.name, self.get)
        self._named, self._pictures = set(hub or ()), pictures or {}
        self._open: LRUCache[str, Instrument] = LRUCache(MAX_OPEN)
        self._loading = asyncio.Lock()

    def get(self, name: str) -> Instrument:
        """The network of this name in memory. Raises ValueError for others."""
        if name in ("", self.first.name):
            return self.first
        if name not in self._open:
            raise ValueError(UNKNOWN.format(name))
        return self._open[name]

    async def load(self, name: str) -> Instrument:
        """The network of this name, loaded if necessary. Raises one of `ERRORS`."""
        with suppress(ValueError):
            return self.get(name)
        async with self._loading:  # or two requests could load a network twice
            sources = {one: one for one in self._named}
            sources |= {one.name: one.source for one in await asyncio.to_thread(present)}
            found = next((each for each in (name, bare(name)) if each in sources), None)
            if found is None:
                here = ", ".join(one["name"] for one in await asyncio.to_thread(self.entries))
                raise ValueError(f"{UNKNOWN.format(name)}; the networks are {here}")
            if found not in self._open:
                scope = await asyncio.to_thread(Microscope.load, sources[found], **self._pictures)
                made = partial(Instrument, further=True)  # answers a picture
                self._open[found] = await on_model_thread(made, scope, found, self.get)
            return self._open[found]

    async def add(self, source: str) -> Instrument:
        """`load` for any source, which is then added to the list."""
        new = source not in self._named
        self._named.add(source)
        try:
            return await self.load(source)
        except ERRORS:
            if new:
                self._named.remove(source)
            raise

    async def for_link(self, event: Mapping[str, Any], may_open: bool) -> tuple[Instrument, str]:
        """The network of an event with a link; if it cannot be opened, the current one and a message."""
        words = from_query(str(event["link"]))
        try:
            if "open" not in event:
                found = await self.load(words.get("network", ""))
            elif may_open:
                found = await self.add(str(event["open"]).strip())
            else:
                raise ValueError(CLOSED)
        except ERRORS as error:
            return self.of_event(event) or self.first, f"{message(error)}."
        if "pin" in words:
            with suppress(*ERRORS):  # the instrument reports the error
                await self.load(network_of(words["pin"], found.name))
        return found, ""

    def of_event(self, event: Mapping[str, Any]) -> Instrument | None:
        """The network of the page that sent an event; None if it is no longer in memory."""
        with suppress(ValueError):
            return self.get(str(event.get("network", "")))
        return None

    def entries(self) -> list[dict[str, str]]:
        """The networks to choose from, the first one first: name, and test accuracy as a text."""
        here = {one.name: one.words for one in present()}
        rest = {name: words for name, words in here.items() if name != self._first.name}
        names = {self._first.name: self._first.words} | rest | dict.fromkeys(sorted(self._named - here.keys()), "")
        return [{"name": name, "words": words} for name, words in names.items()]

    def may_open(self, request: Request | gr.Request) -> bool:
        """Whether this visitor may open any network.

        Not through a proxy, by another host name, or from another server's page.
        """
        origin = request.headers.get("origin")
        from_here = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        private = self._hub is None and request.url.hostname in LOCAL and FORWARDED.isdisjoint(request.headers)
        return private and from_here


def redirect(request: Request) -> RedirectResponse:
    """Redirect an address of November 2026, such as `/networks/NAME/?patch=1,1`, to the current link."""
    path = request.path_params["path"]
    name = unquote(path.partition("/")[0].replace("~", "%"))
    words = {"network": name} | from_query(request.url.query)
    return RedirectResponse(f"{'../' * (1 + path.count('/'))}?{to_query(words)}")


ROUTES = [Route("/networks/{path:path}", redirect)]
"""routes of the app"""
