"""The app in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import app
from viz.microscope import Microscope


@contextmanager
def served(scope: Microscope, port: int | None = None) -> Iterator[str]:
    """The address of the app of a network. port: without it, the first that is free"""
    networks = app.Networks(scope.source, app.LAUNCH)
    page = networks.build(scope)
    settings = {"server_port": port, "prevent_thread_lock": True, "quiet": True, **app.LAUNCH}
    _, url, _ = page.launch(app_kwargs={"routes": networks.routes}, **settings)
    try:
        yield url
    finally:
        page.close()
