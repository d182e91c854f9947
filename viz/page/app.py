"""The page in Gradio: what stands where, and which event goes where.

All that changes goes through one component, the wire, as JSON by element: each component that an event may change costs
the browser some milliseconds at every event, and there are some sixty views.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from mixer.picture import Decoded
from viz import figures
from viz.measuring import on_model_thread
from viz.page import endpoint, events, markup, specimen
from viz.page.instrument import STATUS, Instrument, Updates
from viz.page.photo import Photo
from viz.page.safe_blocks import SafeBlocks
from viz.page.upload import Upload
from viz.page.visit import Visit

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
        visit = gr.State(Visit(instrument.first))
        start = visit.value
        _html("header", specimen.header(instrument.scope), elem_id="header")
        shown = {"link": "", "heard": 0, "said": "", "running": 0, "redraw": "", "wait": None, "file": None}
        status = _html("status", WAIT, elem_id=STATUS, **shown)
        wire = _html("wire", "", _sent(start, instrument.refresh(start)), elem_id="wire")
        status.props["running"] = start.next() if instrument.wanted(start) else 0
        with gr.Row(elem_id="instrument"):
            with gr.Column(scale=1, min_width=300, elem_id="specimen"):
                with gr.Accordion("Choose a picture", open=False, elem_id="drawer"):
                    _html("bind", markup.lens(instrument.specimen))
                    sources: list[Any] = ["upload", "webcam", "clipboard"]
                    upload = Upload(label="Your own picture", sources=sources, height=150, buttons=[], elem_id="upload")
                    _html("bind", specimen.photo_html())
                _html("bind", specimen.picker_html())
                _html("bind", specimen.answer_html(instrument.scope))
            with gr.Column(scale=3, min_width=320, elem_id="lenses"):
                _html("bind", markup.lenses(instrument.lenses, instrument.first.lens))
        _listen(instrument, visit, upload, wire, status)
        endpoint.add(instrument.scope, fetch)
    return page


def _html(kind: str, template: str, value: Any = None, **settings: Any) -> gr.HTML:
    """Markup that stays as it is, and the function of `instrument.js` that brings it to life."""
    arguments = "element, props, trigger, watch" if kind in ("status", "wire") else "element"
    literal = template.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${").replace("{{", "{&#123;")
    return gr.HTML(
        value,
        html_template=literal,
        js_on_load=f"instrument.{kind}({arguments});",
        apply_default_css=False,
        **settings,
    )


def _listen(instrument: Instrument, visit: gr.State, upload: Upload, wire: gr.HTML, status: gr.HTML) -> None:
    def sent(visit: Visit, updates: Updates) -> dict[Any, Any]:
        return {status: gr.HTML(**updates.pop(STATUS)), wire: _sent(visit, updates) if updates else gr.skip()}

    async def act(visit: Visit, event: gr.EventData) -> dict[Any, Any]:
        return sent(visit, await on_model_thread(instrument.answer, visit, event._data))

    async def put(decoded: Decoded | None, visit: Visit) -> dict[Any, Any]:
        photo = Photo.of(decoded) if decoded else None
        return sent(visit, await on_model_thread(instrument.put, visit, photo))

    async def run(visit: Visit) -> AsyncIterator[gr.HTML]:
        async for shown in instrument.run(visit):
            yield gr.HTML(**shown)

    gr.on([wire.select, status.select], act, visit, [wire, status], **events.DRAW)
    upload.input(put, [upload, visit], [wire, status], **events.DRAW)
    status.change(run, visit, status, **events.MEASURE)


def _sent(visit: Visit, updates: Updates) -> str:
    """As `instrument.js` takes it: with its number, so that it sees where one is missing."""
    visit.messages += 1
    return json.dumps({"number": visit.messages, "parts": updates})
