"""A picture from another program: an uploaded file, base64, or an address if the server allows addresses."""

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
from viz.attribution.query import MANY
from viz.page.photo import Photo
from viz.page.upload import NOT_FETCHED, Refused, is_address, read

Sent = gr.FileData | str | None
SentMany = list[gr.FileData | str] | None

NOTHING = "There is no picture."
SEVERAL = "One picture at a time: these are {}. Send a request for each, or use attribute_many for attributions."
TOO_MANY = "At most {} pictures at a time: these are {}."
NO_BASE64 = "This text is not a picture. Upload the picture as a file, or send it in base64."
NOT_PUBLIC = "This address is not on the public internet, so this server does not use it."
NOT_THERE = "The download from this address failed. Check it, or send the picture itself."
NOT_GIVEN = "The download of the picture failed (status {}). Redirects are not followed: send its final address."
TOO_LONG = "The picture at this address has more than {} MB. Send a smaller one."
DATA_URL = re.compile(r"\s*data:[^,]*;base64,", re.IGNORECASE)
MAX_MEGABYTES = 50
SECONDS = 10


async def read_picture(sent: object, size: tuple[int, int], fetch: bool) -> tuple[bytes, list[str]]:
    """The input of the network, cropped and resized as on the page, and messages about changes.

    sent: an untrusted value of any type. size: (height, width) of the network's pictures. fetch: whether addresses on
    the public internet are allowed. Raises Refused with a message if it is not a picture.
    """
    if isinstance(sent, str) and fetch and sent.strip().lower().startswith(("http:", "https:")):
        sent = await _fetched(sent.strip())
    return await asyncio.to_thread(_taken, sent, size)


async def read_pictures(sent: object, size: tuple[int, int], fetch: bool) -> list[tuple[bytes, list[str]]]:
    """`read_picture` for up to `MANY` pictures: a list, a list as JSON text, or a single picture."""
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
            found.append(await read_picture(picture, size, fetch))
    except Refused as error:
        raise Refused(f"Of the pictures, number {len(found) + 1}: {error.message}") from error
    return found


def _taken(sent: object, size: tuple[int, int]) -> tuple[bytes, list[str]]:
    decoded = _decoded(sent)
    notes, (width, height) = list(decoded.notes), decoded.image.size
    left, top, right, bottom = crop_box(decoded.image.size, size, Framing())
    if (right - left, bottom - top) != (width, height):
        notes.append(
            f"The network gets the centre of the picture: {right - left} x {bottom - top} of {width} x {height} pixels."
        )
    return Photo.of(decoded).picture(size), notes


def _decoded(sent: object) -> Decoded:
    if isinstance(sent, str) and sent.lstrip()[:1] in ("[", "{"):  # some programs send lists and files as JSON text
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
    """Download from the public internet. The host name is resolved once, so it cannot change after the check."""
    try:
        host = httpx.URL(address).host
        found: list[Any] = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        numbers = [address[4][0] for address in found]
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
