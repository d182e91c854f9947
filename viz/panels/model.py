"""Model: which network this is, how good it is, and how far its probabilities can be trusted."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import gradio as gr

from mixer.evaluate import headline
from mixer.summary import summary
from viz import curves, figures
from viz.microscope import Microscope
from viz.panels.lens import Lens, view

NAME = "Model"


def build(scope: Microscope, state: gr.State) -> Lens:
    metrics = scope.metrics
    unknown = "This checkpoint has not been evaluated: `python main.py evaluate` does that."
    gr.Markdown(headline(metrics) if "accuracy" in metrics else unknown)
    outputs = []
    makers: list[Callable[[], Any]] = []  # of the outputs' figures, which wait until the panel is first opened
    with gr.Row(equal_height=True):
        if "confusion" in metrics:
            outputs.append(
                view(
                    "model-confusion",
                    "What does it take for what?",
                    "Test images by true class (rows) and answer (columns).",
                    "Shares of one row; a column can be full because the class is easy, or because it is the network's "
                    "favourite guess.",
                )
            )
            makers.append(partial(figures.confusion, metrics["confusion"], scope.classes))
        if "reliability" in metrics:
            outputs.append(
                view(
                    "model-reliability",
                    "Is it as right as it is sure?",
                    "Test images grouped by the probability of the answer: how often was it right?",
                    "Holds for pictures like CIFAR-10's. For other pictures the probability promises nothing.",
                )
            )
            bins = metrics["reliability"]
            columns = ([b[k] for b in bins] for k in ("confidence", "accuracy", "images"))
            makers.append(partial(figures.reliability, *columns))
    if {"stages", "epochs", "hours"} <= metrics.keys():
        outputs.append(
            view(
                "model-training",
                "How did it learn?",
                f"{metrics['epochs']:.1f} passes over the training images, in {len(metrics['stages'])} stages: "
                f"{metrics['hours']:.1f} hours. The accuracy is that of the averaged weights on 5,000 images that were "
                "kept from training.",
                "The loss is measured on mixed and changed images, and against a teacher's answers: it is not "
                "comparable with other networks' losses, nor between stages.",
            )
        )
        makers.append(partial(curves.of_stages, metrics["stages"]))
    with gr.Accordion("All layers", open=False):
        gr.Code(summary(scope.model), language=None, show_label=False, elem_id="layers")

    @cache
    def drawn() -> list[Any]:
        return [make() for make in makers]

    return Lens(outputs, lambda selection: drawn())
