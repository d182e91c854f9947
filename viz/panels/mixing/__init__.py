"""Token mixing: who talks to whom."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens
from viz.panels.mixing import blocks, network, one_block, shuffle, stem, unit, units

NAME = "Token mixing"
PARTS = (units, stem, unit, blocks, one_block, network, shuffle)


def build(scope: Microscope, state: gr.State) -> Lens:
    """Each part is a lens of its own in a tab of its own; only the open one is drawn."""
    words = gr.Markdown(elem_id="mixing-block")
    opened = gr.State(PARTS[0].NAME)
    parts: dict[str, Lens] = {}
    with gr.Tabs():
        for module in PARTS:
            with gr.Tab(module.NAME) as tab:
                lens = parts[module.NAME] = module.build(scope, state)
            tab.select(
                _opener(module.NAME, lens),
                [state, *lens.options],
                [opened, *lens.outputs],
                concurrency_id="model",
                concurrency_limit=1,
                api_visibility="private",
                show_progress="hidden",
            )
    options = [option for lens in parts.values() for option in lens.options]

    def draw(selection: Selection, opened: str = PARTS[0].NAME, *values: Any) -> list[Any]:
        value = dict(zip(options, values, strict=False))
        drawn = [_in_words(scope, selection)]
        for name, lens in parts.items():
            if name == opened:
                drawn += lens.draw(selection, *(value[option] for option in lens.options if option in value))
            else:
                drawn += [gr.skip() for _ in lens.outputs]
        return drawn

    return Lens([words, *(output for lens in parts.values() for output in lens.outputs)], draw, [opened, *options])


def _opener(name: str, lens: Lens) -> Callable[..., list[Any]]:
    return lambda selection, *values: [name, *lens.draw(selection, *values)]


def _in_words(scope: Microscope, selection: Selection) -> str:
    block, count = selection.block + 1, len(scope.model.blocks)
    stem = " (the stem has no token mixing; this block reads it)" if selection.depth == 0 else ""
    return (
        "Only the token-mixing MLPs carry anything from one place to another: who talks to whom?  \n"
        f"Shown: **block {block}** of {count}{stem}. The slider *Depth* chooses another."
    )
