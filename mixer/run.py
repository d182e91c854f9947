"""The folder of a training run: one writer, the last good state, and the record of what was done.

state.pt, state.previous.pt   the newest state and the one before it
history.jsonl                 a line for each epoch, for people and plots; the state holds the same lines
.work/                        the lock, and files while they are written
checkpoint/                   the network, once the run has ended
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

DRAWN = ("epoch", "loss", "validation_accuracy")
"""of a line of the history, what the curves show"""
NEWEST, PREVIOUS, DAMAGED, HISTORY, WORK = "state.pt", "state.previous.pt", "state.damaged.pt", "history.jsonl", ".work"

STATE = {"of", "earlier", "stages", "progress", "parts"}
"""what a state says"""


class RunError(ValueError):
    """A run cannot be started, continued or saved in its folder; the message says why, and what to do."""


@dataclass
class Progress:
    """How far a run is."""

    step: int = 0
    images: int = 0
    """seen so far, each as often as it was seen"""
    seconds: float = 0.0
    """spent on it"""
    loss: float = 0.0
    """sum over the steps since the last line of the history"""
    since: int = 0
    """the step of that line"""


@dataclass
class Run:
    """A run in its folder. Within `with`, this process is the only one that writes there.

    The lock is the operating system's (flock, or msvcrt on Windows, by the package filelock): however the process
    ends, the lock ends with it. Of several processes that train together, the first holds it and writes.
    """

    folder: Path
    identity: dict[str, Any] = field(default_factory=dict)
    """what the run is of and stays, by name; `resume` adds network, data and seed"""
    teacher: Sequence[str] = ()
    """names of the teachers, for the record"""
    device: str = "unknown"
    """what it is trained on, for the record"""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """the record of the weights that it starts from"""
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
                    f"another process is training in {self.folder}, and only one can: wait until it has ended, or "
                    "choose another folder with --run"
                ) from error
            except OSError as error:
                raise RunError(f"{self.folder} cannot be written: {error}. Choose another folder with --run") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def begun(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / NEWEST).exists() or (self.folder / PREVIOUS).exists()

    @property
    def epochs(self) -> float:
        """How often each training image was seen, on average."""
        return self.progress.images / self._images

    def resume(self, network: MixerConfig, data: Labelled, seed: int) -> dict[str, Any]:
        """Take up what the folder holds; returns what `save` was given, empty for a new run.

        Raises RunError, with nothing written, where the run in the folder is of something else, or cannot be read.
        """
        with parallel.main_process_first():
            self.identity |= {"network": asdict(network), "seed": seed}
            self.identity["data"] = {"training images": len(data), "digest": data.digest()}
            state = self._last_good()
            if state is None:
                if (self.folder / HISTORY).exists() and (self.folder / HISTORY).stat().st_size:
                    raise RunError(
                        f"{self.folder / HISTORY} is there without a {NEWEST}, so the run cannot go on, and a new one "
                        "would replace it. Choose another folder with --run, or move that file away"
                    )
                return {}
            self.earlier, self.stages, self.progress = state["earlier"], state["stages"], Progress(**state["progress"])
            if parallel.is_first():
                self._write_history()
            return state["parts"]

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """The next steps follow this recipe: a new stage, if it or the device is another than before."""
        named = {name: value for name, value in self.identity.items() if not isinstance(value, dict)}
        named |= {"blocks": self.identity["network"]["num_blocks"], "teacher": list(self.teacher)}
        now = {"device": self.device, "recipe": {**recipe, **named}}
        if not self.stages or any(self.stages[-1][name] != value for name, value in now.items()):
            self.stages.append({**now, "begun": asdict(self.progress), "history": []})

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the history; it is written with the next state."""
        self.stages[-1]["history"].append(dict(line))

    def save(self, parts: Mapping[str, Any]) -> None:
        """Keep the state, and the one before it. Raises RunError where the disk does not take it."""
        if not parallel.is_first():
            return
        state = {"of": self.identity, "earlier": self.earlier, "stages": self.stages}
        with self._written(NEWEST, PREVIOUS) as file:
            content = BytesIO()  # as torch.save does not say it in words when a disk is full
            torch.save({**state, "progress": asdict(self.progress), "parts": dict(parts)}, content)
            file.write(content.getbuffer())
        self._write_history()

    def record(self) -> list[dict[str, Any]]:
        """All stages that the network went through, for `metrics.json`; each counts from where it began."""
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
        """The newest state that can be read, in its place; None in a folder without any."""
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
                print(f"{reason}; the run goes on from the state before it, step {state['progress']['step']}")
            return state
        if problems:
            raise RunError(
                f"{' and '.join(problems)}: there is no good state to go on from. Choose another folder with --run "
                "(--init goes on from a checkpoint), or move the damaged files away to start again in this one"
            )
        return None

    def _check(self, state: Any, file: Path) -> None:
        if not isinstance(state, dict) or not state.keys() >= STATE:
            raise RunError(
                f"{file} does not say what it is a run of: an earlier version of this program wrote it, or another "
                f"program. Choose another folder with --run; --init goes on from a checkpoint, if the run has one"
            )
        there, here = differences(_flat(state["of"]), _flat(self.identity))
        if there:
            raise RunError(
                f"{self.folder} is a run of {there}, not of {here}, and that cannot change within a run. Choose "
                "another folder with --run, or ask for what this one was started with"
            )
        self.identity = {**self.identity, **state["of"]}

    def _write_history(self) -> None:
        lines = [json.dumps(line) + "\n" for stage in self.stages for line in stage["history"]]
        if lines:
            with self._written(HISTORY) as file:
                file.write("".join(lines).encode())

    @contextmanager
    def _written(self, name: str, before: str | None = None) -> Iterator[BinaryIO]:
        """A file that takes its place only when it is whole and on the disk. What stood there becomes `before`."""
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
            remedy = "make room" if error.errno in full else "mend that"
            raise RunError(
                f"{target} could not be written: {error}. What was saved before is intact: {remedy}, then the same "
                "command goes on from there"
            ) from error


