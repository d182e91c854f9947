"""What a Space is made of, and whether it would run; `make space` does the same in a new virtual environment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mixer.atomic_write import NotWritable
from mixer.data import CLASSES
from tools import space

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    space.assemble(tmp_path / "space")
    return tmp_path / "space"


def test_the_front_matter_is_complete_and_true(folder: Path) -> None:
    data = space.front_matter(folder)
    tried = re.findall(r"^\| (3\.\d+)\.\d+ \|", (folder / "docs/publish.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert data["python_version"] in tried


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("sdk_version: 6.31.0", "sdk_version: 5.0.0"),
        ('python_version: "3.12"', "python_version: 3.12"),
        ('python_version: "3.12"', 'python_version: "3.9"'),
        ("app_file: app.py", "app_file: main.py"),
        ("colorTo: gray", "colorTo: grey"),
        ("emoji: 🔬", "emoji: m"),
        ("short_description: ", f"short_description: {'very ' * 12}"),
        ("license: apache-2.0\n", ""),
    ],
)
def test_a_wrong_front_matter_is_noticed(folder: Path, line: str, wrong: str) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert line in readme
    (folder / "README.md").write_text(readme.replace(line, wrong, 1), encoding="utf-8")
    with pytest.raises(space.NoSpace, match=line.split(":")[0]):
        space.front_matter(folder)


def test_it_holds_what_the_app_needs_and_nothing_else(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert {"app.py", "viz/page/style.css", "mixer/samples.npz", "checkpoints/seed/config.json"} < names
    assert not {"main.py", "tests", "requirements-dev.txt"} & names
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"seed", "seed-start", "seed-epoch-1"}
    assert not any("__pycache__" in name for name in names)
    assert (folder / "app.py").read_bytes() == (ROOT / "app.py").read_bytes()


def test_links_lead_somewhere(folder: Path) -> None:
    for page in folder.rglob("*.md"):
        links = re.findall(r"\]\((?!http)([^)]+)\)", page.read_text(encoding="utf-8"))
        assert all((page.parent / link).is_file() for link in links), page


def test_what_was_put_there_before_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "space"
    with monkeypatch.context() as before:
        before.setattr(space, "READ", (*space.READ, "Makefile"))
        space.assemble(folder)
    assert (folder / "Makefile").exists()
    (folder / "mixer" / "__pycache__").mkdir()
    (folder / "mixer" / "__pycache__" / "data.cpython-312.pyc").touch()
    for path in (folder / "mixer", folder):
        path.chmod(0o555)
    space.assemble(folder)
    assert not (folder / "Makefile").exists()
    assert not (folder / "mixer" / "__pycache__").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["space"]


@pytest.mark.parametrize("name", ["notes.txt", "mixer/mine.py", "requirements.txt", "own/.git"])
def test_what_somebody_added_or_changed_stays(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(NotWritable, match=f"space holds .*{name}"):
        space.assemble(folder)
    assert (folder / name).read_text(encoding="utf-8") == "mine"


def test_a_folder_from_elsewhere_stays(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine", encoding="utf-8")
    with pytest.raises(NotWritable, match=r"holds .*app\.py"):
        space.assemble(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]


def test_its_checksums_are_those_that_sha256sum_knows(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "MAX_BYTES", 8_000_000)
    with pytest.raises(space.NoSpace, match="safetensors has 8,"):
        space.assemble(tmp_path / "space")


def test_the_app_starts_where_nothing_can_be_written_and_classifies(folder: Path) -> None:
    assert space.answer(Path(sys.executable), folder) in CLASSES
    (folder / "writable again").touch()


@pytest.mark.parametrize("line", ["open('note', 'w')", "open('mixer/data.py', 'a')", "(Path.home() / 'note').touch()"])
def test_an_app_that_writes_does_not_pass(folder: Path, line: str) -> None:
    (folder / "app.py").write_text(f"from pathlib import Path\n{line}\n", encoding="utf-8")
    with pytest.raises(space.NoSpace, match="exit status 1"):
        space.answer(Path(sys.executable), folder)
