"""What pip installs: a wheel that is made without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tools.constraints import FILE, requirements

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a copy, as pip leaves folders of its own beside the sources."""
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for part in ("mixer", "viz", "checkpoints"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "main.py", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", made, copy], check=True)
    (file,) = made.iterdir()
    return file


@pytest.mark.process
def test_the_wheel_holds_all_that_the_microscope_reads_and_asks_for_what_requirements_txt_names(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    here = {
        path.relative_to(ROOT).as_posix()
        for part in ("mixer", "viz")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"mixer/samples.npz", "viz/figures/plotly-cartesian.min.js"} < here
    assert here <= names
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "checkpoints").rglob("*") if path.is_file()}
    assert {f"mixer_microscope/{name}" for name in (*shipped, "app.py", "main.py")} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "mixer",
        "viz",
        "mixer_microscope",
    }
    asked = [Requirement(line) for line in re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE)]
    assert asked == requirements()


PARTS = """
import sys

def loaded():
    print(*{name.split(".")[0] for name in sys.modules})

import mixer.train, mixer.checkpoint, mixer.convert
loaded()
import viz.microscope
loaded()
import viz.notebook, viz.page.report
loaded()
import mixer_microscope.app as app
loaded()
print(viz.Microscope.load().source, app.command.__module__)
"""


@pytest.mark.process
def test_what_is_installed_finds_its_network_from_any_folder_and_loads_no_more_than_each_part_needs(
    wheel: Path, tmp_path: Path
) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    out = subprocess.check_output([sys.executable, "-c", PARTS], cwd=elsewhere, env=environment, encoding="utf-8")
    network, questions, notebook, page, found = (set(line.split()) for line in out.splitlines())
    assert not network & {"viz", "gradio", "plotly", "captum"}
    assert not questions & {"gradio", "plotly", "captum"}
    assert not notebook & {"gradio", "captum"}
    assert "gradio" in page
    assert not page & {"captum", "torchvision", "matplotlib"}  # what only some answers need
    assert found == {"checkpoints/seed", "mixer_microscope.app"}
    (entry,) = (tmp_path / "site").glob("*.dist-info/entry_points.txt")
    assert "mixer-microscope = mixer_microscope.app:command" in entry.read_text(encoding="utf-8")


def test_the_version_is_that_of_the_newest_release() -> None:
    (version,) = re.findall('^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    releases = re.findall("^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", releases[0])


def test_the_versions_that_were_tested_together_are_those_that_are_allowed() -> None:
    tested = dict(line.split("==") for line in FILE.read_text(encoding="utf-8").splitlines()[1:])
    for requirement in requirements():
        assert requirement.specifier.contains(tested[requirement.name.replace("_", "-")])