def history(folder: Path) -> list[dict[str, Any]]:
    """What a run, finished or not, knows of each of its epochs; a last line that was cut off is left out.

    Raises RunError where there is none yet, and for a file that is damaged.
    """
    file = folder / HISTORY
    text = file.read_text(errors="replace", encoding="utf-8") if file.exists() else ""
    try:
        lines = [dict(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]
        if any(not isinstance(line.get(name), (int, float)) for line in lines for name in DRAWN):
            raise ValueError(f"a line lacks one of the numbers {', '.join(DRAWN)}")
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}. Continuing the run writes it again from {NEWEST}") from error
    if not lines:
        raise RunError(
            f"{folder} has no finished epoch: there is nothing in {file}. Name the folder of a run, as "
            "runs/seed, or wait until its first epoch has ended"
        )
    return lines


def saved(folder: Path, weights: bool = True) -> tuple[Run, dict[str, Any]]:
    """A run as it was last saved, also while it goes on, and its parts, which hold the weights. Raises RunError.

    weights: whether they are wanted; without them only what the state says is read of the file, whatever its size
    """
    try:
        state = _read(folder / NEWEST, weights)
    except (FileNotFoundError, _Damaged) as error:
        raise RunError(f"{folder} has no state that can be read: {error}") from error
    if not isinstance(state, dict) or not state.keys() >= STATE:
        raise RunError(f"{folder / NEWEST} does not say what it is a run of: another program wrote it, or an old one")
    progress = Progress(**state["progress"])
    return Run(folder, state["of"], earlier=state["earlier"], stages=state["stages"], progress=progress), state["parts"]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, str]:
    """What both name but not alike, as words: of the first, of the second; both empty where they agree."""
    names = [name for name in here if name in there and here[name] != there[name]]
    first, second = (", ".join(f"{name} {values[name]}" for name in names) for values in (there, here))
    return first, second


class _Damaged(Exception):
    """A file is there and can be opened, but its bytes are not those that were written."""


def _read(file: Path, weights: bool = True) -> Any:
    try:
        file.open("rb").close()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error}. Mend that, or choose another folder with --run") from error
    try:
        with ZipFile(file) as archive:  # torch.load does not notice a bit that has flipped
            if weights and archive.testzip():
                raise BadZipFile
        return torch.load(file, map_location="cpu", weights_only=True, mmap=not weights)
    except BadZipFile as error:
        raise _Damaged(f"{file} is cut off or damaged") from error
    except Exception as error:  # zip, pickle and torch have errors of many kinds for bytes that are not theirs
        raise _Damaged(f"{file} is damaged ({type(error).__name__}: {error})") from error


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Dictionaries within are taken out of it."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _since(start: Progress, line: Mapping[str, Any], images: int) -> dict[str, Any]:
    """A line of the history, counted from the start of its stage."""
    counted = {
        "step": line["step"] - start.step,
        "images": line["images"] - start.images,
        "epoch": (line["images"] - start.images) / images,
        "seconds": round(line["seconds"] - start.seconds, 1),
    }
    return {**line, **counted}
