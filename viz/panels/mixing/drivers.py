"""Which of the shipped samples drive a unit most, searched on demand."""

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Float32
from PIL import Image

from viz import units
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens

SHOWN = 10


def build(scope: Microscope, state: gr.State, unit: gr.Slider) -> Lens:
    """The lens takes the selection and the number of the unit."""
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            f"### Which samples drive it most?\nOf the {len(scope.samples)} shipped samples those to whose tokens the "
            "unit adds most: the number is the length of what it adds. Choose one to look at it."
        )
        search = gr.Button("Search the samples", size="sm", scale=0, elem_id="mixing-search")
        words = gr.Markdown("About 3 s on two CPU cores, once for all units and blocks.", min_height=60)
        gallery = gr.Gallery(
            format="png",
            columns=SHOWN // 2,
            height="auto",
            allow_preview=False,
            show_label=False,
            object_fit="contain",
            buttons=[],
            visible=False,
            elem_id="mixing-drivers",
        )
        shown = gr.State([])
        gr.Markdown(
            "*What these have in common is a guess at what the unit is for, made from few pictures: mind the numbers.*"
        )
    strengths: Float32[np.ndarray, "samples blocks units"] | None = None

    def draw(selection: Selection, unit: int) -> list[Any]:
        if strengths is None:
            return [gr.skip()] * 4
        of_unit = strengths[:, selection.block, unit]
        best = np.argsort(-of_unit, kind="stable")[:SHOWN].tolist()
        pictures = gr.Gallery(_thumbnails(scope, best, of_unit), visible=True, selected_index=None)
        return [best, pictures, gr.Button(visible=False), gr.Markdown(visible=False)]

    def measure(progress: gr.Progress = gr.Progress()) -> Any:
        nonlocal strengths

        def follow(batches: Iterable[int]) -> Iterable[int]:
            return progress.tqdm(list(batches), desc="Reading the samples", unit=f"batches of {units.BATCH}")

        if strengths is None:
            strengths = units.sample_strengths(scope.model, scope.sample_inputs, follow)
        return gr.skip()

    def look_at(shown: Sequence[int], selection: Selection, event: gr.SelectData) -> Selection:
        return scope.show_sample(selection, shown[event.index])

    outputs = [shown, gallery, search, words]
    private: dict[str, Any] = {"concurrency_limit": 1, "api_visibility": "private"}
    # not in the line of the events that draw: they go on between the batches
    found = search.click(measure, None, words, concurrency_id="samples", show_progress_on=words, **private)
    # by now the visitor may look at another unit
    found.then(draw, [state, unit], outputs, show_progress="hidden", **private)
    gallery.select(look_at, [shown, state], state, concurrency_id="model", show_progress="hidden", **private)
    return Lens(outputs, draw)


def _thumbnails(
    scope: Microscope, chosen: Sequence[int], strength: Float32[np.ndarray, "samples"]
) -> list[tuple[Image.Image, str]]:
    large = [scope.sample_image(i).resize((96, 96), Image.Resampling.NEAREST) for i in chosen]
    names = [scope.classes[scope.samples.labels[i]] for i in chosen]
    return [(image, f"{name} {strength[i]:.3g}") for image, name, i in zip(large, names, chosen, strict=True)]
