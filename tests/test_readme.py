from pathlib import Path

from mixer.checkpoint import DEFAULT, load
from mixer.evaluate import headline
from mixer.model import Mixer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_readme_states_the_figures_of_the_shipped_checkpoint() -> None:
    assert headline(load(DEFAULT, Mixer)[1]) in " ".join(README.replace("\n> ", " ").split())


def test_the_pictures_of_the_readme_exist() -> None:
    names = [part.split(")")[0] for part in README.split("](")[1:]]
    pictures = [name for name in names if name.endswith((".png", ".webp"))]
    assert pictures
    assert all((ROOT / name).exists() for name in pictures)
