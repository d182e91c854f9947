"""The app in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import app
from viz.microscope import Microscope


@contextmanager
def served(scope: Microscope) -> Iterator[str]:
    """The address of the app of a network."""
    networks = app.Networks(scope.source, app.LAUNCH)
    page = networks.build(scope)
    others = {"routes": networks.routes}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, app_kwargs=others, **app.LAUNCH)
    try:
        yield url
    finally:
        page.close()
