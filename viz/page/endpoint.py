"""The endpoints for other programs: see docs/endpoints.md.

With the package `gradio[mcp]`, they are tools of an MCP server, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_function_description, get_upload_folder

from mixer.errors import message
from viz.attribution.attribute import Attribution
from viz.attribution.query import AttributionQuery, explain_many, explanation
from viz.lenses.all import Lenses, now_at
from viz.lenses.view import View
from viz.measuring import Measurement, on_model_thread
from viz.microscope import Microscope
from viz.page import answers, drawing, parameters
from viz.page.answers import Answer, Attributed, AttributedMany, Described, Intervened, Listed, Mixing, Seen, Tokens
from viz.page.networks import ERRORS, Networks
from viz.page.parameters import one_of, parsed
from viz.page.sent import Sent, SentMany, read_picture, read_pictures
from viz.page.tools import Schema
from viz.page.upload import Refused
from viz.selection import Selection

FIRST = "how.network"
"""the view of a request without a name"""
TWO = "The request has two pictures: picture, and the sample or picture in words. Send only one."
NULL: Schema = {"type": "null"}
"""the type of an omitted parameter: listed last, as in `str | None`"""


def add(networks: Networks, fetch: bool) -> None:
    """Add the endpoints to the page. fetch: whether public internet addresses of pictures are allowed

    Parameters that mean the same everywhere have their description in `parameters.schemas`.
    """
    publish = partial(_publish, parameters.schemas(networks.first, fetch))

    async def given(picture: object, network: object) -> tuple[Microscope, bytes, list[str]]:
        """The network, the picture in its size, and messages about changes of the picture. Raises Refused."""
        scope = (await network_of(network)).scope
        return scope, *await read_picture(picture, scope.grid.image_size, fetch)

    async def network_of(network: object) -> Lenses:
        try:
            return await networks.load("" if network is None else str(network))
        except ERRORS as error:
            raise parameters.refused(message(error)) from error

    async def explained(scope: Microscope, picture: bytes, label: object) -> int:
        """The number of the class to explain: that of the label, or else the answer."""
        return await on_model_thread(scope.answer, picture) if label is None else parameters.class_number(scope, label)

    @partial(publish, "answer")
    async def classify(picture: Sent = None, network: str | None = None) -> Answer:
        """Classify a picture.

        The picture is cropped to the largest centred part of the network's shape and resized, as on the page.

        Args:
            picture: base64, plain or as a data URL; over HTTP, also an uploaded file
        """
        scope, pixels, notes = await given(picture, network)
        return await on_model_thread(answers.classified, scope, pixels, notes)

    @partial(publish, "attribution")
    async def attribute(
        picture: Sent = None,
        label: str | None = None,
        method: str | None = None,
        baseline: str | None = None,
        output: str | None = None,
        block: int | None = None,
        network: str | None = None,
        groups: int | None = None,
    ) -> Attributed:
        """Which patches support the class? One value for each patch, or group of patches.

        Args:
            picture: as for classify
            label: the class to explain; without it, the answer
            block: for methods that explain tokens, the block after which, counted from 1; without it, the last
        """
        scope, pixels, notes = await given(picture, network)
        number = await explained(scope, pixels, label)
        kind, against, of = parameters.method(method, baseline, output)
        side = parameters.groups(scope, groups)
        query = AttributionQuery(pixels, number, against, of, parameters.block(scope, block), side)
        one = await on_model_thread(explanation, scope, query, kind)
        await _measure(await on_model_thread(scope.missing, [one]))
        found = await on_model_thread(scope.measured, one)
        return answers.attributed(scope, found, against, side, notes)

    @partial(publish, "attributions")
    async def attribute_many(
        pictures: SentMany = None,
        label: str | None = None,
        method: str | None = None,
        baseline: str | None = None,
        output: str | None = None,
        block: int | None = None,
        network: str | None = None,
        groups: int | None = None,
    ) -> AttributedMany:
        """Which patches support the class, in each of up to 64 pictures? Methods made of gradients take them together.

        Args:
            pictures: up to 64 pictures, each as for classify
            label: the class to explain; without it, the answer for each picture
            block: as for attribute
        """
        scope = (await network_of(network)).scope
        decoded = await read_pictures(pictures, scope.grid.image_size, fetch)
        target = None if label is None else parameters.class_number(scope, label)
        kind, against, of = parameters.method(method, baseline, output)
        after, side = parameters.block(scope, block), parameters.groups(scope, groups)
        steps = explain_many(scope, [pixels for pixels, _ in decoded], kind, target, against, of, after, side)
        found = list[Attribution]()
        while (step := await on_model_thread(next, steps, None)) is not None:
            if isinstance(step, Attribution):
                found.append(step)
        each = zip(found, decoded, strict=True)
        return {"attributions": [answers.attributed(scope, one, against, side, notes) for one, (_, notes) in each]}

    @partial(publish, "tokens")
    async def tokens(
        picture: Sent = None,
        depth: str | None = None,
        patch: list[int] | None = None,
        vectors: bool | None = None,
        network: str | None = None,
    ) -> Tokens:
        """What does each token contain, at a depth?

        Args:
            picture: as for classify
            depth: stem, 1a (after token mixing), 1b (after channel mixing), 2a, ...; without it, the last
            patch: [row, column], counted from 0 at the top left: compare all tokens with this one
            vectors: whether to return the tokens themselves, too
        """
        scope, pixels, notes = await given(picture, network)
        at = scope.depth_names.index(one_of("depth", depth or scope.depth_names[-1], scope.depth_names))
        one = None if patch is None else parameters.patch(scope, patch)
        return await on_model_thread(
            answers.tokens, scope, pixels, at, one, parameters.truth("vectors", vectors), notes
        )

    @partial(publish, "mixing")
    async def mixing(picture: Sent = None, block: int | None = None, network: str | None = None) -> Mixing:
        """Which patch influences which in a block, for this picture? The gain of each patch on each, without sign.

        A small random change of a patch's token by e in every channel changes the update of another by gain x e.

        Args:
            picture: as for classify
            block: counted from 1; without it, the last
        """
        scope, pixels, notes = await given(picture, network)
        return await on_model_thread(answers.mixing, scope, pixels, parameters.block(scope, block), notes)

    @partial(publish, "intervention")
    async def intervene(
        picture: Sent = None,
        edits: str | None = None,
        ablate_sublayers: list[str] | None = None,
        ablate_units: list[list[int]] | None = None,
        label: str | None = None,
        network: str | None = None,
        skip: list[str] | None = None,
        silence: list[list[int]] | None = None,
    ) -> Intervened:
        """What if the picture were different, or a part of the network were ablated? All changes apply at once.

        Args:
            picture: as for classify
            edits: changes of the picture, as in a link, such as mean:3,1;swap:0,1-2,2;shuffle:7;paste:12@3,1
            ablate_sublayers: sublayers whose update is set to zero, by the depth after them: 1a, 1b, 2a, ...
            ablate_units: token-mixing units that are set to zero: [block, unit], blocks counted from 1, units from 0
            label: the class to explain; without it, the answer before the intervention
            skip: earlier name of ablate_sublayers
            silence: earlier name of ablate_units
        """
        scope, pixels, notes = await given(picture, network)
        number = await explained(scope, pixels, label)
        ablated = skip if ablate_sublayers is None else ablate_sublayers
        sublayers = parsed("ablate_sublayers", parameters.sublayers, scope, ablated)
        zeroed = silence if ablate_units is None else ablate_units
        units = parsed("ablate_units", parameters.units, scope, zeroed)
        changed = await on_model_thread(scope.edited, pixels, parsed("edits", parameters.edits, scope, edits))
        return await on_model_thread(answers.intervened, scope, pixels, changed, sublayers, units, number, notes)

    @partial(publish, "description")
    async def describe(network: str | None = None) -> Described:
        """What can be selected? Classes, patches, depths, methods and samples of a network; names of all networks."""
        lenses = await network_of(network)
        listed = await asyncio.to_thread(networks.entries)
        return answers.described(lenses, {one["name"]: one["words"] for one in listed})

    @partial(publish, "list")
    async def views(network: str | None = None) -> Listed:
        """Which views has the page? Their names, for `view`, and the question that each answers."""
        lenses = await network_of(network)
        return {"views": {name: view.question for name, (_, view) in lenses.named.items()}}

    @partial(publish, "seen")
    async def view(
        picture: Sent = None, name: str | None = None, words: str | None = None, network: str | None = None
    ) -> Seen:
        """What does a view of the page show? Its numbers with named axes, and a sentence about them.

        Args:
            picture: as for classify; none if words select a sample
            name: as views lists them, such as tokens.norms; without it, how.network
            words: the selection, as in a link of the page, such as depth=5a&patch=3,1&class=cat&methods=Saliency
        """
        return await on_model_thread(answers.seen, *await measured(picture, name, FIRST, words, network))

    @partial(publish, "picture")
    async def draw(
        picture: Sent = None, name: str | None = None, words: str | None = None, network: str | None = None
    ) -> gr.FileData:
        """The maps over the patches that a view of the page shows, as a PNG picture: each over the pale picture.

        Args:
            picture: as for classify; none if words select a sample
            name: as views lists them, of a view with maps, such as attribution.maps; without it, tokens.votes
            words: the selection, as for view
        """
        scope, now, found, selection, _ = await measured(picture, name, drawing.WITH_MAPS[0], words, network)
        drawn = await on_model_thread(found.draw, scope, selection)
        return await asyncio.to_thread(_file, now, drawn, scope.pixels(selection.picture), scope.grid)

    async def measured(
        picture: object, name: object, default: str, words: object, network: object
    ) -> tuple[Microscope, str, View, Selection, list[str]]:
        """The name of a view, the view, the selection, for which it is measured, and messages. Raises Refused.

        default: the name of the view of a request without one
        """
        lenses = await network_of(network)
        scope = lenses.scope
        params, pixels, notes = parameters.params(words), None, list[str]()
        if not params.keys() & {"picture", "sample"}:
            pixels, notes = await read_picture(picture, scope.grid.image_size, fetch)
        elif picture:
            raise Refused(TWO)
        now, moved = now_at(scope, default if name in (None, "") else f"{name}")
        _, found = lenses.named[one_of("view", now, tuple(lenses.named))]
        selection = await on_model_thread(parameters.selected, lenses, pixels, {**moved, **params})
        while waiting := await on_model_thread(found.missing, scope, selection):
            await _measure(waiting[:1])
        return scope, now, found, selection, notes


def _file(name: str, *drawn: Any) -> gr.FileData:
    """The drawn maps of a view as a file that the page serves. Raises Refused."""
    path = save_pil_to_cache(drawing.draw(name, *drawn), get_upload_folder(), name, "png")
    return gr.FileData(path=path, mime_type="image/png", meta={"_type": "gradio.FileData"})


async def _measure(measurements: Sequence[Measurement[Any]]) -> None:
    for measurement in measurements:
        steps = measurement.steps()
        while await on_model_thread(next, steps, None) is not None:
            pass  # visitors of the page get answers between two steps


def _publish(schemas: Mapping[str, Schema], returned: str, function: Callable[..., Awaitable[Any]]) -> None:
    """Publish a function as an endpoint; `view_api` shows the names and descriptions of parameters and result.

    returned: the name of the result
    """
    page: Any = Context.root_block  # the types of Gradio have neither labels nor parameters
    _, descriptions, _ = get_function_description(function)
    added = gr.api(function, api_name=function.__name__)
    names = [*function.__annotations__][: len(added["inputs"])]
    for number, name in zip((*added["inputs"], *added["outputs"]), (*names, returned), strict=True):
        block = page.blocks[number]
        block.label = name  # where Gradio writes "1st"
        if about := descriptions.get(name) or schemas.get(name, {}).get("description"):
            may = {kind: sorted(each, key=NULL.__eq__) for kind, each in block.api_info().items() if kind == "oneOf"}
            both = dict.fromkeys(("description", "additional_description"), about)  # of JSON Schema, and Gradio's
            block._api_info = block.api_info() | may | both
    page.parameters[function.__name__] = {name: schemas[name] for name in names}
