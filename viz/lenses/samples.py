"""The samples: the pictures that are offered, and which of them are listed."""

from html import escape
from itertools import product

from viz.lenses.view import MAX_PAIRED, Drawn, Lens, View, taken_for
from viz.microscope import Microscope
from viz.pictures import thumbnail_url
from viz.selection import Choice

TWO, WRONG = "two", "wrong"


def lens(scope: Microscope) -> Lens:
    """What is always on the page."""
    return Lens("specimen", "Specimen", "", ((_samples(scope),),))


def _samples(scope: Microscope) -> View:
    names = scope.samples.classes
    kinds_of = [(TWO, "two of each class"), *((name, name) for name in _own(scope))]
    if scope.knows_samples:
        pairs = product(names, names) if len(names) <= MAX_PAIRED else ()
        confused = [(f"{a}>{b}", taken_for(a, b)) for a, b in pairs]
        kinds_of = [*kinds_of[:1], (WRONG, "misclassified"), *kinds_of[1:], *confused]
    kinds = Choice("samples", "Samples", tuple(kinds_of), TWO)
    return View(
        "samples",
        "Samples",
        "Which test images, not used for training, are there to choose from?",
        f"Only {len(scope.samples)} samples: one picture does not represent its class.",
        lambda s: None,
        lambda scope, s: _draw_samples(scope, kinds.value(s)),
        options=(kinds,),
        needs=lambda scope, s: (
            () if kinds.value(s) in (TWO, *_own(scope)) else [scope.sample_tokens(len(scope.depth_names) - 1)]
        ),
    )


def _draw_samples(scope: Microscope, kind: str) -> Drawn:
    truths = [scope.truth(i) for i in range(len(scope.samples))]
    if kind == TWO:
        names = {i: truth for i, truth in enumerate(truths) if truths.index(truth) + 2 > i}
    elif kind in _own(scope):
        names = {i: truth for i, truth in enumerate(truths) if truth == kind}
    elif (answers := scope.sample_answers()) is None:
        return Drawn()
    else:
        pairs = list(zip(truths, (scope.classes[answer] for answer in answers), strict=True))
        names = {
            i: taken_for(a, b) for i, (a, b) in enumerate(pairs) if kind == f"{a}>{b}" or (kind == WRONG and a != b)
        }
    thumbnails = (
        f"<li><button type='button' data-words='sample={i}'>"
        f"<img src='{thumbnail_url(scope.samples.images[i].permute(1, 2, 0).numpy())}' alt=''>"
        f"{escape(name)}</button></li>"
        for i, name in sorted(names.items())
    )
    words = "" if names else "There is none among the samples."
    return Drawn(html=f"<ul class='thumbnails'>{''.join(thumbnails)}</ul>", words=words)


def _own(scope: Microscope) -> list[str]:
    """The classes whose samples can be asked for by their name alone."""
    return [name for name in scope.samples.classes if name not in (TWO, WRONG)]
