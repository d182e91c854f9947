"""A picture from outside: from the file that somebody uploaded to a decoded picture, or to words."""

from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import gradio as gr
from gradio import route_utils
from gradio.utils import get_upload_folder, is_in_or_equal

from mixer.errors import message
from mixer.picture import Decoded, Unreadable, decode

NOT_UPLOADED = "Upload the picture: a file of this server cannot be asked for."
NOT_FETCHED = "Upload the picture: this server fetches nothing from another address."
NOT_KEPT = "The server cannot keep your picture: {}."
NOT_ARRIVED = "The picture did not arrive. Upload it again."


class Refused(gr.Error):
    """What somebody sent cannot be taken. The message is for them; it is nothing for the log."""

    def __init__(self, message: str):
        super().__init__(message, print_exception=False)


def is_address(text: Any) -> bool:
    """Whether this stands for something on another machine."""
    return isinstance(text, str) and text.strip().lower().startswith(("http:", "https:", "ftp:"))


def check_uploaded(path: Any, folder: str) -> None:
    """Raise Refused unless this is the path of something in the folder into which uploads go."""
    if is_address(path):
        raise Refused(NOT_FETCHED)
    try:
        uploaded = isinstance(path, str) and path != "" and is_in_or_equal(path, folder)
    except (OSError, ValueError):  # no path at all: of a zero byte, for one
        uploaded = False
    if not uploaded:
        raise Refused(NOT_UPLOADED)


def why_not_kept() -> str:
    """Why the folder for uploads takes no files, in words; nothing where it does."""
    try:
        folder = get_upload_folder()
        Path(folder).mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
    except OSError as error:
        return message(error)
    return ""


class _Parser(route_utils.GradioMultiPartParser):
    """Gradio's own leaves behind what came of a file where the disk is full, or the visitor goes away."""

    async def parse(self) -> Any:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # what is still to be written has no room, either
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


route_utils.GradioMultiPartParser = _Parser  # type: ignore[misc]


def read(path: Any, folder: str) -> Decoded:
    """The picture in an uploaded file. Raises Refused, in words, for any other file and for what is no picture."""
    check_uploaded(path, folder)
    try:
        return decode(path)
    except Unreadable as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(NOT_ARRIVED) from error
