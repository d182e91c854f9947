"""docs/library.md: its examples run one after the other, and what they add is on the page like all else."""

import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import viz
from mixer.checkpoint import ROOT
from tests.mixer.picture_files import photo
from viz.attribution.methods import METHODS
from viz.lenses.all import LENSES
from viz.page.instrument import Instrument
from viz.page.session import Session

TEXT = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"## ([^\n]*)\n(?:(?!## ).)*?```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    """What the names are after the examples, and the folder in which they ran; no table keeps their rows."""
    folder, before = tmp_path_factory.mktemp("library"), (dict(METHODS), list(LENSES))
    photo().save(folder / "photo.jpg")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for title, code in EXAMPLES:
            exec(compile(code, title, "exec"), names)
        yield names, folder
    METHODS.clear()
    METHODS.update(before[0])
    LENSES[:] = before[1]


def test_every_section_has_an_example() -> None:
    assert [title for title, _ in EXAMPLES] == re.findall("^## (.*)$", TEXT, re.MULTILINE)
    assert len(EXAMPLES) == TEXT.count("```python")
    for title, code in EXAMPLES:
        assert len([line for line in code.splitlines() if line]) <= 20, title


def test_the_examples_give_what_they_say(ran: tuple[dict[str, Any], Path]) -> None:
    names, folder = ran
    scope, picture = names["scope"], names["picture"]
    assert list(names["seen"]) == ["blocks.3.token_mixing.gelu"]
    np.testing.assert_allclose(names["before"], scope.look(picture).logits, atol=1e-4)
    assert [one.output for one in names["found"]] == ["probability"] * 5
    assert names["found"][0].target == scope.answer(picture)
    assert abs(names["cat"].gap) < 0.05 * abs(names["cat"].difference)
    assert (folder / "norms.html").is_file()
    assert names["effects"].shape == (24,)
    want = viz.view(scope, "tokens.votes", picture=picture, depth="12b", class_="cat").numbers
    np.testing.assert_allclose(names["many"][0].numbers.values, want.values)


def test_what_is_registered_is_on_the_page_like_all_else(ran: tuple[dict[str, Any], Path]) -> None:
    scope = ran[0]["scope"]
    instrument = Instrument(scope)
    visit = Session(instrument.first)
    updates = instrument.answer(visit, {"words": {"lens": "own"}})
    assert "view(scope, 'own.peaks'" in updates["own-peaks"]["python"]
    assert updates["own-peaks"]["figure"]
    assert "own.peaks" in viz.views(scope)
    (methods,) = (option for option in instrument.page.options if option.name == "methods")
    assert methods.parse("Gradient") == "Gradient"
    (found,) = viz.attribute(scope, [scope.sample_picture(3)], "Gradient")
    image = scope.input(scope.sample_picture(3)).requires_grad_()
    (gradient,) = torch.autograd.grad(scope.model(image[None])[0, found.target], image)
    np.testing.assert_allclose(found.pixels, gradient.sum(0), rtol=1e-3, atol=1e-5)


def test_editors_see_what_is_loaded_when_it_is_asked_for() -> None:
    source = Path(viz.__file__).read_text(encoding="utf-8")
    seen = re.findall(r"^    from (\S+) import (\w+) as \2$", source, re.MULTILINE)
    assert {name: module for module, name in seen} == viz._OFFERED


def test_help_names_all_that_is_offered() -> None:
    text = pydoc.plain(pydoc.render_doc(viz))
    assert all(name in text for name in viz.__all__)
    for name in viz.__all__:
        assert getattr(viz, name).__doc__, name
    assert set(viz.__all__) <= set(dir(viz))
