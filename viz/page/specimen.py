"""The specimen: the picture, its crop, the answer, and the selection."""

from collections.abc import Callable, Hashable
from html import escape
from typing import Any
from urllib.parse import urlencode

from viz.figures import patch_label
from viz.lenses.attribution.versus import why_not
from viz.lenses.view import side_text
from viz.microscope import Microscope
from viz.page.markup import select, slider
from viz.page.session import Element, Session
from viz.pictures import png_url
from viz.selection import Selection, groups_of, patch_text

TOP = 5
"""number of classes shown in the answer"""


HEADER = """
<a class="skip" href="#tabs">Skip to the lenses</a>
<h1>MLP-Mixer microscope</h1>
<p class="choice"><label id="network" hidden>Network <select></select></label>
<button type="button" data-do="open" hidden>Open</button> <small></small></p>
<p class="take"><button type="button" data-do="link">Copy link</button>
<button type="button" popovertarget="playlist" title="A lecture from links">Playlist</button>
<button type="button" popovertarget="reports" title="All measured views as one file">Report</button>
<span popover id="reports"><button type="button" data-do="report" data-of="picture" autofocus>Of this picture</button>
<button type="button" data-do="report" data-of="lens">Of this tab</button>
<button type="button" data-do="report" data-of="all">Of everything</button></span></p>
<form id="playlist" popover><label>Links, one per line. Arrow keys show the next one
<textarea rows="8" required></textarea></label><button>Start</button></form>
<dialog id="others" aria-labelledby="others-title"><form method="dialog">
<h2 id="others-title">Open another network</h2>
<p>A checkpoint or a run of this project, weights of timm's or the authors' (.safetensors, .npz), or a model on the
Hugging Face Hub. Your picture, patch and tab stay selected.</p>
<input required aria-label="folder, file, or id on the Hub" placeholder="folder, file, or OWNER/NAME on the Hub">
<p class="take"><button>Open</button> <button type="button" data-do="close">Cancel</button></p>
</form></dialog>"""


def facts(scope: Microscope) -> str:
    return f"{scope.parameters:,} parameters, on {scope.device.type.upper()}"


def parts(scope: Microscope) -> list[Element]:
    """The visitor's photo, the picture with its patches, and the answer."""
    return [
        Element("photo", lambda visit: visit.photo, lambda visit: _photo(scope, visit)),
        _part("picker", lambda s: (s.picture, s.patch, s.side), lambda s: _picker(scope, s)),
        _part(
            "answer",
            lambda s: (s.picture, s.sample, s.original, s.edits, s.target, s.patch, s.side, s.depth),
            lambda s: _answer(scope, s),
        ),
    ]


def photo_html() -> str:
    """HTML: the crop of the visitor's photo."""
    framings = [("crop", "crop"), ("whole", "fit with bars")]
    controls = select("framing", "Framing", framings)
    return f'<div id="photo" data-kind="controls"><div data-part="html"></div><div class="asked">{controls}</div></div>'


def picker_html() -> str:
    """HTML: the picture with its patches."""
    words = "The picture as the network gets it. Select a patch."
    group = (
        f'<div class="picker" role="group" aria-label="{words}"></div>'
        '<button type="button" class="grow" aria-expanded="false">Select a patch in the large picture</button>'
    )
    return f'<div id="picker" data-kind="picker">{group}</div>'


def answer_html(scope: Microscope) -> str:
    """HTML: the answer, and the selected class, patch and depth."""
    places = [(patch_text(scope, p), str(scope.grid.position(p))) for p in range(scope.grid.patches)]
    classes = [(name, name) for name in scope.classes]
    sides = [(str(side), side_text(side)) for side in scope.grid.sides]
    groups = select("groups", "Patches treated as one", sides, "groups") if len(sides) > 1 else ""
    return f"""
<div id="answer" data-kind="controls"><div data-part="html"></div>
<div class="asked">{select("class", "Class to explain", classes, "target")}
{select("patch", "Patch (row, column)", places, "patch")}{groups}
{slider("depth", "Depth", ",".join(scope.depth_names))}</div></div>"""


def _part(element: str, sees: Callable[[Selection], Hashable], value: Callable[[Selection], Any]) -> Element:
    return Element(element, lambda visit: sees(visit.selection), lambda visit: value(visit.selection))


def _photo(scope: Microscope, visit: Session) -> dict[str, Any]:
    if visit.photo is None:
        return {"html": "", "set": {}}
    return {"html": visit.photo.html(scope.grid.image_size), "set": visit.photo.params()}


