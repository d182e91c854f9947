"""Who may import whom (design): the network never imports what looks at it, and figures know no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "mixer": {"viz", "gradio", "plotly", "captum", "app", "main"},
    "viz/figures": {"torch", "mixer", "gradio", "captum"},
    "viz/panels": {"torch", "plotly", "captum"},
}


def imported(source: str) -> set[str]:
    """The top-level packages that a source imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_go_one_way(part: str) -> None:
    files = sorted((ROOT / part).glob("**/*.py"))
    assert files
    for file in files:
        assert not imported(file.read_text()) & FORBIDDEN[part], file


@pytest.mark.parametrize(
    "source", ["import torch", "import torch.nn as nn", "from torch.nn import functional", "def f():\n    import torch"]
)
def test_the_check_can_fail(source: str) -> None:
    assert "torch" in imported(source)


def loaded_by(module: str) -> set[str]:
    command = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", command], text=True, cwd=ROOT).split())


def test_loading_the_network_loads_no_interface() -> None:
    assert not loaded_by("mixer.train, mixer.checkpoint, mixer.convert") & FORBIDDEN["mixer"]
    assert "gradio" in loaded_by("viz.panels.specimen")
    assert "torch" not in loaded_by("viz.figures")


def test_the_page_opens_without_what_only_some_answers_need() -> None:
    assert not loaded_by("app") & {"captum", "torchvision", "matplotlib"}
