"""The boundary of every program: what comes from outside ends in a sentence, an error of ours in a traceback."""

import errno
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import torch

from mixer.errors import message, readable_errors, without_proxies


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device (free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "x.npz"), "x.npz: Permission denied (check your perm"),
        (OSError(errno.EROFS, "Read-only file system", "run"), "run: Read-only file system (name another folder)"),
        (FileNotFoundError("CIFAR-10 is not there: add --download"), "CIFAR-10 is not there: add --download"),
        (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "Connection reset by peer (check the conn",
        ),
        (ValueError("crop must be from 0 to 31, not 40"), "crop must be from 0 to 31, not 40"),
        (FloatingPointError("the loss is not finite"), "the loss is not finite"),
        (MemoryError(), "Out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "Out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), "Out of memory"),
        (KeyboardInterrupt(), "Stopped."),
    ],
)
def test_errors_from_outside_end_the_program_with_a_sentence(error: BaseException, words: str) -> None:
    with pytest.raises(SystemExit) as caught, readable_errors():
        raise error
    assert str(caught.value.code).startswith(words)
    assert "\n" not in str(caught.value.code)


@pytest.mark.parametrize("error", [KeyError("a"), TypeError("b"), AttributeError("c"), RuntimeError("d"), IndexError()])
def test_errors_of_our_own_stay_tracebacks(error: Exception) -> None:
    with pytest.raises(type(error)), readable_errors():
        raise error


def test_an_error_with_a_path_that_is_no_text_is_a_sentence_too() -> None:
    assert "bin" in message(FileNotFoundError(errno.ENOENT, "No such file or directory", b"/bin/x"))


def test_what_torch_says_where_a_cpu_s_memory_lacks_is_known() -> None:
    with pytest.raises(SystemExit, match="Out of memory"), readable_errors():
        torch.empty(2**60)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251", "gbk", "utf-8"])
def test_what_is_said_is_said_at_once_and_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding))
    with readable_errors():
        print("epoch 1 \u00b7 猫 \udce9.jpg")  # the last as in a file name that is no UTF-8
        assert written.getvalue().startswith(b"epoch 1 "), "before the buffer is full"
        assert written.getvalue().endswith(b" \\udce9.jpg" + os.linesep.encode())


@pytest.mark.process
def test_a_reader_who_leaves_early_is_no_error() -> None:
    root = Path(__file__).parent.parent.parent
    command = f"{sys.executable} main.py summary | head -1; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, encoding="utf-8", cwd=root)
    assert "Traceback" not in found.stderr
    assert "Exception" not in found.stderr


def test_proxies_are_set_aside_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with without_proxies():
        assert not {"HTTPS_PROXY", "ALL_PROXY"} & os.environ.keys()
    assert os.environ["HTTPS_PROXY"] == "socks5://127.0.0.1:9"
    assert os.environ["ALL_PROXY"] == "http://127.0.0.1:9"
