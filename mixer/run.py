"""The folder of a training run: a lock for one writer, the last good state, and the record of the training.

state.pt, state.previous.pt   the newest state and the one before it
history.jsonl                 one line per epoch, for people and plots; the state holds the same lines
.work/                        the lock, and unfinished files
checkpoint/                   the network, after the end of the run
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import torch
from filelock import FileLock, Timeout

from mixer import atomic_write, parallel
from mixer.data import Labelled
from mixer.model import MixerConfig
from mixer.record import upgrade

CURVES = ("epoch", "loss", "validation_accuracy")
"""fields of a history line that the learning curves show"""
NEWEST, PREVIOUS, DAMAGED, HISTORY, WORK = "state.pt", "state.previous.pt", "state.damaged.pt", "history.jsonl", ".work"

STATE = {"of", "earlier", "stages", "progress", "parts"}
"""required fields of a state"""


class RunError(ValueError):
    """A run cannot be started, continued or saved in its folder. The message has the reason and the next step."""


@dataclass
class Progress:
    """Progress of a run."""

    step: int = 0
    images: int = 0
    """images seen so far; repeated images count each time"""
    seconds: float = 0.0
    """training time"""
    loss: float = 0.0
    """sum over the steps since the last line of the history"""
    since: int = 0
    """step of the last line of the history"""


@dataclass
class Run:
    """A run in its folder. Inside `with`, only this process writes there.

    The operating system holds the lock (flock, or msvcrt on Windows; package filelock) and releases it when the process
    ends for any reason. With several processes (`mixer.parallel`), the first holds the lock and writes.
    """

    folder: Path
    identity: dict[str, Any] = field(default_factory=dict)
    """values that cannot change within a run; `resume` adds network, data and seed"""
    teacher: Sequence[str] = ()
    """names of the teachers, for the record"""
    device: str = "unknown"
    """name of the training device, for the record"""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """stages of the initial weights (`--init`)"""
    progress: Progress = field(default_factory=Progress)
    stages: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> "Run":
        self._lock = FileLock(self.folder / WORK / "lock", timeout=0)
        if parallel.is_first():
            try:
                (self.folder / WORK).mkdir(parents=True, exist_ok=True)
                self._lock.acquire()
            except Timeout as error:
                raise RunError(
                    f"another process is training in {self.folder}: wait until it has ended, or choose another folder "
                    "with --run"
                ) from error
            except OSError as error:
                raise RunError(f"{self.folder} cannot be written: {error}. Choose another folder with --run") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def begun(self) -> bool:
        """Whether the folder has a state to continue from."""
        return (self.folder / NEWEST).exists() or (self.folder / PREVIOUS).exists()

    @property
    def epochs(self) -> float:
        """Mean number of times that each training image was seen."""
        return self.progress.images / self._images

    def resume(self, network: MixerConfig, data: Labelled, seed: int) -> dict[str, Any]:
        """Load the state of the folder; returns the `parts` of the last `save`, empty for a new run.

        Raises RunError, with nothing written, if the run in the folder has another identity or cannot be read.
        """
        with parallel.main_process_first():
            self.identity |= {"network": asdict(network), "seed": seed}
            self.identity["data"] = {"training images": len(data), "digest": data.digest()}
            state = self._last_good()
            if state is None:
                if (self.folder / HISTORY).exists() and (self.folder / HISTORY).stat().st_size:
                    raise RunError(
                        f"{self.folder / HISTORY} exists without a {NEWEST}, so the run cannot continue, and a new run "
                        "would overwrite it. Choose another folder with --run, or move that file away"
                    )
                return {}
            self.earlier, self.stages = upgrade(state["earlier"]), upgrade(state["stages"])
            self.progress = Progress(**state["progress"])
            if parallel.is_first():
                self._write_history()
            return state["parts"]

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Use this recipe for the next steps. Another recipe or device than before starts a new stage."""
        named = {name: value for name, value in self.identity.items() if not isinstance(value, dict)}
        named |= {"blocks": self.identity["network"]["num_blocks"], "teacher": list(self.teacher)}
        now = {"device": self.device, "recipe": {**recipe, **named}}
        if not self.stages or any(self.stages[-1][name] != value for name, value in now.items()):
            self.stages.append({**now, "begun": asdict(self.progress), "history": []})

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the history; it is written with the next state."""
        self.stages[-1]["history"].append(dict(line))

    def save(self, parts: Mapping[str, Any]) -> None:
        """Save the state and keep the previous one. Raises RunError if writing fails."""
        if not parallel.is_first():
            return
        state = {"of": self.identity, "earlier": self.earlier, "stages": self.stages}
        with self._written(NEWEST, PREVIOUS) as file:
            content = BytesIO()  # torch.save has no readable error for a full disk
            torch.save({**state, "progress": asdict(self.progress), "parts": dict(parts)}, content)
            file.write(content.getbuffer())
        self._write_history()

    def record(self) -> list[dict[str, Any]]:
        """All training stages of the network, for `metrics.json`; each counts from its own start."""
        begun = [Progress(**stage["begun"]) for stage in self.stages]
        images = self._images
        return [
            *self.earlier,
            *(
                {
                    "epochs": round((end.images - start.images) / images, 2),
                    "hours": round((end.seconds - start.seconds) / 3600, 2),
                    "device": stage["device"],
                    "recipe": stage["recipe"],
                    "history": [_since(start, line, images) for line in stage["history"]],
                }
                for stage, start, end in zip(self.stages, begun, [*begun[1:], self.progress], strict=True)
            ),
        ]

    @property
    def _images(self) -> int:
        return self.identity["data"]["training images"]

    def _last_good(self) -> dict[str, Any] | None:
        """The newest readable state, moved to `NEWEST` if it was the previous one; None in a folder without a state."""
        newest, previous = self.folder / NEWEST, self.folder / PREVIOUS
        problems = []
        for file in (newest, previous):
            try:
                state = _read(file)
            except FileNotFoundError:
                continue
            except _Damaged as error:
                problems.append(str(error))
                continue
            self._check(state, file)
            if file == previous and parallel.is_first():
                if newest.exists():
                    atomic_write.replace(newest, self.folder / DAMAGED)
                atomic_write.replace(previous, newest)
                reason = f"{problems[0]}, so it is now {DAMAGED}" if problems else f"{newest} is missing"
                print(f"{reason}; the run continues from the previous state, step {state['progress']['step']}")
            return state
        if problems:
            raise RunError(
                f"{' and '.join(problems)}: no state can be read. Choose another folder with --run (--init starts from "
                "a checkpoint), or move the damaged files away to start again in this folder"
            )
        return None

    def _check(self, state: Any, file: Path) -> None:
        if not isinstance(state, dict) or not state.keys() >= STATE:
            raise RunError(
                f"{file} is not a state of this version: an earlier version or another program wrote it. Choose "
                "another folder with --run; --init starts from the run's checkpoint, if it has one"
            )
        there, here = differences(_flat(state["of"]), _flat(self.identity))
        if there:
            raise RunError(
                f"{self.folder} is a run of {there}, not of {here}, which cannot change within a run. Choose another "
                "folder with --run, or use the values of this run"
            )
        self.identity = {**self.identity, **state["of"]}

    def _write_history(self) -> None:
        lines = [json.dumps(line) + "\n" for stage in self.stages for line in stage["history"]]
        if lines:
            with self._written(HISTORY) as file:
                file.write("".join(lines).encode())

    @contextmanager
    def _written(self, name: str, before: str | None = None) -> Iterator[BinaryIO]:
        """Write a file, then move it into place when it is complete on the disk. The old file becomes `before`."""
        unfinished, target = self.folder / WORK / name, self.folder / name
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if before and target.exists():
                atomic_write.replace(target, self.folder / before)
            atomic_write.replace(unfinished, target)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            remedy = "free some space" if error.errno in full else "fix that"
            raise RunError(
                f"{target} could not be written: {error}. The last saved state is intact: {remedy}, then the same "
                "command continues from it"
            ) from error


def history(folder: Path) -> list[dict[str, Any]]:
    """The history of a run, finished or not: one dictionary per epoch. An incomplete last line is ignored.

    Raises RunError if the history is empty or damaged.
    """
    file = folder / HISTORY
    text = file.read_text(errors="replace", encoding="utf-8") if file.exists() else ""
    try:
        lines = [dict(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]
        if any(not isinstance(line.get(name), (int, float)) for line in lines for name in CURVES):
            raise ValueError(f"a line lacks one of the numbers {', '.join(CURVES)}")
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}. Continue the run: that writes it again from {NEWEST}") from error
    if not lines:
        raise RunError(
            f"{folder} has no finished epoch: {file} has no lines. Name the folder of a run, such as runs/seed, or "
            "wait until its first epoch has ended"
        )
    return lines


def saved(folder: Path, weights: bool = True) -> tuple[Run, dict[str, Any]]:
    """The last saved state of a run, which may be training, and its parts with the weights. Raises RunError.

    weights: whether to read the weights; without them only a small part of the file is read
    """
    try:
        state = _read(folder / NEWEST, weights)
    except (FileNotFoundError, _Damaged) as error:
        raise RunError(f"{folder} has no readable state: {error}") from error
    if not isinstance(state, dict) or not state.keys() >= STATE:
        raise RunError(
            f"{folder / NEWEST} is not a state of this version: an earlier version or another program wrote it"
        )
    earlier, stages, progress = upgrade(state["earlier"]), upgrade(state["stages"]), Progress(**state["progress"])
    return Run(folder, state["of"], earlier=earlier, stages=stages, progress=progress), state["parts"]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, str]:
    """The entries of both with different values, as text, for each of them; empty if they agree."""
    names = [name for name in here if name in there and here[name] != there[name]]
    first, second = (", ".join(f"{name} {values[name]}" for name in names) for values in (there, here))
    return first, second


class _Damaged(Exception):
    """A file can be opened, but its content is damaged."""


def _read(file: Path, weights: bool = True) -> Any:
    try:
        file.open("rb").close()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error}. Fix that, or choose another folder with --run") from error
    try:
        with ZipFile(file) as archive:  # torch.load does not check checksums
            if weights and archive.testzip():
                raise BadZipFile
        return torch.load(file, map_location="cpu", weights_only=True, mmap=not weights)
    except BadZipFile as error:
        raise _Damaged(f"{file} is incomplete or damaged") from error
    except Exception as error:  # zip, pickle and torch raise many types of errors for malformed files
        raise _Damaged(f"{file} is damaged ({type(error).__name__}: {error})") from error


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries merged into one."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _since(start: Progress, line: Mapping[str, Any], images: int) -> dict[str, Any]:
    """A history line with its counts relative to the start of its stage."""
    counted = {
        "step": line["step"] - start.step,
        "images": line["images"] - start.images,
        "epoch": (line["images"] - start.images) / images,
        "seconds": round(line["seconds"] - start.seconds, 1),
    }
    return {**line, **counted}
