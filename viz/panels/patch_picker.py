"""The picture as the network sees it, every patch a real button: for the mouse, the keyboard and screen readers."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mixer.grid import PatchGrid

TEMPLATE = """
<div class="picker" role="group" aria-label="The picture as the network sees it. Choose a patch."
     style="background-image: url(${value.image}); grid-template-columns: repeat(${value.cols}, 1fr);
            aspect-ratio: ${value.aspect}">
  {{#each value.patches}}
  <button type="button" data-patch="{{this.patch}}" aria-label="{{this.label}}" title="{{this.label}}"
          aria-pressed="{{this.chosen}}" tabindex="{{this.tab}}"></button>
  {{/each}}
</div>
"""

CSS = """
.picker { display: grid; width: 100%; max-width: 250px; margin: 0 auto;
  background-size: 100% 100%; image-rendering: pixelated; }
.picker button { min-width: 0; min-height: 0; margin: 0; padding: 0; cursor: pointer; outline-offset: -2px;
  background: none; border: 1px solid rgba(255, 255, 255, .35); border-radius: 0; }
.picker button:hover { background: rgba(255, 255, 255, .3); }
.picker button:focus-visible { outline: 3px solid #ff9d00; }
.picker button[aria-pressed="true"] { box-shadow: inset 0 0 0 2px #fff, inset 0 0 0 4px #000; }
"""

ON_LOAD = """
let kept = null;
const choose = patch => { kept = patch; trigger('select', {patch}); };
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-patch]');
  if (button) choose(Number(button.dataset.patch));
});
element.addEventListener('keydown', event => {
  const button = event.target.closest('button[data-patch]');
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: props.value.cols, ArrowUp: -props.value.cols}[event.key];
  if (!button || !step) return;
  event.preventDefault();
  const next = Number(button.dataset.patch) + step;
  const row = patch => Math.floor(patch / props.value.cols);
  if (Math.abs(step) === 1 && row(next) !== row(Number(button.dataset.patch))) return;
  element.querySelector(`button[data-patch="${next}"]`)?.focus();
});
watch('value', () => {
  if (kept !== null) element.querySelector(`button[data-patch="${kept}"]`)?.focus({preventScroll: true});
  kept = null;
});
"""


def png_url(pixels: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as an address that holds it."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def patch_picker(value: dict[str, Any]) -> gr.HTML:
    """The component; it raises `select` with the number of a patch in `patch`, from a browser: not to be trusted."""
    return gr.HTML(value, html_template=TEMPLATE, css_template=CSS, js_on_load=ON_LOAD, elem_id="picker")


def picker_value(pixels: np.ndarray, grid: PatchGrid, chosen: int) -> dict[str, Any]:
    """What the picker shows. pixels: (height, width, 3), 0 to 255."""
    patches = [
        {
            "patch": patch,
            "label": "patch ({}, {})".format(*grid.position(patch)),
            "chosen": "true" if patch == chosen else "false",
            "tab": 0 if patch == chosen else -1,
        }
        for patch in range(grid.patches)
    ]
    return {
        "image": png_url(pixels),
        "cols": grid.cols,
        "aspect": f"{grid.image_size[1]} / {grid.image_size[0]}",
        "patches": patches,
    }
