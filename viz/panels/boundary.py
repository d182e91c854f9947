"""The boundary of the app: whatever fails between a request and its answer becomes a sentence for whoever asked."""

import json
import logging
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse

from viz.panels.upload import check_uploaded

BROKEN = "Something in the program went wrong. The server's log has the details."

log = logging.getLogger(__name__)


class Guarded(gr.Blocks):
    """A page that takes no files but those that were uploaded, and always answers in words.

    Gradio itself fetches what is called by an address, and hides the message of every error but gr.Error.
    """

    @property
    def mcp_server_obj(self) -> Any:
        """Gradio's MCP server, where the package for it is there. Its answers are JSON; by itself, it writes Python."""
        return self._mcp

    @mcp_server_obj.setter
    def mcp_server_obj(self, server: Any) -> None:
        self._mcp = server
        if server is not None:
            server.postprocess_output_data = lambda outputs, root: [
                server.types.TextContent(type="text", text=json.dumps(output)) for output in outputs
            ]

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> dict[str, Any]:
        """Every request, from a browser and from other programs. Raises gr.Error, and nothing else."""
        try:
            given = traverse(inputs, _uploaded, is_file_obj)
            wanted = (self.fns[block_fn] if isinstance(block_fn, int) else block_fn).inputs
            given += [None] * (len(wanted) - len(given))
            return await super().process_api(block_fn, given, *rest, **options)
        except gr.Error:
            raise
        except Exception as error:
            log.exception("a request failed")
            raise gr.Error(BROKEN, print_exception=False) from error


def _uploaded(file: dict[str, Any]) -> dict[str, Any]:
    """A file as a request names it, and nothing else that is said of it there. Raises Refused if it is not here."""
    check_uploaded(file["path"], get_upload_folder())
    return {"path": file["path"], "meta": {"_type": "gradio.FileData"}}
