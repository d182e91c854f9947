from pathlib import Path

from mixer.checkpoint import DEFAULT, load
from mixer.evaluate import headline
from mixer.model import Mixer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_readme_states_the_figures_of_the_shipped_checkpoint() -> None:
    assert headline(load(DEFAULT, Mixer)[1]) in " ".join(README.replace("\n> ", " ").split())


def test_the_pictures_of_the_readme_exist() -> None:
    root = Path(__file__).parent.parent
    names = [part.split(")")[0] for part in README.split("](")[1:]]
    pictures = [name for name in names if name.endswith((".png", ".webp"))]
    assert pictures
    assert all((root / name).exists() for name in pictures)
