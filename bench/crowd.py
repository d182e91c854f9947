"""Memory with many visitors: 16 clients that change selections and classify pictures."""

import asyncio
import json
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
from PIL import Image

from bench.measure import Ratio
from bench.server import served
from mixer.data import CLASSES

CLIENTS = 16
LENSES = ("how", "tokens", "mixing.units", "mixing.unit", "attribution")
DEPTHS = ("stem", "1a", "6b", "12b")
TIMEOUT = 600
"""seconds for an answer, including the queue"""


def crowd(early: int = 50, late: int = 500) -> Iterator[Ratio]:
    """Memory of the app after `late` requests, relative to `early` requests."""
    with served() as (url, process):
        before, after = asyncio.run(_memory(url, process, (early, late)))
    note = f"{before:.2f} and {after:.2f} GB"
    name = f"memory of the app after {late} mixed requests of {CLIENTS} clients, against after {early}"
    yield Ratio(name, after / before, 1.1, False, note)


async def _memory(url: str, process: int, counts: tuple[int, ...]) -> list[float]:
    """Resident memory of the process in GB after these numbers of requests."""
    memory, done = [], 0
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as http:
        config = (await http.get("/config")).json()
        clients = [Client(http, config, random.Random(i)) for i in range(CLIENTS)]
        for total in counts:
            turns = iter(range(done, total))
            await asyncio.gather(*(_send(client, turns) for client in clients))
            memory.append(_resident(process))
            done = total
    return memory


async def _send(client: "Client", turns: Iterator[int]) -> None:
    for turn in turns:  # shared by all clients
        await client.request(turn)


class Client:
    """A visitor with a session that sends the requests of the page in a browser."""

    def __init__(self, http: httpx.AsyncClient, config: dict[str, Any], chance: random.Random):
        self._http, self._chance, self._session = http, chance, uuid4().hex
        self._functions = {function["api_name"]: function["id"] for function in config["dependencies"]}
        (self._wire,) = (one["id"] for one in config["components"] if one["props"].get("elem_id") == "wire")
        self._sender: dict[str, str] | None = None

    async def request(self, turn: int) -> None:
        """Classify a picture in odd turns; else change the selection and run its measurements."""
        if turn % 2:
            await self._ask("classify", [await self._upload()])
            return
        if self._sender is None:
            opened = await self._act({"link": "", "visitor": self._session})
            self._sender = {"visitor": self._session, "network": opened["status"]["network"]}
        answer = await self._act({"words": self._choice()} | self._sender)
        if answer["status"]["running"]:
            await self._ask("run", [None], self._sender)
            await self._act({"redraw": True} | self._sender)

    async def _act(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer to an event of the page."""
        body = {"session_hash": self._session, "component_id": self._wire, "fn_name": "act", "data": event}
        found: dict[str, Any] = (await self._http.post("/gradio_api/component_server", json=body)).json()
        if "status" not in found:
            raise RuntimeError(f"the page has no answer to {event}, but {found}")
        return found

    def _choice(self) -> dict[str, str]:
        pick = self._chance.choice
        sample, patch = self._chance.randrange(200), f"{self._chance.randrange(8)},{self._chance.randrange(4)}"
        return pick(
            (
                {"sample": str(sample)},
                {"patch": patch},
                {"class": pick(CLASSES)},
                {"depth": pick(DEPTHS)},
                {"lens": pick(LENSES)},
            )
        )

    async def _upload(self) -> dict[str, Any]:
        size = (self._chance.randrange(32, 1024), self._chance.randrange(32, 1024))
        file = BytesIO()
        Image.effect_noise(size, 80).convert("RGB").save(file, "JPEG")
        answer = await self._http.post("/gradio_api/upload", files={"files": ("photo.jpg", file.getvalue())})
        return {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}

    async def _ask(self, name: str, data: list[Any], event: dict[str, Any] | None = None) -> list[Any]:
        """The final result of a function of the app. Raises RuntimeError if it fails."""
        body = {
            "data": data,
            "event_data": event,
            "fn_index": self._functions[name],
            "session_hash": self._session,
        }
        (await self._http.post("/gradio_api/queue/join", json=body)).raise_for_status()
        query = urlencode({"session_hash": self._session})
        async with self._http.stream("GET", f"/gradio_api/queue/data?{query}") as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(f"{name} failed: {message['output']}")
                    found: list[Any] = message["output"]["data"]
                    return found
        raise RuntimeError(f"{name} did not answer")


def _resident(process: int) -> float:
    """Resident memory of a process in GB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) * 1024 / 1e9
