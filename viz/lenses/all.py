"""All views of a network, and the options of a page."""

from collections.abc import Callable
from urllib.parse import parse_qsl

from viz.lenses import attribution, doubt, how_it_works, intervene, learn, mixing, model, samples, tokens
from viz.lenses.view import Lens, View, element_id, full_name
from viz.microscope import Microscope
from viz.selection import Choice, Choices, Option, first

MOVED = {
    "doubt.losing": "doubt.picture",
    "doubt.maps": "attribution.maps",
    "how.detail": "how.network",
    "how.glossary": "learn.glossary",
    "how.motion": "how.network",
    "how.paper": "learn.paper",
    "how.reading": "learn.reading",
    "how.votes": "tokens.votes?depth={last}",
    "mixing.image.formula": "mixing.image.matrix",
    "mixing.image.from": "mixing.image.map?line=column",
    "mixing.image.to": "mixing.image.map?line=row",
    "mixing.network.error": "mixing.network.matrix",
    "mixing.network.from": "mixing.network.map?line=column",
    "mixing.network.to": "mixing.network.map?line=row",
    "mixing.unit.drivers": "mixing.unit.samples",
    "mixing.unit.reads": "mixing.unit.weights",
    "mixing.unit.writes": "mixing.unit.weights",
    "mixing.wiring.to": "mixing.wiring.map?line=row",
    "tokens.given": "how.network?part=picture",
    "tokens.lens": "how.lens",
    "tokens.matrix": "tokens.similarity?similar=pairs",
    "tokens.updates": "tokens.norms?norms=updates",
    "whatif.knockout.halves": "whatif.ablation.sublayers",
    "whatif.knockout.units": "whatif.ablation.units",
    "whatif.patching.pair": "whatif.patching.updates",
    "whatif.smallest.keep": "whatif.smallest.search?goal=keep",
    "whatif.smallest.paste": "whatif.smallest.search?goal=paste",
    "whatif.smallest.remove": "whatif.smallest.search?goal=remove",
}
"""earlier names of views: the current view, and the parameters with which it shows the same"""
RENAMED = {"gone": "fill", "knocked": "ablation", "whatif.knockout": "whatif.ablation"}
"""earlier names of options and lenses"""


def now_at(scope: Microscope, name: str) -> tuple[str, dict[str, str]]:
    """The current name of a view, and the parameters that an earlier name requires."""
    found, _, words = MOVED.get(name, name).replace("{last}", scope.depth_names[-1]).partition("?")
    return found, dict(parse_qsl(words))


LENSES: list[Callable[[Microscope], Lens | tuple[Lens, ...]]] = [
    how_it_works.lens,
    tokens.lens,
    mixing.lenses,
    attribution.lens,
    doubt.lens,
    intervene.lenses,
    model.lens,
]
"""the tabs, in their order; Learn follows. Other programs may add their own"""


def _lenses(scope: Microscope) -> tuple[Lens, ...]:
    made = [make(scope) for make in LENSES]
    shown = [lens for one in made for lens in ((one,) if isinstance(one, Lens) else one)]
    return (*shown, learn.lens(shown))


SCALE = Choice("scale", "Scale", (("one", "one for both"), ("own", "each its own")), "one")
"""the colour scales of the pinned and the current figure"""


class Lenses:
    """All lenses of one network, for page, notebook and report."""

    def __init__(self, scope: Microscope, name: str = "", further: bool = False):
        """name: that of the network in the list of networks, if any

        further: whether links must contain the name, as the server's first network is another one
        """
        self.scope, self.name, self.further = scope, name, further
        self.specimen = samples.lens(scope)
        self.lenses = _lenses(scope)
        options = {SCALE, *(option for lens in (self.specimen, *self.lenses) for option in lens.all_options)}
        self.page = Choices([lens.id for lens in self.lenses], sorted(options, key=lambda option: option.name), RENAMED)
        placed = {element_id(lens, view): (lens, view) for lens in (self.specimen, *self.lenses) for view in lens.views}
        self.views: dict[str, View] = {name: view for name, (_, view) in placed.items()}
        self.named: dict[str, tuple[Lens, View]] = {
            full_name(lens, view): (lens, view) for lens, view in placed.values()
        }
        """all views by their full names, such as mixing.unit.weights"""
        self.full_names = {name: full_name(lens, view) for name, (lens, view) in placed.items()}
        self.settings: dict[str, tuple[Option, ...]] = {
            name: (*lens.options, *view.options) for name, (lens, view) in placed.items()
        }
        self.lens_of: dict[str, str | None] = {
            name: None if lens is self.specimen or view.always else lens.id for name, (lens, view) in placed.items()
        }
        """by view: the lens that must be open; None if the view is always drawn"""
        self.first = first(scope, self.page)
        """the first selection"""
