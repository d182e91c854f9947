"""Who may import whom (design): walls, and lenses that are values."""

import ast
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Wall:
    """What some files never import."""

    files: tuple[str, ...]
    forbidden: frozenset[str]
    may: tuple[tuple[str, str], ...] = ()
    """(file, what it alone imports)"""

    def breaches(self, root: Path) -> list[tuple[str, str]]:
        """(file, what it imports and must not)"""
        found = []
        for pattern in self.files:
            files = sorted(root.glob(pattern))
            assert files, pattern
            for file in files:
                name = file.relative_to(root).as_posix()
                found += [
                    (name, wrong) for wrong in sorted(imported(file.read_text(encoding="utf-8")) & self.forbidden)
                ]
        return [breach for breach in found if breach not in self.may]


WALLS = {
    "the network knows nothing of what looks at it": Wall(
        ("mixer/**/*.py",), frozenset({"viz", "gradio", "plotly", "captum", "app", "main"})
    ),
    "figures know no network": Wall(
        ("viz/figures/**/*.py",),
        frozenset({"torch", "mixer", "gradio", "captum", "viz.lenses", "viz.page", "viz.microscope"}),
    ),
    "questions know no figure, no lens and no page": Wall(
        ("viz/mixing/**/*.py", "viz/attribution/**/*.py", "viz/doubt/**/*.py", "viz/intervene/**/*.py", "viz/*.py"),
        frozenset({"gradio", "plotly", "viz.figures", "viz.lenses", "viz.page", "app", "main"}),
        (
            ("viz/learning_curves.py", "viz.figures"),  # it draws how a training went, for `main.py plot`, too
            ("viz/__init__.py", "viz.lenses"),  # for editors, which do not run it
            *(("viz/notebook.py", f"viz.{shown}") for shown in ("figures", "lenses", "page")),  # it shows views
        ),
    ),
    "a lens is a value": Wall(
        ("viz/lenses/**/*.py",), frozenset({"torch", "plotly", "captum", "gradio", "viz.page", "app", "main"})
    ),
    "the page computes nothing and draws nothing": Wall(
        ("viz/page/**/*.py",), frozenset({"torch", "plotly", "captum", "app", "main"})
    ),
    "what a report and a notebook read knows no server": Wall(
        tuple(
            f"viz/page/{name}.py" for name in ("instrument", "markup", "photo", "pin", "report", "session", "specimen")
        ),
        frozenset({"gradio", "viz.page.app", "viz.page.networks", "viz.page.endpoint"}),
    ),
}


@cache
def imported(source: str) -> frozenset[str]:
    """The packages and modules that a source imports, wherever in it: `a.b.c` is a, a.b and a.b.c."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    parts = [name.split(".") for name in names]
    return frozenset(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1))


@pytest.mark.parametrize("wall", WALLS.values(), ids=WALLS)
def test_imports_go_one_way(wall: Wall) -> None:
    assert wall.breaches(ROOT) == []


@pytest.mark.parametrize("wall", WALLS.values(), ids=WALLS)
def test_every_wall_can_be_breached_anywhere(wall: Wall, tmp_path: Path) -> None:
    for folder in ("mixer", "viz"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.npz", "__pycache__"))
    for pattern in wall.files:
        for number, wrong in enumerate(sorted(wall.forbidden)):
            file = sorted(tmp_path.glob(pattern))[-1]
            before = file.read_text(encoding="utf-8")
            package, _, name = wrong.rpartition(".")
            line = f"from {package} import {name}" if package else f"from {wrong}.part import name"
            file.write_text(
                before + f"\ndef late():\n    {line if number % 2 else f'import {wrong}.part as other'}\n",
                encoding="utf-8",
            )
            assert wall.breaches(tmp_path) == [(file.relative_to(tmp_path).as_posix(), wrong)]
            file.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    "source", ["import torch", "import torch.nn as nn", "from torch.nn import functional", "def f():\n    import torch"]
)
def test_every_way_to_import_is_seen(source: str) -> None:
    assert "torch" in imported(source)


def test_figures_load_no_torch() -> None:
    """What other parts load is seen of them as installed, in `test_package`."""
    command = "import sys, viz.figures; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", command], encoding="utf-8", cwd=ROOT).split()
    assert "plotly" in loaded
    assert "torch" not in loaded
