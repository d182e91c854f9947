"""Errors as messages, and proxies."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import torch

ADVICE = {
    errno.ENOSPC: "free some space there, then give the same command again",
    errno.EDQUOT: "free some space there, then give the same command again",
    errno.EACCES: "check that you may read and write there, or name another place",
    errno.EPERM: "check that you may read and write there, or name another place",
    errno.EROFS: "name another place",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "check the name",
    errno.EISDIR: "name a file",
    errno.EIO: "the disk or the network drive may be damaged: try another place",
    errno.ENETUNREACH: "check the connection, then give the same command again",
    errno.ECONNREFUSED: "check the connection, then give the same command again",
    errno.ECONNRESET: "check the connection, then give the same command again",
}


@contextmanager
def readable_errors() -> Iterator[None]:
    """The boundary of a program: errors from outside end it with a sentence and exit status 1.

    What is said is said at once, also into a file, and a letter that the output's encoding lacks is written as its
    number.

    From outside are files, networks and devices (OSError), wrong values (ValueError, which names value and remedy),
    numbers that left the range (FloatingPointError), too little memory, and Ctrl-C. Any other error is one of the
    program's own, and stays a traceback.
    """
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        yield
    except BrokenPipeError:  # whoever read the output has seen enough, as in: main.py summary | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
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
    """An error from outside, for people: what is wrong with what, and the next step."""
    if lacks_memory(error):
        return "The memory does not suffice: end other programs, or take fewer images at once or a smaller network"
    if isinstance(error, OSError) and error.errno and error.strerror:
        name = f"{error.filename}: " if error.filename is not None else ""
        advice = f" ({ADVICE[error.errno]})" if error.errno in ADVICE else ""
        return f"{name}{error.strerror}{advice}"
    return str(error)


def lacks_memory(error: BaseException) -> bool:
    """Whether there was too little memory; torch has an error of its own for a GPU's, and only words for a CPU's."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


@contextmanager
def without_proxies() -> Iterator[None]:
    """Within, the environment names no proxy.

    Gradio asks for its own address when it starts, which no proxy can reach, and makes a client when it is imported,
    which fails where the environment's proxy is of a kind that it does not know.
    """
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        os.environ.update(kept)
