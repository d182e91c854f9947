"""What happens inside a Mixer: records of its passes, measures on them, figures, and the page.

In a notebook, `view(Microscope.load("checkpoints/seed"), "tokens.norms", sample=12)`, both from here, shows a view;
`views` lists them.
"""

from importlib import import_module as _import_module

_OFFERED = {"Microscope": "viz.microscope", "view": "viz.notebook", "views": "viz.notebook"}
__all__ = list(_OFFERED)


def __getattr__(name: str) -> object:
    """What a notebook needs, loaded when it is asked for: a question on its own loads no page."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted([*_OFFERED, *(name for name in globals() if name.startswith("__"))])
