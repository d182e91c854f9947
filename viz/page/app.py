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
- What of the page depends on the network comes with the answer to a link that leads to another one.
- A picture that is uploaded is read and decoded before it comes to the model's thread.
- Each endpoint takes one request at a time; on the model's thread it is one more visitor.
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
<p class="said" role="alert" data-part="said"></p>
<p class="told" role="status" data-part="told"></p>
<div class="wait" hidden>
  <progress aria-label="how far it is"></progress><span data-part="wait"></span>
  <button type="button" data-do="stop">Cancel</button>
</div>"""


def build(networks: Networks, fetch: bool = False) -> gr.Blocks:
    """The whole page. fetch: whether other programs may name pictures by addresses on the public internet"""
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
    """What of the page depends on the network: HTML by the id of its place."""
    return {
        "host-samples": markup.lens(instrument.specimen),
        "host-answer": specimen.answer_html(instrument.scope),
        "host-lenses": markup.lenses(instrument.lenses, instrument.first.lens),
    }


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


def _wire(networks: Networks, status: gr.HTML) -> None:
    """All that goes between a browser and its visit. status: shows how far a measurement is"""
    start = Session(networks.first.first)

    async def act(event: dict[str, Any], request: gr.Request) -> Updates:
        visitor, shown = str(event.get("visitor")), networks.shown(event)
        visit = shown.visits.get(visitor) if shown else None
        here, refused, about = shown, "", Updates()
        if "link" in event:
            may_open = networks.may_open(request)
            here, refused = await networks.for_link(event, may_open)
            about = {"network": here.name, "networks": await asyncio.to_thread(networks.listed), "others": may_open}
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
            updates[STATUS]["said"] = f"{refused} {updates[STATUS]['said']}".strip()
        return updates

    async def run(event: gr.EventData) -> AsyncIterator[gr.HTML]:
        here = networks.shown(event._data)
        if here and (visit := here.visits.get(event._data["visitor"])):
            async for shown in here.run(visit):
                yield gr.HTML(**shown)

    first = json.dumps(networks.first.refresh(start))
    wire = _html("wire", "", first, elem_id="wire", server_functions=[act])
    # "multiple": by default, Gradio drops what is asked for while a run ends
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
    wire.change(run, None, status, concurrency_limit=None, **private)


def _photo(path: str | None) -> Photo | None:
    """What a visitor uploaded. Raises Refused, in words."""
    return Photo.of(read(path, get_upload_folder())) if path is not None else None
