"""The page in Gradio: what stands where, and how a browser's requests are answered.

- What a visitor does is one request to `act`, a server function of the wire, and its answer is what changed, as JSON by
  element: a component each would cost the browser some milliseconds at every answer, and there are some sixty views.
  The browser asks one thing after the other, so it shows the answers in the order of the choices.
- What takes longer than that is measured by `run`, an event in Gradio's queue, of which each visitor has at most one.
  It gives the model's thread back after every step, so clicks are answered between two steps, and several visitors'
  measurements advance in turn. It says how far it is; what is finished the browser asks `act` for.
  It is in the queue as only Gradio's own requests to its queue carry the visitor's token for ZeroGPU (`submit` of
  @gradio/client asks the page around a Space for "zerogpu-headers", its `component_server` does not; `spaces` reads
  `X-IP-Token`). So what `act` does must not borrow a GPU.
- A picture that is uploaded is read and decoded before it comes to the model's thread.
- Each endpoint takes one request at a time; on the model's thread it is one more visitor.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from cachetools import LRUCache
from gradio.utils import get_upload_folder

from viz import figures
from viz.measuring import on_model_thread
from viz.page import endpoint, markup, specimen
from viz.page.instrument import STATUS, Instrument, Updates
from viz.page.photo import Photo
from viz.page.safe_blocks import SafeBlocks
from viz.page.session import Session
from viz.page.upload import Refused, read

VISITS = 200
"""visitors whom a page remembers; who comes back after so many others is sent all anew, from the link"""

WAIT = """
<p class="said" role="alert" data-part="said"></p>
<p class="told" role="status" data-part="told"></p>
<div class="wait" hidden>
  <progress aria-label="how far it is"></progress><span data-part="wait"></span>
  <button type="button" data-do="stop">Cancel</button>
</div>"""


def build(instrument: Instrument, fetch: bool = False) -> gr.Blocks:
    """The whole page. fetch: whether other programs may name pictures by addresses on the public internet"""
    gr.set_static_paths(figures.PLOTLY_JS)
    with SafeBlocks(
        title="MLP-Mixer microscope", fill_width=True, delete_cache=(3600, 3600), analytics_enabled=False
    ) as page:
        _html("header", specimen.header(instrument.scope), elem_id="header")
        status = _html("status", WAIT, elem_id=STATUS, wait=None, redraw=0)
        _wire(instrument, status)
        with gr.Row(elem_id="instrument"):
            with gr.Column(scale=1, min_width=300, elem_id="specimen"):
                with gr.Accordion("Choose a picture", open=False, elem_id="drawer"):
                    _html("bind", markup.lens(instrument.specimen))
                    sources: list[Any] = ["upload", "webcam", "clipboard"]
                    upload = gr.Image(
                        label="Your own picture", sources=sources, height=150, buttons=[], elem_id="upload"
                    )
                    upload.input(None, upload, js="file => { instrument.photo(file); return []; }")
                    _html("bind", specimen.photo_html())
                _html("bind", specimen.picker_html())
                _html("bind", specimen.answer_html(instrument.scope))
            with gr.Column(scale=3, min_width=320, elem_id="lenses"):
                _html("bind", markup.lenses(instrument.lenses, instrument.first.lens))
        endpoint.add(instrument, fetch)
    return page


def _html(kind: str, template: str, value: Any = None, **settings: Any) -> gr.HTML:
    """Markup that stays as it is, and the function of `instrument.js` that brings it to life."""
    arguments = {"status": "element, props, watch", "wire": "props, trigger, server"}.get(kind, "element")
    literal = template.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${").replace("{{", "{&#123;")
    return gr.HTML(
        value,
        html_template=literal,
        js_on_load=f"instrument.{kind}({arguments});",
        apply_default_css=False,
        **settings,
    )


def _wire(instrument: Instrument, status: gr.HTML) -> None:
    """All that goes between a browser and its visit. status: shows how far a measurement is"""
    start = Session(instrument.first)
    visits: LRUCache[str, Session] = LRUCache(VISITS)

    async def act(event: dict[str, Any]) -> Updates:
        visitor = str(event.get("visitor"))
        if visitor not in visits:
            if "link" not in event:
                return {"lost": True}
            visits[visitor] = Session(instrument.first)
            visits[visitor].sent = dict(start.sent)
        visit = visits[visitor]
        if "photo" not in event:
            return await on_model_thread(instrument.answer, visit, event)
        try:
            photo = await asyncio.to_thread(_photo, event["photo"])
        except Refused as refused:
            updates = await on_model_thread(instrument.answer, visit, {})
            updates[STATUS]["said"] = refused.message
            return updates
        return await on_model_thread(instrument.put, visit, photo)

    async def run(event: gr.EventData) -> AsyncIterator[gr.HTML]:
        if visit := visits.get(event._data["visitor"]):
            async for shown in instrument.run(visit):
                yield gr.HTML(**shown)

    first = json.dumps(instrument.refresh(start))
    wire = _html("wire", "", first, elem_id="wire", server_functions=[act])
    # "multiple": by default, Gradio drops what is asked for while a run ends
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
    wire.change(run, None, status, concurrency_limit=None, **private)


def _photo(path: str | None) -> Photo | None:
    """What a visitor uploaded. Raises Refused, in words."""
    return Photo.of(read(path, get_upload_folder())) if path is not None else None
