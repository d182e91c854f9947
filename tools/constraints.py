"""Write the installed versions of the app's direct and indirect requirements: `make constraints`."""

from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FILE = ROOT / "constraints.txt"


def requirements(file: Path = ROOT / "requirements.txt") -> list[Requirement]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def installed() -> dict[str, str]:
    """The version of each package by name, without requirements of other systems, which are not installed."""
    found: dict[str, str] = {}
    queue, done = requirements(), set[tuple[str, frozenset[str]]]()
    while queue:
        wanted = queue.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        for needed in map(Requirement, requires(name) or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                queue.append(needed)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    head = "# versions that pass all tests together (`make constraints`); README.md describes their use"
    FILE.write_text("\n".join([head, *map("==".join, installed().items())]) + "\n", encoding="utf-8")
