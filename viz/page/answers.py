"""The answers of the endpoints: their types, and the functions that compute them."""

import re
from html import unescape
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float32

from mixer.grid import Groups
from viz import tokens as token_questions
from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS, Settings
from viz.intervene.ablation import ablate
from viz.lenses.all import Lenses
from viz.lenses.view import Numbers, View, sample_name
from viz.microscope import Microscope
from viz.mixing.influence import token_jacobian
from viz.page.parameters import BASELINES, OUTPUTS
from viz.selection import Selection

Map = list[list[float]]
"""a number for each patch: rows of columns, from the top left"""


class Confidence(TypedDict):
    label: str
    confidence: float


class Answer(TypedDict):
    label: str
    """the most probable class"""
    confidences: list[Confidence]
    """of all classes, the most probable first"""
    notes: list[str]
    """messages: how the picture was changed or cropped"""


class Attributed(TypedDict):
    label: str
    """the class that is explained"""
    method: str
    baseline: str
    output: str
    """what is explained: the logit or the probability of the class"""
    values: Map
    """what each patch or group contributes; of saliencies, how strongly each counts, without sign"""
    total: float
    """the sum of the values"""
    difference: float
    """the output for the picture minus that for the baseline: the total of a complete method"""
    passes: int
    """the cost, in passes of one picture through the network"""
    notes: list[str]


class AttributedMany(TypedDict):
    attributions: list[Attributed]
    """one for each picture, in their order"""


class Tokens(TypedDict):
    depth: str
    channels: int
    lengths: Map
    """the Euclidean norm of each token"""
    answers: list[list[str]]
    """the class that the network's classifier would give each token alone"""
    similarity: Map | None
    """the cosine similarity of each token with that of the given patch"""
    vectors: list[list[list[float]]] | None
    """the tokens themselves, on request: rows of columns of channels"""
    notes: list[str]


class Mixing(TypedDict):
    block: int
    patches: list[list[int]]
    """[row, column] of each patch, in the order of the influence's rows and columns"""
    influence: Map
    """how strongly each patch (column) influences each patch (row) through the token mixing, for this picture"""
    notes: list[str]


class Side(TypedDict):
    """The answer on one side of an intervention."""

    answer: str
    """the most probable class"""
    logit: float
    """of the class to explain"""
    probability: float


class Intervened(TypedDict):
    label: str
    """the class that is explained"""
    before: Side
    after: Side
    change: float
    """of the logit of the class"""
    notes: list[str]


class MethodFacts(TypedDict):
    signed: bool
    """whether its values have a sign: support or opposition"""
    complete: bool
    """whether its values should add up to the difference of the outputs"""
    baseline: bool
    """whether it compares with the baseline"""
    block: bool
    """whether it explains the tokens after a block"""
    passes: int
    """the cost for a picture"""


class Described(TypedDict):
    """A network, and the values that the parameters accept for it."""

    network: str
    """its name in the list of networks"""
    about: str
    classes: list[str]
    image_size: list[int]
    """height and width of the pictures"""
    grid: list[int]
    """rows and columns of patches"""
    channels: int
    """numbers in a token"""
    units: int
    """hidden units of the token mixing of a block"""
    depths: list[str]
    methods: dict[str, MethodFacts]
    baselines: list[str]
    outputs: list[str]
    samples: list[str]
    """label and number of each, in the order of sample=0, sample=1, ... in the parameter `words` of a view"""
    networks: dict[str, str]
    """all networks by name, with their test accuracy"""


class Listed(TypedDict):
    views: dict[str, str]
    """the question of each view, by its name"""


class Seen(TypedDict):
    """A view of the page as numbers and text."""

    view: str
    title: str
    question: str
    words: str
    """a sentence with its most important numbers"""
    caution: str
    """its limits"""
    quantity: str
    """the meaning of the values; empty for a text"""
    axes: dict[str, list[str]]
    """the name of each dimension of the values, and the names along it"""
    values: Any
    """nested lists with a level for each axis; null for NaN"""
    notes: list[str]


def classified(scope: Microscope, picture: bytes, notes: list[str]) -> Answer:
    probabilities, best = scope.probabilities(picture), scope.leading(picture, len(scope.classes))
    confidences: list[Confidence] = [{"label": scope.classes[i], "confidence": float(probabilities[i])} for i in best]
    return {"label": confidences[0]["label"], "confidences": confidences, "notes": notes}


