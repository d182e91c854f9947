import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mixer.compiled import compiled
from mixer.model import Mixer

ROOT = Path(__file__).parent.parent.parent
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_cpu_trains_the_network_as_it_is(network: Mixer) -> None:
    assert compiled(network, CPU) is network


def test_a_gpu_trains_what_torch_compiles(network: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "ones", lambda *size, device: torch.zeros(*size))  # as none is here
    monkeypatch.setattr(torch, "compile", lambda made: nn.Sequential(made))
    faster = compiled(network, GPU)
    assert faster is not network
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(faster(images), network(images))


def test_where_nothing_can_be_compiled_the_network_itself_is_trained(
    network: Mixer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(made: object) -> object:
        raise RuntimeError("Cannot find a working triton installation.\nMore lines")

    monkeypatch.setattr(torch, "compile", fails)
    assert compiled(network, GPU) is network
    assert "slower" in (said := capsys.readouterr().out)
    assert said.count("\n") == 1


LOSSES = """
import copy, json, tempfile, torch
from pathlib import Path
from mixer import train as training
from mixer.data import Labelled
from mixer.model import Mixer, MixerConfig
from mixer.teacher import Ensemble, Teacher, TeacherConfig

torch.manual_seed(0)
data = Labelled(torch.randint(256, (60, 3, 32, 32), dtype=torch.uint8), torch.arange(60) % 10)
small = MixerConfig(patch_size=(4, 16), num_blocks=1, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17)
teacher = Ensemble([Teacher(TeacherConfig((5, 6, 7))), Teacher(TeacherConfig((7, 5, 6)))])
model, names = Mixer(small), []
config = training.TrainConfig(epochs=1, warmup_epochs=0, batch_size=12, micro_batch=12)

def losses(model):
    with tempfile.TemporaryDirectory() as folder:
        steps = training.train(model, data, data, config, Path(folder), torch.device("cpu"), teacher)
        return [metrics["loss"] for metrics in steps]

def compiled(made, device):
    names.append(type(made).__name__)
    return torch.compile(made, backend="aot_eager")

plain = losses(copy.deepcopy(model))
training.compiled = compiled
print(json.dumps([plain, losses(model), names]))
"""
"""in a process of its own, as Dynamo cannot trace the checks of shapes that the tests put into the network"""


@pytest.mark.process
def test_compiled_training_has_the_losses_of_training_as_it_is() -> None:
    """All of torch.compile but the code for the GPU: what is traced, backward too, is run as it is."""
    said = subprocess.run([sys.executable, "-c", LOSSES], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    plain, faster, names = json.loads(said.stdout)
    assert (len(plain), names) == (5, ["Mixer", "Ensemble"])
    assert plain == pytest.approx(faster, rel=2e-3)
