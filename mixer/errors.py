"""Errors as messages, and proxies."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import torch

ADVICE = {
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EDQUOT: "free some space, then run the same command again",
    errno.EACCES: "check your permissions, or name another folder",
    errno.EPERM: "check your permissions, or name another folder",
    errno.EROFS: "name another folder",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "check the name",
    errno.EISDIR: "name a file",
    errno.EIO: "the disk or the network drive may be damaged: try another one",
    errno.ENETUNREACH: "check the connection, then run the same command again",
    errno.ECONNREFUSED: "check the connection, then run the same command again",
    errno.ECONNRESET: "check the connection, then run the same command again",
}


@contextmanager
def readable_errors() -> Iterator[None]:
    """Exit with a message and status 1 for expected errors; other errors keep their traceback.

    Expected are errors of files, networks and devices (OSError), wrong values (ValueError), numbers that are not finite
    (FloatingPointError), too little memory, and Ctrl-C.

    Output is flushed after each line, also into a file. Characters that its encoding lacks are written as numbers.
    """
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        yield
    except BrokenPipeError:  # the reader has closed the pipe, as in: main.py summary | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports the error again at exit
        sys.exit(1)
    except (OSError, ValueError, FloatingPointError) as error:
        sys.exit(message(error))
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        sys.exit(message(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")


def message(error: BaseException) -> str:
    """The message of an expected error: the problem and the next step."""
    if lacks_memory(error):
        return "Out of memory: end other programs, or use fewer images at once or a smaller network"
    if isinstance(error, OSError) and error.errno and error.strerror:
        name = f"{error.filename}: " if error.filename is not None else ""
        advice = f" ({ADVICE[error.errno]})" if error.errno in ADVICE else ""
        return f"{name}{error.strerror}{advice}"
    return str(error)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was too small. torch has an error type for a GPU, and only a message for a CPU."""
    typed = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return typed or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


@contextmanager
def without_proxies() -> Iterator[None]:
    """Remove proxies from the environment inside the context.

    At start, Gradio requests its own address, which a proxy cannot reach. At import, it creates a client, which fails
    for an unknown type of proxy.
    """
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        os.environ.update(proxies)
