"""All views of one network, and what there is to choose for them."""

from viz.lenses import attribution, doubt, how_it_works, intervene, mixing, model, samples, tokens
from viz.lenses.view import View, element_id, full_name
from viz.microscope import Microscope
from viz.selection import Option, Page, first


class Lenses:
    """What a page, a notebook and a report show of a network."""

    def __init__(self, scope: Microscope, name: str = ""):
        """name: of the network in the list of networks, where there is one"""
        self.scope, self.name = scope, name
        self.specimen = samples.lens(scope)
        self.lenses = (
            how_it_works.lens(scope),
            tokens.lens(scope),
            *mixing.lenses(scope),
            attribution.lens(scope),
            doubt.lens(scope),
            *intervene.lenses(scope),
            model.lens(scope),
        )
        options = {option for lens in (self.specimen, *self.lenses) for option in lens.all_options}
        self.page = Page([lens.id for lens in self.lenses], sorted(options, key=lambda option: option.name))
        placed = {element_id(lens, view): (lens, view) for lens in (self.specimen, *self.lenses) for view in lens.views}
        self.views: dict[str, View] = {name: view for name, (_, view) in placed.items()}
        self.full_names = {name: full_name(lens, view) for name, (lens, view) in placed.items()}
        self.settings: dict[str, tuple[Option, ...]] = {
            name: (*lens.options, *view.options) for name, (lens, view) in placed.items()
        }
        self.places: dict[str, str | None] = {
            name: lens.id if lens is not self.specimen else None for name, (lens, _) in placed.items()
        }
        """for each view the lens that has to be open for it to be drawn, if any"""
        self.first = first(scope, self.page)
        """what is looked at before anything is chosen"""
