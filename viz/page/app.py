"""The page in Gradio: its layout, and the answers to a browser's requests.

- Each event of a visitor is a request to `act`, a server function of the wire. The answer has the changed values as
  JSON, by element. A Gradio component for each of some fifty views would cost the browser milliseconds at every answer.
  The browser sends one event at a time, so it shows the answers in the order of the events.
- Longer measurements run in `run`, an event in Gradio's queue, at most one for each visitor. It releases the model
  thread after every step, so clicks are answered between two steps and the measurements of several visitors advance in
  turn. It yields the progress; the browser fetches results from `act`.
  It must be in the queue because only those requests have the visitor's token for ZeroGPU (`submit` of @gradio/client
  requests "zerogpu-headers" from the page around a Space, `component_server` does not; `spaces` reads `X-IP-Token`).
  So `act` must not borrow a GPU.
- The answer to a link to another network contains the markup that depends on the network.
- Uploaded pictures are decoded outside the model thread.
- Each endpoint handles one request at a time; on the model thread it is like another visitor.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from viz import figures
from viz.measuring import on_model_thread
from viz.page import endpoint, markup, specimen
from viz.page.instrument import STATUS, Instrument, Updates
from viz.page.networks import Networks
from viz.page.photo import Photo
from viz.page.safe_blocks import SafeBlocks
from viz.page.session import Session
from viz.page.upload import Refused, read

WAIT = """
<p class="said" role="alert" data-part="message"></p>
<p class="told" role="status" data-part="announcement"></p>
<div class="wait" hidden>
  <progress aria-label="progress"></progress><span data-part="wait"></span>
  <button type="button" data-do="stop">Cancel</button>
</div>"""


def build(networks: Networks, fetch: bool = False) -> gr.Blocks:
    """The page. fetch: whether other programs may send public internet addresses of pictures"""
    gr.set_static_paths(figures.PLOTLY_JS)
    first = networks.first
    with SafeBlocks(
        title="MLP-Mixer microscope", fill_width=True, delete_cache=(3600, 3600), analytics_enabled=False
    ) as page:
        _html("header", specimen.HEADER, elem_id="header")
        status = _html("status", WAIT, elem_id=STATUS, wait=None, redraw=0)
        _wire(networks, status)
        hosts = {name: f'<div id="{name}">{html}</div>' for name, html in markup_of(first).items()}
        with gr.Row(elem_id="instrument"):
            with gr.Column(scale=1, min_width=300, elem_id="specimen"):
                with gr.Accordion("Choose a picture", open=False, elem_id="drawer"):
                    _html("bind", hosts["host-samples"])
                    sources: list[Any] = ["upload", "webcam", "clipboard"]
                    upload = gr.Image(
                        label="Your own picture", sources=sources, height=150, buttons=[], elem_id="upload"
                    )
                    upload.input(None, upload, js="file => { instrument.photo(file); return []; }")
                    _html("bind", specimen.photo_html())
                _html("bind", specimen.picker_html())
                _html("bind", hosts["host-answer"])
            with gr.Column(scale=3, min_width=320, elem_id="lenses"):
                _html("bind", hosts["host-lenses"])
        endpoint.add(networks, fetch)
    return page


def markup_of(instrument: Instrument) -> dict[str, str]:
    """The HTML that depends on the network, by the id of its element."""
    return {
        "host-samples": markup.lens(instrument.specimen),
        "host-answer": specimen.answer_html(instrument.scope),
        "host-lenses": markup.lenses(instrument.lenses, instrument.first.lens),
    }


def _html(kind: str, template: str, value: Any = None, **settings: Any) -> gr.HTML:
    """Static markup, and the function of `instrument.js` that binds it."""
    arguments = {"status": "element, props, watch", "wire": "props, trigger, server"}.get(kind, "element")
    literal = template.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${").replace("{{", "{&#123;")
    return gr.HTML(
        value,
        html_template=literal,
        js_on_load=f"instrument.{kind}({arguments});",
        apply_default_css=False,
        **settings,
    )


def _wire(networks: Networks, status: gr.HTML) -> None:
    """The connection between browsers and their sessions. status: the element that shows the progress"""
    start = Session(networks.first.first)

    async def act(event: dict[str, Any], request: gr.Request) -> Updates:
        visitor, shown = str(event.get("visitor")), networks.of_event(event)
        visit = shown.visits.get(visitor) if shown else None
        here, refused, about = shown, "", Updates()
        if "link" in event:
            may_open = networks.may_open(request)
            here, refused = await networks.for_link(event, may_open)
            about = {"network": here.name, "networks": await asyncio.to_thread(networks.entries), "others": may_open}
            about |= {"facts": specimen.facts(here.scope), "markup": here is not shown and markup_of(here)}
        if here is None or (visit is None and "link" not in event):
            return {"lost": True}
        if visit is None or here is not shown:
            if visit and visit.photo:
                event = event | {"photo": visit.photo}
            visit = here.visits[visitor] = Session(here.first)
            visit.sent = {} if "network" in event or here.further else dict(start.sent)
        elif "photo" in event:
            try:
                event = event | {"photo": await asyncio.to_thread(_photo, event["photo"])}
            except Refused as error:
                event, refused = {}, error.message
        updates = await on_model_thread(here.answer, visit, event)
        updates[STATUS] |= about
        if refused:
            updates[STATUS]["message"] = f"{refused} {updates[STATUS]['message']}".strip()
        return updates

    async def run(event: gr.EventData) -> AsyncIterator[dict[str, Any]]:
        here = networks.of_event(event._data)
        if here and (visit := here.visits.get(event._data["visitor"])):
            async for shown in here.run(visit):
                yield gr.update(**shown)  # a component would become part of a page that is built meanwhile

    first = json.dumps(networks.first.refresh(start))
    wire = _html("wire", "", first, elem_id="wire", server_functions=[act])
    # "multiple": by default, Gradio drops a request that arrives while a run ends
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
    wire.change(run, None, status, concurrency_limit=None, **private)


def _photo(path: str | None) -> Photo | None:
    """The uploaded photo of a visitor; None if it was removed. Raises Refused."""
    return Photo.of(read(path, get_upload_folder())) if path is not None else None
