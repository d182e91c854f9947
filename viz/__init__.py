"""What happens inside a Mixer: records of its passes, measures on them, figures and panels.

In a notebook, `view(Microscope.load("checkpoints/seed"), "tokens.norms", sample=12)`, both from here, shows a view.
"""

from importlib import import_module
from typing import Any

_OFFERED = {"Microscope": "viz.microscope", "view": "viz.panels.notebook", "views": "viz.panels.notebook"}


def __getattr__(name: str) -> Any:
    """What a notebook needs, loaded when it is asked for: a question on its own loads no page."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)
