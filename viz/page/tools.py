"""The endpoints as tools of an MCP server, with the package `gradio[mcp]`.

They replace Gradio's own tools, which expect files by address, answer in Python's notation, and reject numbers sent as
text without the name of the parameter.
"""

from base64 import b64encode
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta

from viz.page.upload import Refused

if TYPE_CHECKING:
    from viz.page.safe_blocks import SafeBlocks


Schema = dict[str, Any]
"""JSON Schema"""


def offer(page: "SafeBlocks", server: Any) -> None:
    """Replace the tools of Gradio. server: the `GradioMCPServer` of the page"""

    def schema_of(name: str, descriptions: dict[str, str] | None = None) -> tuple[dict[str, Any], list[Any]]:
        """The JSON schema of a tool's parameters, and the paths of its files for Gradio: none."""
        parameters = page.parameters[server.tool_to_endpoint[name].removeprefix("/")]
        described = {
            each: {"description": (descriptions or {}).get(each, "")} | may for each, may in parameters.items()
        }
        return {
            "type": "object",
            "properties": described,
            "required": [one for one in parameters if one in ("picture", "pictures") and "words" not in parameters],
            "additionalProperties": False,
        }, []

    server.get_input_schema = schema_of

    @server.mcp_server.list_tools()
    async def listed() -> list[Any]:
        found = []
        for name, endpoint in server.tool_to_endpoint.items():
            about, descriptions = server.get_fn_description(server.get_block_fn_from_endpoint_name(endpoint), name)
            (answer,) = server.api_info["named_endpoints"][endpoint]["returns"]
            picture = "mime_type" in answer["type"]["properties"]  # it is content of its own, without a schema
            schemas = {
                "inputSchema": schema_of(name, descriptions)[0],
                "outputSchema": None if picture else answer["type"],
            }
            found.append(server.types.Tool(name=name, description=about, **schemas))
        return found

    @server.mcp_server.call_tool(validate_input=False)  # the endpoint has better messages
    async def called(name: str, arguments: dict[str, Any]) -> dict[str, Any] | list[Any]:
        if name not in server.tool_to_endpoint:
            raise ValueError(f"There is no tool {name[:50]!r} here. There are: {', '.join(server.tool_to_endpoint)}.")
        function = server.get_block_fn_from_endpoint_name(server.tool_to_endpoint[name])
        right = page.parameters[function.api_name]
        try:
            check_names(arguments, right)
            given, request = [arguments.get(each) for each in right], server.mcp_server.request_context.request
            answer = await page.process_api(function, given, state=SessionState(page), request=request)
        except gr.Error as error:
            raise ValueError(error.message) from error  # str(error) adds quotation marks
        (found,) = answer["data"]
        return [_image(server.types, found["path"])] if is_file_obj_with_meta(found) else found


def _image(types: Any, path: str) -> Any:
    """The content of an answer for a PNG file."""
    return types.ImageContent(type="image", data=b64encode(Path(path).read_bytes()).decode(), mimeType="image/png")


def check_names(given: Iterable[str], valid: Collection[str]) -> None:
    """Raise Refused for an unknown parameter."""
    for name in given:
        if name not in valid:
            raise Refused(f"There is no parameter {name[:50]!r} here. There are: {', '.join(valid)}.")
