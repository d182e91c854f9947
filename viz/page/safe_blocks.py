"""The boundary of the app: errors between a request and its answer become messages."""

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
from viz.page.upload import NOT_STORED, Refused, check_uploaded

BROKEN = "An error occurred in the program. The server's log has the details."

log = logging.getLogger(__name__)

WAKE = 0.05
"""seconds between two looks for a waiting event, as Gradio has it on Windows: elsewhere it looks 1,000 times a second,
which costs an idle server 8 % of a core"""
CALL = re.compile("/gradio_api/(call/v2|call|run|api|queue)/([^/]+)/?")
PAGE = re.compile(rb"(?:^|(?<=&))page=[^&]*&?")
"""a parameter of our links that Gradio reads as the name of one of its pages"""
PACKED = (
    *(kind for kind in DEFAULT_EXCLUDED_CONTENT_TYPES if kind != "text/event-stream"),
    "text/javascript",
    "text/css",
)
"""types of content that are not compressed here, as Gradio compresses files"""


class SafeBlocks(gr.Blocks):
    """A page that accepts only uploaded files and answers errors with a message.

    Gradio itself downloads files by their addresses, and hides the message of all errors except gr.Error.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.parameters: dict[str, dict[str, tools.Schema]] = {}
        """by endpoint: the JSON schema of each parameter"""

    @property
    def mcp_server_obj(self) -> Any:
        """Gradio's MCP server, if its package is installed, with the tools of `viz.page.tools`."""
        return self._mcp

    @mcp_server_obj.setter
    def mcp_server_obj(self, server: Any) -> None:
        self._mcp = server
        if server is not None:
            tools.offer(self, server)

    def launch(self, *arguments: Any, app_kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """As in Gradio, with `ErrorMessages` and compression."""
        self._queue.sleep_when_free = WAKE
        around = [Middleware(ErrorMessages), Middleware(GZipMiddleware, compresslevel=5, exclude_content_types=PACKED)]
        return super().launch(*arguments, app_kwargs={"middleware": around} | (app_kwargs or {}), **options)

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> dict[str, Any]:
        """Process a request from a browser or another program. Raises gr.Error only."""
        try:
            given = traverse(inputs, _uploaded, is_file_obj)
            function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            given += [None] * (len(function.inputs) - len(given))
            if function.api_name in self.parameters:
                given = [None if one == "null" else one for one in given]  # from programs that send text only
            return await super().process_api(function, given, *rest, **options)
        except gr.Error:
            raise
        except Exception as error:
            log.exception("a request failed")
            raise gr.Error(BROKEN, print_exception=False) from error


class ErrorMessages:
    """ASGI middleware: requests that fail in Gradio's own routes get a message."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if scope["type"] == "http":  # of a page of many, which Gradio would look for
                scope = {**scope, "query_string": PAGE.sub(b"", scope["query_string"])}
                if scope["method"] == "POST" and (call := CALL.search(scope["path"])):
                    receive = await _checked(receive, call[1], call[2], scope["app"].get_blocks())
            await self._app(scope, receive, sending)
        except Refused as error:
            await JSONResponse({"detail": error.message}, 400)(scope, receive, send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if isinstance(error, OSError) and scope["path"].endswith("/upload"):
                log.error("an upload could not be stored: %s", error)
                answer: Response = PlainTextResponse(
                    NOT_STORED.format(error.strerror), 507
                )  # the browser shows the text
            else:
                log.exception("a request failed")
                answer = JSONResponse({"detail": BROKEN}, 500)
            await answer(scope, receive, send)


async def _checked(receive: Receive, route: str, name: str, page: SafeBlocks) -> Receive:
    """The same messages, to be read again. Raises Refused for an unknown endpoint or parameter."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    given = None
    with suppress(ValueError, RecursionError):  # Gradio reports the error
        given = json.loads(b"".join(message.get("body", b"") for message in messages))
    endpoint, valid = name, [*page.parameters]
    if route != "call/v2" and isinstance(given, dict) and given.get("fn_index") is not None:  # from a browser
        endpoint, valid = given["fn_index"], [*page.fns]
    if endpoint not in valid:
        raise Refused(f"There is no endpoint {str(endpoint)[:50]!r} here. There are: {', '.join(page.parameters)}.")
    if route == "call/v2" and isinstance(given, dict):
        tools.check_names(given, page.parameters[name])
    received = iter(messages)

    async def again() -> Message:
        return next(received, None) or await receive()

    return again


def _uploaded(file: dict[str, Any]) -> dict[str, Any]:
    """The path of an uploaded file, without the rest of its description. Raises Refused for other paths."""
    check_uploaded(file["path"], get_upload_folder())
    return {"path": file["path"], "meta": {"_type": "gradio.FileData"}}
