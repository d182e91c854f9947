"""The words of the field, as this page means them: underlined where they are used, and in one list."""

import re
from collections.abc import Callable, Iterator
from html import escape

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
        f"What the network holds for one place: {scope.model.config.hidden_dim} numbers, a row of the table. At first "
        "it tells of its own patch alone, after the first token mixing of all of them."
    ),
    "channel": lambda scope: (
        f"One of the {scope.model.config.hidden_dim} numbers of every token: a column of the table, with one value for "
        "each place."
    ),
    "stem": lambda scope: (
        f"What makes the first tokens: the {scope.grid.values} numbers of a patch, weighted and added up, the same way "
        "for every patch."
    ),
    "block": lambda scope: (
        f"One token mixing and one channel mixing, in turn; there are {len(scope.model.blocks)}, counted from 1."
    ),
    "depth": _of(
        "How far the network has come: stem, then 1a (after token mixing of block 1), 1b (after its channel "
        "mixing), 2a, and so on."
    ),
    "token mixing": _of(
        "The half of a block in which every channel goes through one MLP over all places. Nothing else "
        "carries anything from one place to another."
    ),
    "channel mixing": _of(
        "The half of a block in which every token goes through one MLP over all its channels, each place by itself."
    ),
    "MLP": _of("Two layers of weighted sums with a GELU between them."),
    "unit": lambda scope: (
        f"One of the sums in the middle of an MLP; {scope.model.config.tokens_mlp_dim} in a token mixing, "
        f"{scope.model.config.channels_mlp_dim} in a channel mixing."
    ),
    "GELU": _of(
        "The bend between the two layers of an MLP: it lets what is positive through and holds back what is "
        "negative. Without it, two layers would be no more than one."
    ),
    "LayerNorm": _of(
        "Takes the mean out of a token and divides by its deviation, so that its length does not count; "
        "then scales each channel."
    ),
    "residual path": _of("What a half-block makes is added to the tokens, not put in their place."),
    "logit": _of("The number that the head gives a class; the softmax turns all logits together into probabilities."),
    "classifier": _of("The head: for each class one weighted sum of the mean token."),
    "vote": _of("The logit that one token alone gives a class. At the last depth the mean of the votes is the logit."),
    "cosine": _of("How alike two tokens are in direction: 1 for the same, 0 for nothing in common, -1 for opposite."),
    "attribution": _of("A share of the answer for each patch, by some method; methods differ in what they ask."),
    "baseline": _of("What a picture is compared with, in which nothing is to be seen: a black one, its mean colour."),
    "gain": _of("By how much a small change of one token grows on its way to another."),
    "deletion": _of("Patches are taken away, the most important first; a sound map makes the answer fall fast."),
    "insertion": _of("Patches are put back, the most important first; a sound map makes the answer rise fast."),
}

_ANY = re.compile(rf"\b({'|'.join(sorted(map(re.escape, TERMS), key=len, reverse=True))})(e?s)?\b", re.IGNORECASE)


def underlined(*texts: str) -> Iterator[str]:
    """HTML of texts that stand together, with each term underlined where it is first used."""
    seen = set[str]()

    def mark(found: re.Match[str]) -> str:
        name = next(term for term in TERMS if term.lower() == found[1].lower())
        if name in seen:
            return found[0]
        seen.add(name)
        return f'<dfn tabindex="0" aria-describedby="{_id(name)}">{found[0]}</dfn>'

    for text in texts:
        yield _ANY.sub(mark, escape(text))


def listed(scope: Microscope) -> str:
    """HTML of the list of all terms, in the order of the alphabet."""
    items = (
        f"<dt>{escape(name)}</dt><dd id='{_id(name)}'>{escape(TERMS[name](scope))}</dd>"
        for name in sorted(TERMS, key=str.lower)
    )
    return f"<dl class='glossary'>{''.join(items)}</dl>"


def _id(term: str) -> str:
    return f"term-{term.replace(' ', '-')}"
