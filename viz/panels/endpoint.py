"""The endpoint /classify, for other programs: a picture, and how probable the network finds each class."""

import asyncio
import re
from base64 import b64decode
from typing import TypedDict

import gradio as gr
from gradio.context import Context
from gradio.utils import get_upload_folder

from mixer.picture import Decoded, Framing, Unreadable, decode, taken
from viz.microscope import Microscope
from viz.panels.photo import Photo
from viz.panels.upload import NOT_FETCHED, Refused, is_address, read
from viz.running import on_model_thread

NOTHING = "There is no picture to classify."
NO_BASE64 = "This text is no picture. Upload the picture as a file, or send it in base64."
DATA_URL = re.compile(r"\s*data:[^,]*;base64,", re.IGNORECASE)


class Confidence(TypedDict):
    label: str
    confidence: float


class Answer(TypedDict):
    label: str
    """the most probable class"""
    confidences: list[Confidence]
    """of all classes, the most probable first"""
    notes: list[str]
    """what was left out or changed of the picture, in sentences"""


def add(scope: Microscope) -> None:
    """Put the endpoint on the page that is being built."""

    async def classify(picture: gr.FileData | str | None = None) -> Answer:
        """Classify a picture.

        It is an uploaded file (handle_file of gradio_client uploads one) or base64, plain or as a data URL. The network
        gets what it gets on the page: the largest part of its own shape in the middle, in its own size.
        """
        # as it came, whatever it was said to be
        pixels, notes = await asyncio.to_thread(_taken, picture, scope.grid.image_size)
        return await on_model_thread(_answer, scope, pixels, notes)

    added = gr.api(classify, api_name="classify")
    for number, name in zip((*added["inputs"], *added["outputs"]), ("picture", "answer"), strict=True):
        Context.root_block.blocks[number].label = name  # in the documentation, where Gradio writes "1st"


def _taken(given: object, size: tuple[int, int]) -> tuple[bytes, list[str]]:
    """What the network gets of a picture, and what there is to say about it. Raises Refused for what is none."""
    decoded = _decoded(given)
    notes, (width, height) = list(decoded.notes), decoded.image.size
    left, top, right, bottom = taken(decoded.image.size, size, Framing())
    if (right - left, bottom - top) != (width, height):
        notes.append(
            f"The network gets the middle of it: {right - left} x {bottom - top} of {width} x {height} pixels."
        )
    return Photo.of(decoded).picture(size), notes


def _decoded(given: object) -> Decoded:
    if given is None or given == "":
        raise Refused(NOTHING)
    if isinstance(given, str):
        return _of_text(given)
    return read(given.get("path") if isinstance(given, dict) else None, get_upload_folder())


def _of_text(text: str) -> Decoded:
    if is_address(text):
        raise Refused(NOT_FETCHED)
    try:
        data = b64decode("".join(DATA_URL.sub("", text, count=1).split()), validate=True)
    except ValueError as error:
        raise Refused(NO_BASE64) from error
    try:
        return decode(data)
    except Unreadable as error:
        raise Refused(str(error)) from error


def _answer(scope: Microscope, picture: bytes, notes: list[str]) -> Answer:
    probabilities, best = scope.probabilities(picture), scope.leading(picture, len(scope.classes))
    confidences: list[Confidence] = [{"label": scope.classes[i], "confidence": float(probabilities[i])} for i in best]
    return {"label": confidences[0]["label"], "confidences": confidences, "notes": notes}
