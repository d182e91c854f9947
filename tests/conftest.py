"""Shapes in annotations are checked while testing; fixtures that several tests share.

What is heavy is imported by the fixtures: the process that hands the tests out to others runs none.
"""

from __future__ import annotations

import ast
import gc
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a thread for each of the processes that share the cores

import jaxtyping
import pytest
from jaxtyping import _import_hook, install_import_hook

import viz
from tests import typecheck

if TYPE_CHECKING:
    from mixer.data import Labelled
    from mixer.model import Mixer, MixerConfig
    from viz.microscope import Microscope

OFFICIAL = Path(os.environ.get("CIFAR10_ROOT", "data"))  # where the official batches are, if they are on this machine
os.environ["CIFAR10_ROOT"] = os.devnull  # the samples of all other tests are the shipped ones, on every machine
VIZ = Path(viz.__file__).parent
# not where Gradio is: it asks whether a function is a generator, and the check hides it
LOOKING = [
    ".".join(part.relative_to(VIZ.parent).with_suffix("").parts)
    for part in (*VIZ.iterdir(), *(VIZ / "page").iterdir())
    if part.stem not in ("__init__", "page") and (part.is_dir() or "import gradio" not in part.read_text("utf-8"))
]


SHAPES = set(dir(jaxtyping))


def state_a_shape(annotations: Iterable[ast.AST | None]) -> bool:
    parts = (part for one in annotations if one for part in ast.walk(one))
    return any(isinstance(part, ast.Name) and part.id in SHAPES for part in parts)


AT_FIRST = ast.parse("__import__('tests.typecheck').typecheck.at_first", mode="eval").body


class ShapesOnly(_import_hook.JaxtypingTransformer):
    """Checks functions that state a shape and classes with a field that does; none within functions, whose checks would
    be compiled anew at every call."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        plain = list(node.decorator_list)
        super().visit_ClassDef(node)
        if not state_a_shape(part.annotation for part in node.body if isinstance(part, ast.AnnAssign)):
            node.decorator_list = plain
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        arguments = (argument for argument in ast.walk(node.args) if isinstance(argument, ast.arg))
        if state_a_shape([node.returns, *(argument.annotation for argument in arguments)]):
            body, node.body = node.body, []
            super().visit_FunctionDef(node)
            node.body = body
            node.decorator_list.insert(-1, AT_FIRST)
        return node


_import_hook.JaxtypingTransformer = ShapesOnly
install_import_hook(["mixer", *LOOKING], "tests.typecheck.annotations")


@pytest.fixture(autouse=True)
def _shapes_are_checked_anew() -> None:
    typecheck.calls.clear()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported here stays: looking for garbage in it would take a tenth of the time."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


def small_config() -> MixerConfig:
    """A network whose sizes are pairwise distinct: 8 x 2 patches, 11 channels, 13 and 17 hidden units, 3 blocks."""
    from mixer.data import CLASSES
    from mixer.model import MixerConfig

    return MixerConfig(
        patch_size=(4, 16),
        num_blocks=3,
        hidden_dim=11,
        tokens_mlp_dim=13,
        channels_mlp_dim=17,
        num_classes=10,
        classes=CLASSES,
    )


@pytest.fixture
def tiny() -> MixerConfig:
    return small_config()


@pytest.fixture
def network(tiny: MixerConfig) -> Mixer:
    import torch

    from mixer.model import Mixer

    torch.manual_seed(0)
    return Mixer(tiny).eval()


@pytest.fixture
def coloured() -> Labelled:
    """60 noisy pictures whose class shows in their colour: quickly learned."""
    import torch

    from mixer.data import Labelled

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 10
    colours = torch.randint(256, (10, 3, 1, 1), generator=generator)
    noise = torch.randint(-20, 20, (60, 3, 32, 32), generator=generator)
    return Labelled((colours[labels] + noise).clamp(0, 255).to(torch.uint8), labels)


@pytest.fixture
def cifar(tmp_path: Path, coloured: Labelled, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a CIFAR-10 of 60 training and 60 test images; 20 of the former validate."""
    from tests import small_cifar

    small_cifar.write(tmp_path / "data", coloured)
    small_cifar.accept(monkeypatch.setattr)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def scope() -> Microscope:
    """With the network that ships."""
    import torch

    from mixer.checkpoint import DEFAULT
    from viz.microscope import Microscope

    return Microscope.load(DEFAULT, torch.device("cpu"))


@pytest.fixture(scope="session", params=[1, 1000], ids="{} classes".format)
def foreign_mixer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mixer:
    """A Mixer of timm's whose classes are not the samples', converted, saved and loaded: every test runs with each."""
    from mixer.checkpoint import load, save
    from mixer.convert import convert
    from mixer.model import Mixer
    from tests import foreign

    folder = tmp_path_factory.mktemp("foreign")
    save(folder / "ours", convert(foreign.write(folder / "timm", foreign.mixer(request.param))), {})
    return load(folder / "ours", Mixer)[0]


@pytest.fixture(scope="session")
def foreign_scope(foreign_mixer: Mixer) -> Microscope:
    import torch

    from tests.few import few_samples
    from viz.microscope import Microscope

    return Microscope(foreign_mixer, {}, torch.device("cpu"), own_samples=few_samples())


@pytest.fixture(scope="session")
def url(scope: Microscope) -> Iterator[str]:
    """Where the app is served."""
    from tests.served import served

    with served(scope) as url:
        yield url
