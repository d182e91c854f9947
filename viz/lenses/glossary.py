"""The terms of the field: underlined in the texts, and in one list."""

import re
from collections.abc import Callable, Iterator
from html import escape

from viz.lenses.view import Drawn, View, counted
from viz.microscope import Microscope

Meaning = Callable[[Microscope], str]


def _of(text: str) -> Meaning:
    return lambda scope: text


TERMS: dict[str, Meaning] = {
    "patch": lambda scope: (
        f"A part of the picture, {' x '.join(map(str, scope.grid.patch_size))} pixels here. Patch (3, 1) is in "
        "row 3 and column 1, counted from 0 at the top left."
    ),
    "token": lambda scope: (
        f"The vector that the network holds for one patch: {counted(scope.model.config.hidden_dim, 'number')}, "
        "a row of the table. Before token mixing it depends on its own patch only, afterwards on all patches."
    ),
    "channel": lambda scope: (
        f"One of the numbers of every token, {scope.model.config.hidden_dim:,} here: a column of the table."
    ),
    "stem": lambda scope: (
        f"The layer that makes the first tokens, as weighted sums of the {scope.grid.values} numbers of a patch."
    ),
    "block": lambda scope: (
        f"One token mixing and one channel mixing, in turn; there are {len(scope.model.blocks)}, counted from 1."
    ),
    "depth": _of(
        "The position in the network: stem, then 1a (after token mixing of block 1), 1b (after its "
        "channel mixing), 2a, and so on."
    ),
    "sublayer": _of("One mixing step of a block: its token mixing (a) or its channel mixing (b)."),
    "token mixing": _of(
        "The sublayer in which every channel goes through one MLP over all patches. Nothing else moves "
        "information between patches."
    ),
    "channel mixing": _of(
        "The sublayer in which every token goes through one MLP over all its channels. Patches do not interact."
    ),
    "MLP": _of("Two layers of weighted sums with a GELU between them."),
    "unit": lambda scope: (
        f"One hidden neuron of an MLP; there are {scope.model.config.tokens_mlp_dim} in each token mixing, "
        f"{scope.model.config.channels_mlp_dim} in each channel mixing."
    ),
    "GELU": _of(
        "The nonlinear function between the two layers of an MLP: it passes positive values and suppresses negative "
        "ones."
    ),
    "LayerNorm": _of(
        "Subtracts the mean of a token and divides by its standard deviation, which removes its norm. Then it scales "
        "and shifts each channel."
    ),
    "residual path": _of("Also called skip connection: the output of a sublayer is added to its input."),
    "logit": _of("The score that the head gives a class; softmax turns all logits together into probabilities."),
    "classifier": _of("The head: for each class one weighted sum of the mean token."),
    "vote": _of("The logit that one token alone gives a class. At the last depth the logit is the mean of the votes."),
    "cosine": _of("The similarity of two directions: 1 for the same, 0 for orthogonal, -1 for opposite."),
    "attribution": _of("The contribution of each patch to the answer; methods define it differently."),
    "baseline": _of("A reference without content, such as black or the mean colour."),
    "gain": _of("How strongly a small change of one token changes another."),
    "deletion": _of("Patches are removed, the most important first; with a good map the score falls fast."),
    "insertion": _of("Patches are put back, the most important first; with a good map the score rises fast."),
}

_ANY = re.compile(rf"\b({'|'.join(sorted(map(re.escape, TERMS), key=len, reverse=True))})(e?s)?\b", re.IGNORECASE)


def underlined(*texts: str) -> Iterator[str]:
    """HTML of texts that belong together; the first use of each term is underlined."""
    seen = set[str]()

    def mark(found: re.Match[str]) -> str:
        name = next(term for term in TERMS if term.lower() == found[1].lower())
        if name in seen:
            return found[0]
        seen.add(name)
        return f'<dfn tabindex="0" aria-describedby="{_id(name)}">{found[0]}</dfn>'

    for text in texts:
        yield _ANY.sub(mark, escape(text))


def term_list(scope: Microscope) -> str:
    """HTML of the list of all terms, in alphabetical order."""
    items = (
        f"<dt>{escape(name)}</dt><dd id='{_id(name)}'>{escape(TERMS[name](scope))}</dd>"
        for name in sorted(TERMS, key=str.lower)
    )
    return f"<dl class='glossary'>{''.join(items)}</dl>"


def _id(term: str) -> str:
    return f"term-{term.replace(' ', '-')}"


VIEW = View(
    "glossary",
    "Glossary",
    "What do the underlined terms mean?",
    "Limits: other authors may use some terms in another way.",
    sees=lambda scope, s: None,
    draw=lambda scope, s: Drawn(html=term_list(scope)),
    always=True,
)
