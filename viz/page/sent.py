"""A picture that another program sends: a file that it uploaded, base64, or, where the server allows it, an address."""

import asyncio
import json
import re
import socket
from base64 import b64decode
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import gradio as gr
import httpx
from gradio.utils import get_upload_folder
from safehttpx import AsyncSecureTransport

from mixer.picture import Decoded, Framing, Unreadable, crop_box, decode
from viz.attribution.asked import MANY
from viz.page.photo import Photo
from viz.page.upload import NOT_FETCHED, Refused, is_address, read

Sent = gr.FileData | str | None
SentMany = list[gr.FileData | str] | None

NOTHING = "There is no picture."
SEVERAL = "One picture at a time: these are {}. Ask once for each, or attribute_many for the attributions of all."
TOO_MANY = "At most {} pictures at a time: these are {}."
NO_BASE64 = "This text is no picture. Upload the picture as a file, or send it in base64."
NOT_PUBLIC = "This address is not on the public internet, so this server fetches nothing from it."
NOT_THERE = "Nothing could be fetched from this address. Check it, or send the picture itself."
NOT_GIVEN = "This address gave no picture (status {}). Redirects are not followed: give the picture's own address."
TOO_LONG = "The picture at this address has more than {} MB. Send a smaller one."
DATA_URL = re.compile(r"\s*data:[^,]*;base64,", re.IGNORECASE)
MAX_MEGABYTES = 50
SECONDS = 10


async def taken_from(sent: object, size: tuple[int, int], fetch: bool) -> tuple[bytes, list[str]]:
    """What the network gets of a picture, the same as on the page, and what there is to say about it, in sentences.

    sent: as it came, whatever it was said to be. size: (height, width) of the network's pictures. fetch: whether
    addresses on the public internet are allowed.
    Raises Refused, in words, for what is no picture.
    """
    if isinstance(sent, str) and fetch and sent.strip().lower().startswith(("http:", "https:")):
        sent = await _fetched(sent.strip())
    return await asyncio.to_thread(_taken, sent, size)


async def all_taken_from(sent: object, size: tuple[int, int], fetch: bool) -> list[tuple[bytes, list[str]]]:
    """As `taken_from`, of up to `MANY` pictures: a list, or the text of one. A single picture is taken, too."""
    if isinstance(sent, str) and sent.lstrip()[:1] == "[":
        with suppress(ValueError, RecursionError):
            sent = json.loads(sent)
    pictures = sent if isinstance(sent, list) else [] if sent is None else [sent]
    if not pictures:
        raise Refused(NOTHING)
    if len(pictures) > MANY:
        raise Refused(TOO_MANY.format(MANY, len(pictures)))
    found = list[tuple[bytes, list[str]]]()
    try:
        for picture in pictures:
            found.append(await taken_from(picture, size, fetch))
    except Refused as error:
        raise Refused(f"Of the pictures, number {len(found) + 1}: {error.message}") from error
    return found


def _taken(sent: object, size: tuple[int, int]) -> tuple[bytes, list[str]]:
    decoded = _decoded(sent)
    notes, (width, height) = list(decoded.notes), decoded.image.size
    left, top, right, bottom = crop_box(decoded.image.size, size, Framing())
    if (right - left, bottom - top) != (width, height):
        notes.append(
            f"The network gets the middle of it: {right - left} x {bottom - top} of {width} x {height} pixels."
        )
    return Photo.of(decoded).picture(size), notes


def _decoded(sent: object) -> Decoded:
    if isinstance(sent, str) and sent.lstrip()[:1] in ("[", "{"):  # what some programs make of a list or a file
        with suppress(ValueError, RecursionError):
            sent = json.loads(sent)
    if sent is None or sent == "" or sent == []:
        raise Refused(NOTHING)
    if isinstance(sent, list):
        if len(sent) > 1:
            raise Refused(SEVERAL.format(len(sent)))
        (sent,) = sent
    if isinstance(sent, (str, bytes)):
        return _of_content(sent)
    return read(sent.get("path") if isinstance(sent, dict) else None, get_upload_folder())


def _of_content(sent: str | bytes) -> Decoded:
    if is_address(sent):
        raise Refused(NOT_FETCHED)
    try:
        data = sent if isinstance(sent, bytes) else b64decode("".join(DATA_URL.sub("", sent, 1).split()), validate=True)
    except ValueError as error:
        raise Refused(NO_BASE64) from error
    try:
        return decode(data)
    except Unreadable as error:
        raise Refused(str(error)) from error


async def _fetched(address: str) -> bytes:
    """What is at an address of the public internet. Its name is resolved once, so that it cannot change in between."""
    try:
        host = httpx.URL(address).host
        found: list[Any] = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        numbers = [place[4][0] for place in found]
        if not all(ip_address(number).is_global for number in numbers):
            raise Refused(NOT_PUBLIC)
        transport = AsyncSecureTransport(numbers[0])
        async with (
            httpx.AsyncClient(transport=transport, timeout=SECONDS, trust_env=False) as client,
            client.stream("GET", address) as answer,
        ):
            if answer.status_code != 200:
                raise Refused(NOT_GIVEN.format(answer.status_code))
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_MEGABYTES * 2**20:
                    raise Refused(TOO_LONG.format(MAX_MEGABYTES))
            return bytes(content)
    except Refused:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Refused(NOT_THERE) from error
