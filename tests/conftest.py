"""Shapes in annotations are checked while testing; fixtures that several tests share."""

from pathlib import Path

from jaxtyping import _import_hook, install_import_hook

import tests.typecheck  # noqa: F401 (the hook finds it by name)
import viz

VIZ = Path(viz.__file__).parent
# not where Gradio is: it asks whether a function is a generator, and the check hides it
LOOKING = [
    ".".join(part.relative_to(VIZ.parent).with_suffix("").parts)
    for part in (*VIZ.iterdir(), *(VIZ / "panels").iterdir())
    if part.stem not in ("__init__", "panels") and (part.is_dir() or "import gradio" not in part.read_text("utf-8"))
]


class OuterFunctions(_import_hook.JaxtypingTransformer):
    """Leaves out functions within functions: a check of theirs would be compiled anew at every call."""

    def visit_FunctionDef(self, node):
        body, node.body = node.body, []
        super().visit_FunctionDef(node)
        node.body = body
        return node


_import_hook.JaxtypingTransformer = OuterFunctions
install_import_hook(["mixer", *LOOKING], "tests.typecheck.outer_functions")

from collections.abc import Iterator  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402

from mixer.checkpoint import DEFAULT, load, save  # noqa: E402
from mixer.convert import convert  # noqa: E402
from mixer.data import CLASSES, Labelled  # noqa: E402
from mixer.model import Mixer, MixerConfig  # noqa: E402
from tests import small_cifar  # noqa: E402
from tests.few import few_samples  # noqa: E402
from viz.microscope import Microscope  # noqa: E402


def small_config() -> MixerConfig:
    """A network whose sizes are pairwise distinct: 8 x 2 patches, 11 channels, 13 and 17 hidden units, 3 blocks."""
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
    torch.manual_seed(0)
    return Mixer(tiny).eval()


@pytest.fixture
def coloured() -> Labelled:
    """60 noisy pictures whose class shows in their colour: quickly learned."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 10
    colours = torch.randint(256, (10, 3, 1, 1), generator=generator)
    noise = torch.randint(-20, 20, (60, 3, 32, 32), generator=generator)
    return Labelled((colours[labels] + noise).clamp(0, 255).to(torch.uint8), labels)


@pytest.fixture
def cifar(tmp_path: Path, coloured: Labelled, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a CIFAR-10 of 60 training and 60 test images; 20 of the former validate."""
    small_cifar.write(tmp_path / "data", coloured)
    small_cifar.accept(monkeypatch.setattr)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def scope() -> Microscope:
    """With the network that ships."""
    return Microscope.load(DEFAULT, torch.device("cpu"))


@pytest.fixture(scope="session", params=[1, 60, 1000], ids="{} classes".format)
def foreign_mixer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mixer:
    """A Mixer of timm's whose classes are not the samples', converted, saved and loaded: every test runs with each."""
    from tests import foreign  # here, as only these tests need timm

    folder = tmp_path_factory.mktemp("foreign")
    save(folder / "ours", convert(foreign.write(folder / "timm", foreign.mixer(request.param))), {})
    return load(folder / "ours", Mixer)[0]


@pytest.fixture(scope="session")
def foreign_scope(foreign_mixer: Mixer) -> Microscope:
    return Microscope(foreign_mixer, {}, torch.device("cpu"), own_samples=few_samples())


@pytest.fixture(scope="session")
def url(scope: Microscope) -> Iterator[str]:
    """Where the app is served."""
    import app  # here, as only the tests that visit it need Gradio

    networks = app.Networks(scope.source, app.LAUNCH)
    page = networks.build(scope)
    others = {"routes": networks.routes}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, app_kwargs=others, **app.LAUNCH)
    yield url
    page.close()
