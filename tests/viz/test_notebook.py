"""The views outside of the page: what is copied as Python shows what the page shows."""

import ast
import re
import subprocess
import sys
import webbrowser
import zlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import viz
from mixer import checkpoint
from tests.viz.looking import measure, microscope, told
from viz import notebook
from viz.attribution import attribute as attribution
from viz.attribution.baselines import baseline
from viz.attribution.question import Question
from viz.figures import PLOTLY_JS
from viz.lenses.view import Drawn, as_python, full_name
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.notebook import Shown
from viz.page.instrument import Instrument
from viz.selection import Params, change, first, show, to_words

BEGINNINGS: tuple[Params, ...] = (
    {"sample": "61", "class": "cat", "patch": "2,1", "depth": "2a", "lens": "model"},
    {
        "compare": "unusual",
        "order": "patch",
        "methods": "Saliency",
        "rather-than": "horse",
        "removed": "3",
        "unit": "6",
    },
)


@pytest.fixture(scope="module")
def instrument(tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    """Of a small network in a folder."""
    folder = tmp_path_factory.mktemp("network")
    made = microscope(image_size=(16, 32), patch_size=(4, 16), num_blocks=2)
    checkpoint.save(folder / "small", made.model, {})
    return Instrument(Microscope.load(folder / "small", torch.device("cpu")))


def ran(program: str) -> Any:
    """What the last line of a program gives."""
    *lines, last = ast.parse(program).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def untimed(drawn: Drawn) -> tuple[str | None, str, str]:
    """The figure, the table and the words, but for how long it took."""
    figure, html, words, _ = told(drawn)
    return figure, re.sub(r"(data-label='seconds'>)[^<]*", r"\1", html), words


@pytest.mark.parametrize("words", BEGINNINGS, ids=["places", "options"])
@pytest.mark.long
def test_every_view_copied_as_python_is_the_same(
    instrument: Instrument, words: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Microscope, "load", cache(Microscope.load))  # one file, read once for all the programs
    scope, page = instrument.scope, instrument.page
    selection, wrong = change(scope, page, first(scope, page), words)
    assert not wrong
    for lens in (instrument.specimen, *instrument.lenses):
        for view in lens.views:
            measure(scope, view, selection, asked=True)
            program = as_python(scope, page, full_name(lens, view), view, selection)
            shown = ran(program)
            assert untimed(shown.drawn) == untimed(view.draw(scope, selection)), program
            assert full_name(lens, view) in viz.views(scope)


def test_the_page_sends_the_program_of_what_it_shows(instrument: Instrument) -> None:
    from viz.page.session import Session

    visit = Session(instrument.first)
    updates = instrument.answer(visit, {"words": {"lens": "tokens", "patch": "0,1", "compare": "unusual"}})
    assert (
        updates["tokens-norms"]["python"].splitlines()[-1]
        == "view(scope, 'tokens.norms', patch='0,1', compare='unusual')"
    )


def test_numbers_are_copied_as_numbers_and_names_as_names(instrument: Instrument) -> None:
    scope, page = instrument.scope, instrument.page
    words = {"sample": "61", "unit": "6", "channel": "0", "depth": "2a"}
    selection, _ = change(scope, page, first(scope, page), words)
    view = instrument.views["mixing-unit-weights"]
    program = as_python(scope, page, "mixing.unit.weights", view, selection)
    assert program.endswith("view(scope, 'mixing.unit.weights', sample=61, depth='2a', unit=6, channel=0)\n")
    numbered = microscope(num_classes=3, classes=("0", "1", "007"))
    named = replace(Instrument(numbered).first, target=1)
    assert "class_='1'" in as_python(numbered, Instrument(numbered).page, "how.network", view, named)


def test_the_example_of_the_readme_shows_what_it_says() -> None:
    readme = checkpoint.DEFAULT.parents[1].joinpath("README.md").read_text(encoding="utf-8")
    program = readme.partition("## In a notebook\n\n")[2].partition("\n\n")[0]
    shown = ran(dedent(program))
    assert shown.selection.sample == 12
    assert shown.view.id == "norms"


def test_a_network_of_the_project_is_named_by_its_path_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for source in (checkpoint.DEFAULT.with_name("seed-start"), "checkpoints/seed-start"):
        assert Microscope.load(source, torch.device("cpu")).source == "checkpoints/seed-start"


def test_what_is_shown_shows_itself_with_its_caution_and_its_numbers(instrument: Instrument) -> None:
    shown: Shown = viz.view(instrument.scope, "tokens.norms", sample=12, patch="3,1")
    html = shown._repr_html_()
    assert shown.view.title in html
    assert shown.view.caution in html
    assert "plotly" in html
    assert shown.numbers is not None
    norms = instrument.scope.look(instrument.scope.sample_picture(12)).depths[:, 0].norm(dim=-1)
    places = {tuple(row[:-1]): row[-1] for row in shown.numbers.rows()}
    assert len(places) == shown.numbers.values.size
    assert max(places.values()) <= norms.max() + 1e-4


def test_a_picture_of_ones_own_is_an_image_or_a_file(instrument: Instrument, tmp_path: Path) -> None:
    pixels = np.arange(16 * 32 * 3).astype(np.uint8).reshape(16, 32, 3)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    for picture in (Image.fromarray(pixels), tmp_path / "own.png", str(tmp_path / "own.png")):
        shown = viz.view(instrument.scope, "tokens.norms", picture=picture)
        assert shown.selection.picture == pixels.tobytes()
        assert shown.selection.sample is None


def test_many_pictures_are_viewed_and_explained_as_each_alone(instrument: Instrument, tmp_path: Path) -> None:
    scope, pixels = instrument.scope, np.arange(16 * 32 * 3).astype(np.uint8).reshape(16, 32, 3)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    pictures = [tmp_path / "own.png", scope.sample_picture(3), 255 - pixels]
    norms = viz.view_many(scope, "tokens.norms", pictures, depth="1b")
    for shown, picture in zip(norms, pictures, strict=True):
        assert untimed(shown.drawn) == untimed(viz.view(scope, "tokens.norms", picture=picture, depth="1b").drawn)
    for words in ({}, {"label": "cat", "baseline": "black", "output": "probability", "block": 1}):
        found = viz.attribute(scope, pictures, "Token Grad-CAM", **words)
        for one, picture in zip(found, pictures, strict=True):
            (alone,) = viz.attribute(scope, [picture], "Token Grad-CAM", **words)
            np.testing.assert_allclose(one.values, alone.values, rtol=1e-3, atol=1e-5)
            assert one.target == (scope.class_number("cat") if words else scope.answer(scope.picture_of(picture)))
    assert viz.attribute(scope, []) == viz.view_many(scope, "tokens.norms", []) == []
    for wrong, said in (
        ({"method": "DeepLift"}, "no method is named 'DeepLift'"),
        ({"label": "tiger"}, "this network has no class 'tiger'"),
        ({"baseline": "grey"}, "no baseline is named 'grey'"),
        ({"block": 0, "method": "Token Grad-CAM"}, "block"),
    ):
        with pytest.raises(ValueError, match=said):
            viz.attribute(scope, pictures, **wrong)
    with pytest.raises(ValueError, match="bytes must be a picture from picture_of for this network, not 3 bytes"):
        viz.attribute(scope, [b"abc"])


@pytest.mark.parametrize("method", ["Gradient x input", "Patch ablation", "Token Grad-CAM"])
def test_groups_of_patches_have_the_values_of_a_question_with_their_side(method: str) -> None:
    """9 x 10 patches, so that the groups at the lower edge are smaller."""
    scope = microscope(image_size=(18, 20), patch_size=(2, 2), num_blocks=1)
    picture = scope.sample_picture(3)
    image = scope.input(picture)
    question = Question(image, baseline("black", image, scope.model.config), 5, "probability", side=2)
    want = attribution.attribute(scope.model, question, method)
    (found,) = viz.attribute(scope, [picture], method, scope.classes[5], "black", "probability", groups=2)
    assert found.values.shape == (25,)
    np.testing.assert_allclose(found.values, want.values, rtol=1e-4, atol=1e-6)
    (single,) = viz.attribute(scope, [picture], method)
    assert single.values.shape == (90,)


@pytest.mark.parametrize("groups", [3, 0, -2, True, 2.0, "2", (2, 2), np.array([2, 2])])
def test_groups_that_a_network_does_not_have_are_refused_in_words(instrument: Instrument, groups: Any) -> None:
    many = microscope(image_size=(18, 20), patch_size=(2, 2), num_blocks=1)
    for scope, sides in ((many, "1 or 2 or 4"), (instrument.scope, "1")):
        with pytest.raises(ValueError, match=f"groups of patches are {sides} along each side here, not"):
            viz.attribute(scope, [scope.sample_picture(3)], groups=groups)


def test_what_is_chosen_may_be_written_as_python_has_it(instrument: Instrument, tmp_path: Path) -> None:
    scope, pixels = instrument.scope, np.arange(16 * 32 * 3).astype(np.uint8).reshape(16, 32, 3)
    for patch in ((2, 1), [2, 1], np.array([2, 1]), "2,1"):
        assert viz.view(scope, "tokens.norms", patch=patch).selection.patch == scope.grid.index(2, 1)
    for methods in (["Saliency", "Token Grad-CAM"], ("Saliency", "Token Grad-CAM"), "Saliency,Token Grad-CAM"):
        chosen = viz.view(scope, "attribution.maps", methods=methods).selection.options
        assert chosen["methods"] == "Saliency,Token Grad-CAM"
    for sample in (3, np.int64(3), "3"):
        assert viz.view(scope, "tokens.norms", sample=sample).selection.sample == 3
    edited = viz.view(scope, "whatif.edit.picture", edits=["black:0,0", "grey"]).selection
    assert [edit.kind for edit in edited.edits] == ["black", "grey"]
    for picture in (pixels, pixels.astype(np.int64), pixels[..., 0]):
        for given in (picture, torch.from_numpy(picture)):
            shown = viz.view(scope, "tokens.norms", picture=given).selection.picture
            three = picture if picture.ndim == 3 else picture[..., None].repeat(3, 2)
            assert shown == three.astype(np.uint8).tobytes()
    Image.fromarray(pixels).save(tmp_path / "without_ending", "PNG")
    assert (
        viz.view(scope, "tokens.norms", picture=str(tmp_path / "without_ending")).selection.picture == pixels.tobytes()
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 16, 32), np.uint8), r"height x width x 3 to be a picture, not \(3, 16, 32\)"),
        (np.zeros(7, np.uint8), r"not \(7,\)"),
        (np.zeros((0, 4), np.uint8), r"not \(0, 4\)"),
        (np.zeros((4, 4), np.float32), "whole numbers from 0 to 255, not float32"),
        (np.full((4, 4), 256), "not int64 up to 256"),
        (np.full((4, 4, 3), -1), "whole numbers from 0 to 255"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_in_words(instrument: Instrument, array: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        viz.view(instrument.scope, "tokens.norms", picture=array)


@pytest.mark.parametrize(
    "picture", [None, [[[1, 2, 3]]], 5, (1, 2), {}, torch.rand(16, 32, 3), torch.zeros(3, 16, 32).bfloat16(), object()]
)
def test_what_is_no_picture_is_refused_in_words(instrument: Instrument, picture: Any) -> None:
    with pytest.raises(ValueError, match="picture"):
        viz.view(instrument.scope, "tokens.norms", picture=picture)
    with pytest.raises(ValueError, match="picture"):
        viz.attribute(instrument.scope, [picture])


SINGLE = ["photo.jpg", "photos", "", Path("photo.jpg"), b"abc", Image.new("RGB", (32, 16)), None, 5, 2.5, object()]
SINGLE += [np.zeros(shape, np.uint8) for shape in ((), (16, 32), (16, 32, 3), (3, 16, 32))]
SINGLE += [torch.zeros(16, 32, 3, dtype=torch.uint8)]


@pytest.mark.parametrize("single", SINGLE)
def test_a_single_picture_instead_of_several_is_refused_in_words(instrument: Instrument, single: Any) -> None:
    said = r"(?s)^pictures are several, in a list, not .*: for a single one, write \[picture\]$"
    with pytest.raises(ValueError, match=said):
        viz.attribute(instrument.scope, single)
    with pytest.raises(ValueError, match=said):
        viz.view_many(instrument.scope, "tokens.norms", single)


def test_several_pictures_may_be_any_iterable(instrument: Instrument, tmp_path: Path) -> None:
    scope, pixels = instrument.scope, np.zeros((2, 16, 32, 3), np.uint8)
    Image.fromarray(pixels[0]).save(tmp_path / "own.png")
    names = [str(tmp_path / "own.png")] * 2
    for pictures in (
        pixels,
        torch.from_numpy(pixels),
        tuple(pixels),
        iter(pixels),
        np.array(names),
        dict.fromkeys(names[:1]),
    ):
        found = viz.attribute(scope, pictures)
        assert len(found) == (1 if isinstance(pictures, dict) else 2)
    with pytest.raises(TypeError, match="of an iterator"):
        viz.attribute(scope, (_failing() for _ in range(1)))


def _failing() -> Path:
    raise TypeError("an error of an iterator")


@pytest.mark.parametrize(
    "words",
    [
        {"sample": 3, "picture": "photo.jpg"},
        {"sample": 0, "picture": np.zeros((16, 32, 3), np.uint8)},
        {"sample": 3, "picture": "A" * 100},
        {"sample_": 3, "picture_": b"abc"},
        {"sample": None, "picture": None},
    ],
)
def test_a_sample_and_a_picture_are_refused_as_two(instrument: Instrument, words: dict[str, Any]) -> None:
    scope = instrument.scope
    with pytest.raises(ValueError, match=r"^There are two pictures, by picture and sample: give only one\.$"):
        viz.view(scope, "tokens.norms", **words)
    for name, value in words.items():
        with pytest.raises(ValueError, match=f"^There are two pictures, by pictures and {name.strip('_')}: "):
            viz.view_many(scope, "tokens.norms", [scope.sample_picture(3)], **{name: value})


@pytest.mark.parametrize("name", ["missing.jpg", "missing", "photos/missing", "IMG_20261129_210353", "a" * 40 + ".png"])
def test_a_missing_file_is_said_to_be_missing(instrument: Instrument, tmp_path: Path, name: str) -> None:
    scope = instrument.scope
    for missing in (name, str(tmp_path / name), tmp_path / name):
        for look in (
            lambda given: viz.view(scope, "tokens.norms", picture=given),
            lambda given: viz.view_many(scope, "tokens.norms", [given]),
            lambda given: viz.attribute(scope, [given]),
            scope.picture_of,
        ):
            with pytest.raises(FileNotFoundError, match=re.escape(name)):
                look(missing)


def test_a_picture_of_a_link_is_no_file(instrument: Instrument) -> None:
    scope, noise = instrument.scope, np.random.default_rng(0).integers(256, size=(16, 32, 3), dtype=np.uint8).tobytes()
    for picture in (noise, bytes(len(noise))):
        link = to_words(scope, instrument.page, show(scope, instrument.first, picture))["picture"]
        for text in (link, urlsafe_b64encode(zlib.compress(picture)).decode(), f'"{link}"'):
            assert viz.view(scope, "tokens.norms", picture=text).selection.picture == picture
    for damaged in (link[:60], "A" * 40, f"data:image/png;base64,{'A/' * 200}"):
        with pytest.raises(ValueError, match="The picture of this link is damaged"):
            viz.view(scope, "tokens.norms", picture=damaged)


@pytest.mark.parametrize("label", [3, 0, np.int64(3), 2.5, True, b"cat", ["cat"], ("cat",), {}, object()])
def test_a_class_by_anything_but_its_name_is_refused_in_words(instrument: Instrument, label: Any) -> None:
    scope = instrument.scope
    with pytest.raises(ValueError, match="a class is given by its name, such as 'airplane', not "):
        viz.attribute(scope, [scope.sample_picture(3)], label=label)


@pytest.mark.parametrize("block", ["3", "1", 2.5, 1.0, True, False, np.True_, [1], (1,), np.array([1, 2]), {}, -1, 3])
def test_a_block_that_is_no_number_of_one_is_refused_in_words(instrument: Instrument, block: Any) -> None:
    scope = instrument.scope
    with pytest.raises(ValueError, match="block is a whole number from 1 to 2, not "):
        viz.attribute(scope, [scope.sample_picture(3)], "Token Grad-CAM", block=block)
    for fine in (1, np.int64(1), torch.tensor(1)):
        assert scope.block_number(fine) == 0


@pytest.mark.parametrize("wrong", [["Saliency"], 5, None, b"Saliency", {}])
def test_a_method_by_anything_but_its_name_is_refused_in_words(instrument: Instrument, wrong: Any) -> None:
    for name in ("method", "baseline", "output"):
        with pytest.raises(ValueError, match=f"{name} is a name, not "):
            viz.attribute(instrument.scope, [], **{name: wrong})


@pytest.mark.process
def test_what_is_no_picture_of_the_network_is_refused_in_words() -> None:
    """In a process of its own, without the tests' check of types, which would come first."""
    code = """
from pathlib import Path
import numpy as np
from tests.viz.looking import microscope
scope = microscope(num_blocks=1)
taking = [scope.answer, scope.look, scope.probabilities, scope.pixels, scope.input, scope.decided_at]
taking += [lambda picture: scope.edited(picture, []), lambda picture: scope.leading(picture, 3)]
picture = scope.sample_picture(3)
wrong = ["photo.jpg", b"abc", b"", picture + b"a", Path("photo.jpg"), 3, None, [picture], scope.pixels(picture)]
wrong += [bytearray(picture), memoryview(picture), scope.input(picture)]
for take in taking:
    take(picture)
    for given in wrong:
        try:
            take(given)
        except ValueError as error:
            assert "picture_of" in str(error), error
            print(type(given).__name__)
"""
    said = subprocess.check_output([sys.executable, "-c", code], encoding="utf-8", cwd=checkpoint.ROOT)
    assert len(said.split()) == 8 * 12


def test_a_shown_view_is_short_in_a_console_and_whole_in_a_file(
    instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it needs: the page's style sheet and the figures' library, nothing from a network."""
    library = PLOTLY_JS.read_text("utf-8")
    for name in ("tokens.norms", "how.network", "attribution.sums", "specimen.samples"):
        shown = viz.view(instrument.scope, name, sample=12)
        assert len(repr(shown)) < 200
        assert name in repr(shown)
        shown.save(tmp_path / "view.html")
        saved = (tmp_path / "view.html").read_text("utf-8")
        assert saved == shown.html()
        assert ".stage .flow { display: grid" in saved
        assert (library in saved) == (shown.figure is not None)
        assert "<script src" not in saved.replace(library, "")
        assert (shown.drawn.html in saved, shown.view.title in saved) == (True, True)
        (frame,) = re.findall(r'srcdoc="([^"]*)"', shown._repr_html_())
        assert unescape(frame) == saved
    opened = list[str]()
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    shown.show()
    (address,) = opened
    file = Path(address.removeprefix("file://"))
    assert file.read_text("utf-8") == saved
    file.unlink()
    with pytest.raises(ValueError, match=r"a view is saved as HTML: view\.html, not view\.png"):
        shown.save("view.png")


def test_what_takes_a_while_says_how_far_of_what_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notebook._measure(Measurement("key", "Patching every token", "passes", 70, 9.0, lambda: iter((30, 70))))
    said = capsys.readouterr().err
    assert "Patching every token:   0%" in said
    assert "| 0/70" in said


@pytest.mark.parametrize(
    ("name", "words", "error"),
    [
        ("tokens.nothing", {}, "there is no view 'tokens.nothing'; there are specimen.samples, "),
        ("tokens.norms", {"patch": "9,9"}, "The row of the patch is a whole number from 0 to 3, not '9'."),
        ("tokens.norms", {"colour": "red"}, "There is no option called 'colour'."),
        ("tokens.norms", {"sampel": 3}, "called 'sampel': there are picture, sample, .*, compare."),
    ],
)
def test_what_is_not_there_is_said(instrument: Instrument, name: str, words: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        viz.view(instrument.scope, name, **words)


def test_a_view_is_found_by_what_it_was_called_before(instrument: Instrument) -> None:
    scope = instrument.scope
    for before, now, words in (
        ("doubt.maps", "attribution.maps", {}),
        ("how.votes", "tokens.votes", {"depth": "2b"}),
        ("mixing.image.from", "mixing.image.map", {"line": "column"}),
        ("tokens.matrix", "tokens.similarity", {"similar": "pairs"}),
    ):
        old, new = viz.view(scope, before, patch="2,1"), viz.view(scope, now, patch="2,1", **words)
        assert repr(old) == repr(new)
        assert untimed(old.drawn) == untimed(new.drawn)
    assert viz.view(scope, "mixing.image.to", line="column").selection.options["line"] == "column"


def test_viz_offers_no_more_than_it_has() -> None:
    assert [name for name in dir(viz) if not name.startswith("_")] == sorted(viz.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        viz.nothing  # noqa: B018