def _picker(scope: Microscope, selection: Selection) -> dict[str, Any]:
    grid, groups = scope.grid, groups_of(scope, selection)
    together = groups.patches(int(groups.of[selection.patch])) if groups.side > 1 else ()
    patches = [
        {
            "label": patch_label(*grid.position(patch)),
            "place": patch_text(scope, patch),  # as in a link
            "chosen": str(patch == selection.patch).lower(),
            "grouped": patch in together,
        }
        for patch in range(grid.patches)
    ]
    return {
        "image": png_url(scope.pixels(selection.picture)),
        "cols": grid.cols,
        "aspect": f"{grid.image_size[1]} / {grid.image_size[0]}",
        "patches": patches,
    }


def _answer(scope: Microscope, selection: Selection) -> dict[str, Any]:
    probabilities = scope.probabilities(selection.picture)
    best = scope.leading(selection.picture, TOP)
    rows = "".join(_row(scope, i, float(probabilities[i]), i == selection.target) for i in best)
    more = f"<small>the {TOP} most probable of {len(scope.classes)} classes</small>" if len(scope.classes) > TOP else ""
    words = "".join(f"<p>{line}</p>" for line in answer_texts(scope, selection))
    chosen = {
        "class": scope.classes[selection.target],
        "patch": patch_text(scope, selection.patch),
        "groups": str(selection.side),
        "depth": scope.depth_names[selection.depth],
    }
    answer = scope.classes[best[0]]
    head = f"<h2 id='answer-name'>{escape(answer)}</h2>"
    announcement = (
        f"{answer}, {probabilities[best[0]]:.0%}. Selected class: {chosen['class']}. Patch "
        f"{scope.grid.position(selection.patch)}, depth {chosen['depth']}."
    )
    html = f"{head}<ol class='answers'>{rows}</ol>{more}<div id='words'>{words}</div>"
    return {"html": html, "set": chosen, "announcement": announcement}


def _row(scope: Microscope, number: int, probability: float, selected: bool) -> str:
    name, words = escape(scope.classes[number]), urlencode({"class": scope.classes[number]})
    return (
        # not a tab stop: the list below offers the same classes
        f"<li><button type='button' tabindex='-1' data-words='{escape(words)}' aria-pressed='{str(selected).lower()}' "
        f"aria-label='{name}, {probability:.1%}: explain this class' style='--share: {probability:.1%}'>"
        f"<span>{name}</span><span>{probability:.1%}</span></button></li>"
    )


def answer_texts(scope: Microscope, selection: Selection) -> list[str]:
    """HTML: whether the answer is correct, and the accuracy of test images with this confidence."""
    if selection.edits:
        return [_edited_text(scope, selection)]
    probabilities = scope.probabilities(selection.picture)
    confidence, answer = float(probabilities.max()), scope.answer(selection.picture)
    if selection.sample is None:
        lines = [f"The network can only answer with one of its {len(scope.classes)} classes, for any picture."]
        if selection.brought:
            (height, width), (rows, cols) = selection.brought.size, scope.grid.image_size
            lines.append(
                f"Your picture was made for a network of another size: {width} x {height} pixels, here resized to "
                f"{cols} x {rows}. Choose the file again for its full resolution."
            )
        return lines
    truth, number = scope.truth(selection.sample), scope.sample_place(selection.sample)
    kind = "Test image" if scope.samples.held_out else "Picture"
    label = f"{kind} {number} of {escape(scope.samples.source)}"
    if not scope.samples.classes:
        return [f"{label}. It has no label."]
    label += f", labelled <b>{escape(truth)}</b>"
    if not scope.knows_samples:
        return [f"{label}. The network does not have this class, so its answer is neither correct nor wrong."]
    true = scope.truth_class(selection.sample)
    lines = [f"{label}: the answer is {'correct' if answer == true else '<b>wrong</b>'}."]
    if true is not None and answer != true and (words := why_not(scope, selection.picture, true)):
        lines.append(
            f"<button type='button' data-words='{escape(urlencode(words))}' data-go='attribution-difference'>"
            f"Why not {escape(truth)}?</button>"
        )
    bins = scope.metrics.get("reliability", [])
    if bins:
        near = min(bins, key=lambda b: abs(b["confidence"] - confidence))
        lines.append(
            f"Of the {near['images']:,} test images with the most similar confidence ({near['confidence']:.0%} on "
            f"average), {near['accuracy']:.0%} were classified correctly."
        )
    return lines


def _edited_text(scope: Microscope, selection: Selection) -> str:
    """HTML: about an edited picture, which has no true class and no known reliability."""
    count, before = len(selection.edits), scope.probabilities(selection.original)
    name = "Your picture" if selection.sample is None else f"A picture labelled {escape(scope.truth(selection.sample))}"
    return (
        f"{name} has <b>{count} edit{'s' * (count > 1)}</b> of yours. The answer before: "
        f"<b>{escape(scope.classes[before.argmax()])}</b> ({before.max():.1%}). "
        "<button type='button' data-words='edits='>Show the original</button>"
    )
