"""Further networks beside the first: each has a page of its own, /networks/NAME/, made when it is first asked for.

A page has the shape of its network: its patches, depths, classes and units. So another network is another page, with
endpoints of its own, and the link goes along: what it says is chosen there, as far as it is there.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from html import escape
from pathlib import Path
from string import Template
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import gradio as gr
from cachetools import LRUCache, cachedmethod
from fastapi import FastAPI
from gradio.routes import mount_gradio_app
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from mixer.errors import message
from mixer.networks import LocalNetwork, present
from viz.lenses.all import Lenses
from viz.measuring import on_model_thread
from viz.microscope import Microscope
from viz.page.app import build
from viz.page.instrument import Instrument

PATH = "/networks"
MAX_OPEN = 4
"""networks in memory beside the first; one more takes the place of the one that was looked at longest ago"""
PAGE = Path(__file__).with_name("networks.html")
CLOSED = "This server opens only the networks that are listed here."
LOCAL = ("127.0.0.1", "localhost", "::1")
"""what this machine calls itself"""
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host"}
"""headers of a proxy"""

Open = tuple[ASGIApp, AsyncExitStack]
"""a page, and what ends it"""


class Networks:
    """What answers under /networks: the list, and the page of each network (ASGI)."""

    def __init__(
        self,
        first: str,
        look: dict[str, Any],
        hub: Collection[str] | None = None,
        pictures: Mapping[str, Any] | None = None,
    ):
        """first: the source of the network on the server's first page

        look: how a page is dressed, for `gradio.mount_gradio_app`
        hub: ids of models on the Hub that may be opened beside what is present. None: whatever a visitor names, folders
            of this machine included; for a server that nobody else can reach
        pictures: where those are that each network is shown with, for `Microscope.load`
        """
        path = Path(first).resolve()
        named = (one for one in present() if Path(one.source) in (path, path.parent))  # now: a run goes on
        self._first, self._hub = next(named, LocalNetwork(first, first, "")), hub
        self._pictures = pictures or {}
        self._look = look | {"mcp_server": False}  # the tools of other programs ask the first page's network
        self._named = {name_of(source): source for source in hub or ()}
        self._here: Lenses | None = None
        self._instruments: LRUCache[str, Instrument] = LRUCache(MAX_OPEN)
        self._lock = Lock()
        self._open: dict[str, Open] = {}
        self._opening = asyncio.Lock()

    def build(self, scope: Microscope, fetch: bool = False) -> gr.Blocks:
        """The first page. fetch: as for `viz.page.app.build`"""
        self._here = here = Instrument(scope, self._first.name, self.lenses)
        return build(here, fetch)

    def lenses(self, name: str) -> Lenses:
        """The views of a network, to be shown beside another's. Raises ValueError, in words, where it is not here.

        A model of the Hub's has to be open: it would take long to fetch.
        """
        if self._here and name == self._here.name:
            return self._here
        sources = {one.name: one.source for one in present()}
        if name not in self._instruments and name not in sources:
            raise ValueError(f"{name} is not open here: choose it under Network first")
        return self._instrument(name, sources.get(name, ""))

    @cachedmethod(lambda self: self._instruments, lambda self, name, source: name, lambda self: self._lock)
    def _instrument(self, name: str, source: str) -> Instrument:
        """Of one of the further networks."""
        return Instrument(Microscope.load(source, **self._pictures), name, self.lenses)

    @property
    def routes(self) -> list[Mount]:
        """For the app of the first page."""
        return [Mount(PATH, app=self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request: for the list, for the page of a network, or to open one."""
        name, slash, rest = scope["path"].partition(f"{PATH}/")[2].partition("/")
        request = Request(scope, receive)
        answer: Response | ASGIApp
        if name == "list.json":
            answer = JSONResponse(await asyncio.to_thread(self.listed))
        elif not name:
            answer = await (self._asked(request) if request.method == "POST" else self._list(request))
        elif not slash:
            answer = RedirectResponse(f"{quote(name)}/?{request.url.query}".rstrip("?"))
        else:
            try:
                answer = await self._page(name)
                scope = {**scope, "path": f"/{rest}", "raw_path": quote(f"/{rest}").encode()}
            except (ValueError, OSError, MemoryError) as error:
                answer = await self._list(request, message(error), source_of(name))
        await answer(scope, receive, send)

    def listed(self) -> list[dict[str, str]]:
        """The networks to choose from, the first page's first: names, addresses, and how good each is."""
        here = {one.name: one for one in present() if one.name != self._first.name}
        rows = [(self._first.name, "", self._first.words)]
        rows += [(name, f"networks/{quote(name)}/", one.words) for name, one in here.items()]
        rows += [(source, f"networks/{name}/", "") for name, source in self._named.items() if name not in here]
        return [dict(zip(("name", "address", "words"), row, strict=True)) for row in rows]

    async def _page(self, name: str) -> ASGIApp:
        """The page of a network. Raises ValueError, OSError or MemoryError, in words, where there is none."""
        if name not in self._open:
            async with self._opening:
                if name not in self._open:
                    await self._load(name)
        self._open[name] = self._open.pop(name)  # looked at just now
        return self._open[name][0]

    async def _load(self, name: str) -> None:
        sources = self._named | {one.name: one.source for one in await asyncio.to_thread(present)}
        if name not in sources:
            raise ValueError(f"{source_of(name)} is not open here")
        while len(self._open) >= MAX_OPEN:
            _, oldest = self._open.pop(next(iter(self._open)))
            await oldest.aclose()
        network = await asyncio.to_thread(self._instrument, name, sources[name])
        around = FastAPI()
        path = f"{os.environ.get('GRADIO_ROOT_PATH', '')}{PATH}/{name}"
        mount_gradio_app(around, await on_model_thread(build, network), "/page", root_path=path, **self._look)
        running = AsyncExitStack()
        await running.enter_async_context(around.router.lifespan_context(around))
        (page,) = (route.app for route in around.routes if isinstance(route, Mount))
        self._open[name] = page, running

    async def _asked(self, request: Request) -> Response:
        """Open the network that a visitor named, and lead to its page."""
        source = str((await request.form()).get("source", "")).strip()
        name = name_of(source)
        if not self._may_open(request) or not _from_here(request):
            return await self._list(request, CLOSED, source)
        new = name not in self._named
        self._named[name] = source
        try:
            await self._page(name)
        except (ValueError, OSError, MemoryError) as error:
            if new:
                del self._named[name]
            return await self._list(request, message(error), source)
        return RedirectResponse(f"{name}/?{request.url.query}".rstrip("?"), 303)

    async def _list(self, request: Request, said: str = "", source: str = "") -> Response:
        """The list as a page, with a place to open others. said: what went wrong; with what source"""
        up = "../" * request.url.path.partition(f"{PATH}/")[2].count("/")  # to where the list is
        link = escape(f"?{request.url.query}".rstrip("?"))
        rows = "".join(
            f"<li><a href='{up}../{escape(row['address'])}{link}'>{escape(row['name'])}</a> {escape(row['words'])}</li>"
            for row in await asyncio.to_thread(self.listed)
        )
        may, hidden = self._may_open(request), {True: "", False: "hidden"}
        words = {"said": escape(said), "rows": rows, "source": escape(source), "closed": CLOSED}
        words["action"] = f"{up}./{link}"
        html = Template(PAGE.read_text(encoding="utf-8")).substitute(words, form=hidden[may], words=hidden[not may])
        return HTMLResponse(html, 404 if said else 200)

    def _may_open(self, request: Request) -> bool:
        """Whether this visitor may name a network: not who comes through a proxy, or by a name of somebody else's."""
        return self._hub is None and request.url.hostname in LOCAL and FORWARDED.isdisjoint(request.headers)


def name_of(source: str) -> str:
    """A source as a part of an address: `owner/name` is `owner~2Fname`."""
    return quote(source, safe="").replace("~", "%7E").replace("%", "~")


def source_of(name: str) -> str:
    return unquote(name.replace("~", "%"))


def _from_here(request: Request) -> bool:
    """Whether a page of this server asks, or a program; not the page of another server in the visitor's browser."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
