"""Inside an MLP-Mixer: records of its forward passes, measures on them, figures, and the page.

    from viz import Microscope, attribute, view
    scope = Microscope.load("checkpoints/seed")
    view(scope, "tokens.norms", sample=12)
    attribute(scope, ["photo.jpg"], "Integrated Gradients")

- `Microscope` holds a network, its samples and a cache of results; `trace` records one pass.
- `views` lists the views, `view` and `view_many` show one; `attribute` explains the answers to many pictures.
- `METHODS` and `LENSES` are the tables of methods and tabs: another program can add rows. The other names are the
  types of such rows.

docs/library.md has an example of each. Modules are imported at the first access.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:  # for editors, which do not run the code
    from viz.attribution.methods import METHODS as METHODS
    from viz.attribution.methods import FromGradients as FromGradients
    from viz.attribution.methods import Method as Method
    from viz.attribution.methods import Raw as Raw
    from viz.capture import trace as trace
    from viz.lenses.all import LENSES as LENSES
    from viz.lenses.view import Drawn as Drawn
    from viz.lenses.view import Lens as Lens
    from viz.lenses.view import Numbers as Numbers
    from viz.lenses.view import View as View
    from viz.microscope import Microscope as Microscope
    from viz.notebook import attribute as attribute
    from viz.notebook import view as view
    from viz.notebook import view_many as view_many
    from viz.notebook import views as views

_OFFERED = {
    "Microscope": "viz.microscope",
    "attribute": "viz.notebook",
    "trace": "viz.capture",
    "view": "viz.notebook",
    "view_many": "viz.notebook",
    "views": "viz.notebook",
    "METHODS": "viz.attribution.methods",
    "FromGradients": "viz.attribution.methods",
    "Method": "viz.attribution.methods",
    "Raw": "viz.attribution.methods",
    "LENSES": "viz.lenses.all",
    "Drawn": "viz.lenses.view",
    "Lens": "viz.lenses.view",
    "Numbers": "viz.lenses.view",
    "View": "viz.lenses.view",
}
__all__ = list(_OFFERED)


def __getattr__(name: str) -> object:
    """Import a public name at its first access, so that an attribution does not load the page."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted([*_OFFERED, *(name for name in globals() if name.startswith("__"))])