def attributed(scope: Microscope, found: Attribution, baseline: str, side: int, notes: list[str]) -> Attributed:
    """side: patches along each side of a group"""
    return {
        "label": scope.classes[found.target],
        "method": found.method,
        "baseline": baseline,
        "output": found.output,
        "values": Groups(scope.grid, side).map(found.values).tolist(),
        "total": found.total,
        "difference": found.difference,
        "passes": found.passes,
        "notes": notes,
    }


def described(lenses: Lenses, networks: dict[str, str]) -> Described:
    scope = lenses.scope
    methods: dict[str, MethodFacts] = {
        name: {
            "signed": method.signed,
            "complete": method.complete,
            "baseline": method.baseline,
            "block": method.block,
            "passes": method.passes(scope.grid.patches, Settings()),
        }
        for name, method in METHODS.items()
    }
    return {
        "network": lenses.name,
        "about": scope.name,
        "classes": [*scope.classes],
        "image_size": [*scope.grid.image_size],
        "grid": [scope.grid.rows, scope.grid.cols],
        "channels": scope.model.config.hidden_dim,
        "units": scope.model.config.tokens_mlp_dim,
        "depths": [*scope.depth_names],
        "methods": methods,
        "baselines": [*BASELINES],
        "outputs": [*OUTPUTS],
        "samples": [sample_name(scope, sample) for sample in range(len(scope.samples))],
        "networks": networks,
    }


def tokens(scope: Microscope, picture: bytes, depth: int, patch: int | None, vectors: bool, notes: list[str]) -> Tokens:
    seen = scope.look(picture)
    best = scope.grid.map(token_questions.votes(seen, scope.model, depth).argmax(1))
    held = seen.depths[depth, 0].cpu().numpy()
    return {
        "depth": scope.depth_names[depth],
        "channels": held.shape[1],
        "lengths": _map(scope, token_questions.norms(seen)[depth]),
        "answers": [[scope.classes[number] for number in row] for row in best],
        "similarity": None if patch is None else _map(scope, token_questions.similarity(seen, patch)[depth]),
        "vectors": scope.grid.map(held, axis=0).tolist() if vectors else None,
        "notes": notes,
    }


def mixing(scope: Microscope, picture: bytes, block: int, notes: list[str]) -> Mixing:
    gains = token_jacobian(scope.model, scope.input(picture), block)
    places = [list(position) for position in scope.grid.positions]
    return {"block": block + 1, "patches": places, "influence": gains.tolist(), "notes": notes}


def intervened(
    scope: Microscope,
    picture: bytes,
    changed: bytes,
    sublayers: list[int],
    units: dict[int, list[int]],
    target: int,
    notes: list[str],
) -> Intervened:
    before = ablate(scope.model, scope.input(picture)[None], (), {})
    after = ablate(scope.model, scope.input(changed)[None], sublayers, units)
    sides = [_side(scope, logits, target) for (logits,) in (before, after)]
    change = sides[1]["logit"] - sides[0]["logit"]
    return {"label": scope.classes[target], "before": sides[0], "after": sides[1], "change": change, "notes": notes}


def _side(scope: Microscope, logits: Float32[np.ndarray, "classes"], target: int) -> Side:
    shares = np.exp(logits - logits.max(), dtype=np.float64)
    answer, probability = scope.classes[logits.argmax()], float(shares[target] / shares.sum())
    return {"answer": answer, "logit": float(logits[target]), "probability": probability}


def seen(scope: Microscope, name: str, view: View, selection: Selection, notes: list[str]) -> Seen:
    drawn = view.draw(scope, selection)
    numbers = drawn.numbers or Numbers("", {}, np.array(np.nan))
    values = numbers.values.astype(object)
    if numbers.values.dtype.kind == "f":
        values[~np.isfinite(numbers.values)] = None
    return {
        "view": name,
        "title": view.title,
        "question": view.question,
        "words": " ".join(unescape(re.sub("<[^>]*>", "", drawn.words)).split()),
        "caution": view.caution,
        "quantity": numbers.name,
        "axes": {axis: [*map(str, places)] for axis, places in numbers.axes.items()},
        "values": values.tolist(),
        "notes": notes,
    }


def _map(scope: Microscope, values: np.ndarray) -> Map:
    return scope.grid.map(values).tolist()
