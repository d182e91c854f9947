"""The app in a thread of this process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import app
from viz.microscope import Microscope


def free_port() -> int:
    """Gradio takes the first that is free, as do all servers that start at the same time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(scope: Microscope, port: int | None = None) -> Iterator[str]:
    """The address of the app of a network. port: without it, one that is free"""
    page = app.build(app.Networks(scope.source, scope))
    settings = {"server_port": port or free_port(), "prevent_thread_lock": True, "quiet": True, **app.LAUNCH}
    _, url, _ = page.launch(app_kwargs={"routes": app.ROUTES}, **settings)
    try:
        yield url
    finally:
        page.close()
