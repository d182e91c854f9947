"""A visitor's own picture: from the file that the browser sent to a decoded picture, or to words."""

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.utils import is_in_or_equal

from mixer.picture import Decoded, Unreadable, decode

NOT_UPLOADED = "Upload the picture: a file of this server cannot be asked for."
NOT_ARRIVED = "The picture did not arrive. Upload it again."


class _WithoutStub(ComponentMeta):
    """Gradio's own metaclass writes a file upload.pyi beside this one, whenever it is imported."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Upload(gr.Image, metaclass=_WithoutStub):
    """A place for a picture, whose listeners get it as `Decoded`, or None where there is none.

    A class, not a function set on one gr.Image: Gradio makes the component anew when a listener changes its looks.
    Gradio's own decodes before any code of ours runs, and fails without words where it cannot.
    """

    is_template = True  # in the browser, this is Gradio's own

    def preprocess(self, payload: Any) -> Decoded | None:  # type: ignore[override]
        """Raises gr.Error, in words, for what is no picture and for any place where a visitor cannot have put it."""
        if payload is None:
            return None
        if not payload.path or not is_in_or_equal(payload.path, self.GRADIO_CACHE):
            raise gr.Error(NOT_UPLOADED)
        try:
            return decode(payload.path)
        except Unreadable as error:
            raise gr.Error(str(error)) from error
        except OSError as error:
            raise gr.Error(NOT_ARRIVED) from error
