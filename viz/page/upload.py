"""Uploaded files: decode them to pictures, or refuse them with a message."""

from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import gradio as gr
from gradio import route_utils
from gradio.utils import get_upload_folder, is_in_or_equal

from mixer.errors import message
from mixer.picture import Decoded, Unreadable, decode

NOT_UPLOADED = "Upload the picture: files of this server are not available."
NOT_FETCHED = "Upload the picture: this server does not download from other addresses."
NOT_STORED = "The server cannot store your picture: {}."
NOT_ARRIVED = "The picture did not arrive. Upload it again."


class Refused(gr.Error):
    """A wrong input. The message is for its sender; it is not logged."""

    def __init__(self, message: str):
        super().__init__(message, print_exception=False)


def is_address(text: Any) -> bool:
    """Whether this is the address of a file on another machine."""
    return isinstance(text, str) and text.strip().lower().startswith(("http:", "https:", "ftp:"))


def check_uploaded(path: Any, folder: str) -> None:
    """Raise Refused unless this is a path in the folder of uploads."""
    if is_address(path):
        raise Refused(NOT_FETCHED)
    try:
        uploaded = isinstance(path, str) and path != "" and is_in_or_equal(path, folder)
    except (OSError, ValueError):  # not a path, for example with a zero byte
        uploaded = False
    if not uploaded:
        raise Refused(NOT_UPLOADED)


def storage_error() -> str:
    """The reason why uploads cannot be stored; empty if they can."""
    try:
        folder = get_upload_folder()
        Path(folder).mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
    except OSError as error:
        return message(error)
    return ""


class _Parser(route_utils.GradioMultiPartParser):
    """Deletes incomplete uploads: Gradio leaves them if the disk is full or the visitor disconnects."""

    async def parse(self) -> Any:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # writing the rest may fail, too
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


route_utils.GradioMultiPartParser = _Parser  # type: ignore[misc]


def read(path: Any, folder: str) -> Decoded:
    """The picture in an uploaded file. Raises Refused for other paths and for files that are not pictures."""
    check_uploaded(path, folder)
    try:
        return decode(path)
    except Unreadable as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(NOT_ARRIVED) from error
