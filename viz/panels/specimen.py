"""The left side: which picture, what the network sees of it, what it answers, and what is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
from gradio.utils import is_in_or_equal
from PIL import Image

from mixer.data import CLASSES
from viz.microscope import Microscope, Selection
from viz.panels.patch_picker import patch_picker, picker_value

EVERY, WRONG = "two of each class", "answered wrongly"


@dataclass(frozen=True)
class Specimen:
    outputs: Sequence[Any]
    microscope: Microscope

    def draw(self, selection: Selection) -> list[Any]:
        scope = self.microscope
        return [
            picker_value(scope.pixels(selection.picture), scope.grid, selection.patch),
            _confidences(scope, selection.picture),
            _in_words(scope, selection),
            scope.classes[selection.target],
            selection.patch,
            gr.Slider(label=_depth_label(self.microscope, selection)),
        ]


def _read(scope: Microscope, path: str) -> bytes:
    """A visitor's file as a picture for the network. Raises gr.Error, in words, where that cannot be."""
    try:
        with Image.open(path) as image:
            return scope.picture_of(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise gr.Error("This picture has too many pixels (over 89 million). Make it smaller and try again.") from error
    except (OSError, ValueError) as error:
        raise gr.Error("This file is no picture that can be read. Try a JPEG, PNG, GIF or WebP.") from error


def build(scope: Microscope, state: gr.State) -> Specimen:
    """Make the components and let them write the selection."""
    with gr.Tabs():
        with gr.Tab("Samples"):
            kind = gr.Dropdown(
                [EVERY, WRONG, *CLASSES], value=EVERY, container=False, label="Which samples", elem_id="kind"
            )
            shown = gr.State(_chosen_samples(scope, EVERY))
            gallery = gr.Gallery(
                _thumbnails(scope, shown.value),
                format="png",
                columns=4,
                height=178,
                allow_preview=False,
                show_label=False,
                object_fit="contain",
                buttons=[],
                elem_id="samples",
            )
        with gr.Tab("Your picture"):
            upload = gr.Image(
                show_label=False, sources=["upload", "webcam", "clipboard"], height=220, buttons=[], elem_id="upload"
            )

        def uploaded(payload: Any) -> str | None:
            """Where the file lies. Raises gr.Error for any place that a visitor cannot have put it."""
            if payload is not None and not is_in_or_equal(payload.path or "", upload.GRADIO_CACHE):
                raise gr.Error("Upload the picture: a file of this server cannot be asked for.")
            return payload and payload.path

        # a file that is no picture shall reach our own code, which says so in words
        setattr(upload, "preprocess", uploaded)  # noqa: B010
    gr.Markdown("**What the network sees** · choose a patch")
    first = state.value
    picker = patch_picker(picker_value(scope.pixels(first.picture), scope.grid, first.patch))
    answer = gr.Label(num_top_classes=5, label="Answer", elem_id="answer")
    words = gr.Markdown(elem_id="words")
    target = gr.Dropdown(list(scope.classes), label="Class to ask about", elem_id="target")
    places = [("({}, {})".format(*scope.grid.position(patch)), patch) for patch in range(scope.grid.patches)]
    patch = gr.Dropdown(places, label="Patch (row, column)", elem_id="patch")
    last = len(scope.depth_names) - 1
    depth = gr.Slider(0, last, first.depth, step=1, label=_depth_label(scope, first), elem_id="depth", buttons=[])

    def classify(path: str | None) -> dict[str, float]:
        if path is None:
            raise gr.Error("There is no picture to classify.")
        return _confidences(scope, _read(scope, path))

    def upload_picture(path: str | None, selection: Selection) -> Selection:
        if path is None:
            return selection
        return scope.show(selection, _read(scope, path))

    def choose_sample(shown: list[int], selection: Selection, event: gr.SelectData) -> tuple[Selection, None]:
        return scope.show_sample(selection, shown[event.index]), None

    def list_samples(kind: str, progress: gr.Progress = gr.Progress()) -> tuple[list[int], Any]:
        chosen = _chosen_samples(scope, kind, progress)
        return chosen, gr.Gallery(_thumbnails(scope, chosen), selected_index=None)

    def choose_patch(selection: Selection, event: gr.EventData) -> Selection:
        chosen = event._data.get("patch")
        if not isinstance(chosen, int) or not 0 <= chosen < scope.grid.patches:
            raise gr.Error("There is no such patch.")
        return replace(selection, patch=chosen)

    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
    plain: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    upload.input(upload_picture, [upload, state], state, show_progress_on=upload, **model)
    gallery.select(choose_sample, [shown, state], [state, upload], show_progress="hidden", **model)
    kind.input(list_samples, kind, [shown, gallery], show_progress_on=gallery, **model)
    picker.select(choose_patch, state, state, **plain)
    patch.input(lambda patch, selection: replace(selection, patch=patch), [patch, state], state, **plain)
    depth.input(
        lambda depth, selection: replace(selection, depth=depth),
        [depth, state],
        state,
        trigger_mode="always_last",
        **plain,
    )
    target.input(
        lambda name, selection: replace(selection, target=scope.classes.index(name)), [target, state], state, **plain
    )
    gr.on(
        [],
        classify,
        upload,
        gr.Label(visible=False),
        api_name="classify",
        api_description="Classify an image file (any that Pillow reads): label, and confidence of every class.",
        concurrency_id="model",
        concurrency_limit=1,
    )
    return Specimen([picker, answer, words, target, patch, depth], scope)


def _chosen_samples(scope: Microscope, kind: str, progress: gr.Progress | None = None) -> list[int]:
    truths = [scope.truth(i) for i in range(len(scope.samples))]
    if kind == EVERY:
        return sorted(truths.index(name) + i for name in CLASSES for i in range(2))
    if kind == WRONG:
        follow = partial(progress.tqdm, desc="Asking the network") if progress else iter
        answers = [scope.classes[answer] for answer in scope.sample_answers(follow)]
        return [i for i, (truth, answer) in enumerate(zip(truths, answers, strict=True)) if truth != answer]
    return [i for i, truth in enumerate(truths) if truth == kind]


def _thumbnails(scope: Microscope, chosen: Sequence[int]) -> list[tuple[Image.Image, str]]:
    large = [scope.sample_image(i).resize((96, 96), Image.Resampling.NEAREST) for i in chosen]
    return list(zip(large, map(scope.truth, chosen), strict=True))


def _confidences(scope: Microscope, picture: bytes) -> dict[str, float]:
    return dict(zip(scope.classes, scope.probabilities(picture).tolist(), strict=True))


def _depth_label(scope: Microscope, selection: Selection) -> str:
    return f"Depth: {scope.depth_names[selection.depth]} (stem, then a after token mixing, b after channel mixing)"


def _in_words(scope: Microscope, selection: Selection) -> str:
    """Right or wrong, and how far to trust the number."""
    probabilities = scope.probabilities(selection.picture)
    confidence, answer = float(probabilities.max()), int(probabilities.argmax())
    lines = []
    if selection.sample is not None:
        truth = scope.truth(selection.sample)
        verdict = "right" if truth == scope.classes[answer] else "**wrong**"
        number = int(scope.samples.indices[selection.sample])
        lines.append(f"Test image {number}, labelled **{truth}**: the answer is {verdict}.")
    else:
        lines.append(f"It knows only its {len(scope.classes)} classes, and gives one of them to any picture.")
    bins = scope.metrics.get("reliability", [])
    if bins:
        near = min(bins, key=lambda b: abs(b["confidence"] - confidence))
        lines.append(
            f"When it was about {near['confidence']:.0%} sure of a test image, it was right "
            f"{near['accuracy']:.0%} of the time ({near['images']:,} images)."
        )
    return "  \n".join(lines)
