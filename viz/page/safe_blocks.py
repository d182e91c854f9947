"""The boundary of the app: whatever fails between a request and its answer becomes a sentence for whoever asked."""

import json
import logging
import re
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from viz.page import tools
from viz.page.upload import NOT_KEPT, Refused, check_uploaded

BROKEN = "Something in the program went wrong. The server's log has the details."

log = logging.getLogger(__name__)

CALL = re.compile("/gradio_api/(call/v2|call|run|api|queue)/([^/]+)/?")
PACKED = (
    *(kind for kind in DEFAULT_EXCLUDED_CONTENT_TYPES if kind != "text/event-stream"),
    "text/javascript",
    "text/css",
)
"""what is not compressed here: Gradio does that for files"""


class SafeBlocks(gr.Blocks):
    """A page that takes no files but those that were uploaded, and always answers in words.

    Gradio itself fetches what is called by an address, and hides the message of every error but gr.Error.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.parameters: dict[str, dict[str, tools.Schema]] = {}
        """of each endpoint, by its name: what each of them may be"""

    @property
    def mcp_server_obj(self) -> Any:
        """Gradio's MCP server, where the package for it is there, with the tools of `viz.page.tools`."""
        return self._mcp

    @mcp_server_obj.setter
    def mcp_server_obj(self, server: Any) -> None:
        self._mcp = server
        if server is not None:
            tools.offer(self, server)

    def launch(self, *arguments: Any, app_kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """With every answer in words, and compressed."""
        around = [Middleware(InWords), Middleware(GZipMiddleware, compresslevel=5, exclude_content_types=PACKED)]
        return super().launch(*arguments, app_kwargs={"middleware": around} | (app_kwargs or {}), **options)

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> dict[str, Any]:
        """Every request, from a browser and from other programs. Raises gr.Error, and nothing else."""
        try:
            given = traverse(inputs, _uploaded, is_file_obj)
            function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            given += [None] * (len(function.inputs) - len(given))
            if function.api_name in self.parameters:
                given = [None if one == "null" else one for one in given]  # as programs that send all as text say it
            return await super().process_api(function, given, *rest, **options)
        except gr.Error:
            raise
        except Exception as error:
            log.exception("a request failed")
            raise gr.Error(BROKEN, print_exception=False) from error


class InWords:
    """What is asked by plain HTTP, before Gradio sees it: its own routes fail without a word (ASGI)."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if scope["type"] == "http" and scope["method"] == "POST" and (call := CALL.search(scope["path"])):
                receive = await _checked(receive, call[1], call[2], scope["app"].get_blocks())
            await self._app(scope, receive, sending)
        except Refused as error:
            await JSONResponse({"detail": error.message}, 400)(scope, receive, send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if isinstance(error, OSError) and scope["path"].endswith("/upload"):
                log.error("an upload could not be kept: %s", error)
                answer: Response = PlainTextResponse(NOT_KEPT.format(error.strerror), 507)  # shown as it is
            else:
                log.exception("a request failed")
                answer = JSONResponse({"detail": BROKEN}, 500)
            await answer(scope, receive, send)


async def _checked(receive: Receive, route: str, name: str, page: SafeBlocks) -> Receive:
    """The same request, once more. Raises Refused where there is no such endpoint, or no such parameter of it."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    given = None
    with suppress(ValueError, RecursionError):  # Gradio says what is wrong with it
        given = json.loads(b"".join(message.get("body", b"") for message in messages))
    asked, known = name, [*page.parameters]
    if route != "call/v2" and isinstance(given, dict) and given.get("fn_index") is not None:  # as browsers do
        asked, known = given["fn_index"], [*page.fns]
    if asked not in known:
        raise Refused(f"There is no endpoint {str(asked)[:50]!r} here. There are: {', '.join(page.parameters)}.")
    if route == "call/v2" and isinstance(given, dict):
        tools.check_names(given, page.parameters[name])
    kept = iter(messages)

    async def again() -> Message:
        return next(kept, None) or await receive()

    return again


def _uploaded(file: dict[str, Any]) -> dict[str, Any]:
    """A file as a request names it, and nothing else that is said of it there. Raises Refused if it is not here."""
    check_uploaded(file["path"], get_upload_folder())
    return {"path": file["path"], "meta": {"_type": "gradio.FileData"}}
