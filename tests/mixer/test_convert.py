"""Networks of timm's own code, and files with the authors' true names and shapes: equal logits afterwards."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm.models.mlp_mixer as theirs
import torch
from einops import rearrange
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from mixer import checkpoint
from mixer.checkpoint import CheckpointError
from mixer.convert import convert
from mixer.data import normalise
from mixer.model import PRESETS, Mixer, MixerConfig
from tests import foreign

CASES = Path(__file__).parent.parent / "data" / "cases"


@pytest.fixture
def network() -> Mixer:
    torch.manual_seed(0)
    sizes = {"image_size": (28, 28), "patch_size": (7, 7), "num_classes": 5, "num_blocks": 3, "hidden_dim": 11}
    return Mixer(replace(PRESETS["B/16"], **sizes, tokens_mlp_dim=13, channels_mlp_dim=19)).eval()


def as_the_authors_save(model: Mixer) -> dict[str, np.ndarray]:
    """Names of a `vit_jax` checkpoint, e.g. MixerBlock_0/token_mixing/Dense_0/kernel, of shape (in, out)."""
    arrays = {}

    def put(name: str, module: torch.nn.Module, kernel: str) -> None:
        weight = module.weight.detach()
        arrays[f"{name}/{kernel}"] = (weight.T if weight.ndim == 2 else weight).numpy()
        arrays[f"{name}/bias"] = module.bias.detach().numpy()

    put("head", model.head, "kernel")
    put("pre_head_layer_norm", model.pre_head_norm, "scale")
    arrays["stem/kernel"] = rearrange(model.stem.weight.detach(), "o (h w c) -> h w c o", h=7, w=7).numpy()
    arrays["stem/bias"] = model.stem.bias.detach().numpy()
    for i, block in enumerate(model.blocks):
        put(f"MixerBlock_{i}/LayerNorm_0", block.norm1, "scale")
        put(f"MixerBlock_{i}/LayerNorm_1", block.norm2, "scale")
        for name in ("token_mixing", "channel_mixing"):
            put(f"MixerBlock_{i}/{name}/Dense_0", getattr(block, name).fc1, "kernel")
            put(f"MixerBlock_{i}/{name}/Dense_1", getattr(block, name).fc2, "kernel")
    return arrays


def test_the_authors_files(network: Mixer, tmp_path: Path) -> None:
    np.savez(tmp_path / "mixer.npz", **as_the_authors_save(network))
    loaded = convert(tmp_path / "mixer.npz")
    assert loaded.config == network.config
    images = torch.randn(2, 3, 28, 28)
    assert torch.equal(loaded(images), network(images))


def test_the_authors_stem_is_a_convolution_of_their_layout(network: Mixer, tmp_path: Path) -> None:
    np.savez(tmp_path / "mixer.npz", **as_the_authors_save(network))
    kernel = torch.from_numpy(as_the_authors_save(network)["stem/kernel"])  # height, width, colour, out
    image = torch.randn(1, 3, 28, 28)
    want = torch.nn.functional.conv2d(image, kernel.permute(3, 2, 0, 1), network.stem.bias, stride=7)
    loaded = convert(tmp_path / "mixer.npz")
    torch.testing.assert_close(loaded.stem(loaded.patches(image)), rearrange(want, "b c h w -> b (h w) c"))


@pytest.mark.parametrize("name", ["mixer.npz", "mixer.safetensors"])
def test_other_files_are_refused(name: str, network: Mixer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
        convert(tmp_path / name)
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
        convert(tmp_path / name)
    arrays = as_the_authors_save(network)
    del arrays["MixerBlock_1/token_mixing/Dense_0/bias"]
    np.savez(tmp_path / "part.npz", **arrays)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.token_mixing\.fc1\.bias"):
        convert(tmp_path / "part.npz")


def test_the_default_is_not_what_the_authors_use() -> None:
    """Guards the import's constants: the seed network's own differ in every one."""
    ours, theirs = MixerConfig(), PRESETS["B/16"]
    assert (theirs.gelu, theirs.norm_eps, theirs.mean, theirs.std) == ("tanh", 1e-6, (0.5,) * 3, (0.5,) * 3)
    assert ours.gelu != theirs.gelu
    assert ours.norm_eps != theirs.norm_eps


# what the weights do not tell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """timm's folder of a network with 5 classes."""
    return foreign.write(tmp_path / "timm", foreign.mixer(5))


def say(folder: Path, **stated: Any) -> None:
    """Let config.json say something else besides; None takes it out."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    both = {**config.pop("pretrained_cfg"), **stated}
    config["pretrained_cfg"] = {name: value for name, value in both.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def same(ours: Mixer, reference: torch.nn.Module, atol: float = 1e-5) -> None:
    images = torch.randn(3, 3, *ours.config.image_size)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), reference(images), rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["", "model.safetensors"], ids=["folder", "file"])
def test_timm_s_config_beside_the_weights_is_believed(folder: Path, name: str) -> None:
    said: list[str] = []
    ours = convert(folder / name, log=said.append)
    same(ours, foreign.mixer(5))
    assert (ours.config.image_size, ours.config.patch_size) == ((12, 20), (4, 5))
    assert (ours.config.mean, ours.config.std) == ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    assert ours.config.grid.rows == 3
    beside = f"(in {folder / 'config.json'})"
    assert said == [
        f"image size: 12 x 20 {beside}",
        f"mean: (0.4, 0.5, 0.6) {beside}",
        f"std: (0.2, 0.25, 0.3) {beside}",
        "classes: 5, class 0, class 1, class 2, ... (not stated)",
        "gelu: exact (not stated: default of timm)",
    ]


def test_a_picture_passes_through_both_alike(folder: Path) -> None:
    ours, pixels = convert(folder), torch.randint(256, (2, 3, 12, 20), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]))
    with torch.inference_mode():
        want = foreign.mixer(5)((pixels / 255 - mean) / std)
        torch.testing.assert_close(ours(normalise(pixels, ours.config)), want, rtol=0, atol=1e-5)


def test_the_mean_of_timm_s_best_mixer_is_0() -> None:
    config = convert(CASES / "miil").config
    assert (config.mean, config.std) == ((0, 0, 0), (1, 1, 1))
    assert convert(CASES / "timm_10_classes.safetensors").config.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "stated",
    [
        {"pretrained_cfg": {"input_size": [3, 16, 64]}},
        {"pretrained_cfg": {"input_size": [3, 224, 224]}, "model_args": {"img_size": [16, 64]}},
        {"input_size": [3, 16, 64], "labels": ["a", "b"]},  # as timm wrote it before 2023
    ],
)
def test_a_wide_network_stays_wide(tmp_path: Path, stated: dict[str, Any]) -> None:
    model = foreign.mixer(2, img_size=(16, 64), patch_size=8)
    foreign.write(tmp_path / "wide", model)
    (tmp_path / "wide" / "config.json").write_text(
        json.dumps({"architecture": "mixer_s32_224", **stated}), encoding="utf-8"
    )
    ours = convert(tmp_path / "wide")
    assert (ours.config.image_size, ours.config.grid.rows, ours.config.grid.cols) == ((16, 64), 2, 8)
    assert ours.config.classes == tuple(stated.get("labels", ()))
    same(ours, model)


def test_what_is_given_is_believed_before_what_is_beside(folder: Path) -> None:
    said: list[str] = []
    names = ("a", "b", "c", "d", "e")
    ours = convert(folder, (4, 60), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), names, said.append)
    assert (ours.config.image_size, ours.config.mean, ours.config.std) == ((4, 60), (0.1, 0.2, 0.3), (1, 2, 3))
    assert ours.config.classes == names
    assert said[:4] == [
        "image size: 4 x 60 (option)",
        "mean: (0.1, 0.2, 0.3) (option)",
        "std: (1.0, 2.0, 3.0) (option)",
        "classes: 5, a, b, c, ... (option)",
    ]


def test_metadata_in_the_file_are_believed_before_what_is_beside(folder: Path) -> None:
    path = folder / "model.safetensors"
    stated = {"format": "pt", "mean": "[0, 0.25, 1]", "input_size": "[3, 20, 12]", "label_names": '["a", "b", "c"]'}
    save_file(load_file(path), path, {**stated, "input_size": "[3, 4, 60]"})
    config = convert(path).config
    assert (config.mean, config.std, config.image_size) == ((0, 0.25, 1), (0.2, 0.25, 0.3), (4, 60))
    assert config.classes == (), "three names are not those of five classes"


@pytest.mark.parametrize(
    ("stated", "names"),
    [
        ({"label_names": ["ant", "bee", "cat", "dog", "eel"]}, ("ant", "bee", "cat", "dog", "eel")),
        ({"label_names": {"0": "ant", "3": "dog"}}, ("ant", "class 1", "class 2", "dog", "class 4")),
        (
            {"label_names": ["n1", "n2", "n3", "n4", "n5"], "label_descriptions": {"n2": "bee, a fly", "n9": "eel"}},
            ("n1", "bee, a fly", "n3", "n4", "n5"),
        ),
        ({"label_names": ["ant", "bee"]}, ()),
        ({"label_names": [1, 2, 3, 4, 5]}, ("1", "2", "3", "4", "5")),
        ({}, ()),
    ],
)
def test_names_are_timm_s(folder: Path, stated: dict[str, Any], names: tuple[str, ...]) -> None:
    say(folder, **stated)
    assert convert(folder).config.classes == names
    checkpoint.save(folder.parent / "ours", convert(folder), {})
    assert checkpoint.load(folder.parent / "ours", Mixer)[0].config.classes == names


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"input_size": None}, "12 patches of 4 x 5 pixels do not form a square.*--image-size HEIGHT WIDTH"),
        ({"input_size": [3, 224, 220]}, "224 x 220 pixels .in .*json. have 2464 patches.*for 12.*--image-size"),
        ({"input_size": [3, 11, 20]}, "cannot be divided"),
        ({"mean": [0.5]}, "mean must be 3 numbers"),
        ({"mean": 0.5}, "invalid metadata"),
        ({"mean": "grey"}, "invalid metadata"),
        ({"std": [1, 0, 1]}, "std must be three numbers above 0"),
        ({"std": [1, float("nan"), 1]}, "std must be three numbers above 0"),
        ({"input_size": "large"}, "image size must be 2 numbers"),
        ({"label_names": 7}, "invalid metadata"),
    ],
)
def test_statements_that_cannot_be_are_refused(folder: Path, stated: dict[str, Any], words: str) -> None:
    say(folder, **stated)
    with pytest.raises(CheckpointError, match=words):
        convert(folder)


def test_the_way_out_of_a_refused_size_is_the_option(folder: Path) -> None:
    for size in (None, [3, 224, 220]):
        say(folder, input_size=size)
        same(convert(folder, image_size=(12, 20)), foreign.mixer(5))


def test_patches_that_are_not_square_make_a_square_picture(tmp_path: Path) -> None:
    model = foreign.mixer(3, img_size=(24, 24), patch_size=(3, 8))
    folder = foreign.write(tmp_path / "timm", model)
    (folder / "config.json").unlink()
    ours = convert(folder)
    assert (ours.config.grid.rows, ours.config.grid.cols) == (8, 3)
    same(ours, model)


def test_another_kind_of_gelu_is_taken_and_another_activation_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "model_args": {"act_layer": "gelu_tanh"}}), encoding="utf-8"
    )
    same(convert(folder), foreign.mixer(5, act_layer=lambda: torch.nn.GELU("tanh")))
    (folder / "config.json").write_text(json.dumps({**config, "model_args": {"act_layer": "silu"}}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="act_layer must be gelu or gelu_tanh, not 'silu'"):
        convert(folder)


def test_a_config_that_is_not_timm_s_says_nothing(folder: Path) -> None:
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "mean": [9, 9, 9], "input_size": 3}), encoding="utf-8"
    )
    assert convert(folder, image_size=(12, 20)).config.mean == (0.5, 0.5, 0.5)
    (folder / "config.json").write_text(
        json.dumps({"architecture": "mixer_s16_224", "pretrained_cfg": [1, 2]}), encoding="utf-8"
    )
    with pytest.raises(CheckpointError, match="invalid metadata"):
        convert(folder)
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config.json is missing or damaged"):
        convert(folder)


# names and numbers


PREFIXES = ["_orig_mod.", "module.", "model.", "module._orig_mod.", "_orig_mod.module.model.", "net.backbone.", "0."]


@pytest.mark.parametrize("before", PREFIXES)
def test_what_wrappers_put_before_the_names_is_left_out(folder: Path, before: str) -> None:
    path = folder / "model.safetensors"
    weights = {before + name: value for name, value in load_file(path).items()}
    save_file({**weights, "loss.weight": torch.ones(5), "n_averaged": torch.tensor(7)}, path)
    same(convert(path), foreign.mixer(5))


def test_what_wrappers_put_into_the_names_is_left_out(folder: Path) -> None:
    path = folder / "model.safetensors"
    inside = {
        name.replace("mlp_tokens.", "_orig_mod.mlp_tokens._fsdp_wrapped_module.").replace("stem.", "stem._orig_mod."): v
        for name, v in load_file(path).items()
    }
    save_file({f"model.{name}": value for name, value in inside.items()}, path)
    same(convert(path), foreign.mixer(5))


def test_the_names_of_a_compiled_module_are_those_of_torch(folder: Path) -> None:
    compiled = torch.compile(torch.nn.DataParallel(foreign.mixer(5)))
    save_file(compiled.state_dict(), folder / "model.safetensors")
    same(convert(folder), foreign.mixer(5))


def test_of_two_networks_none_is_taken(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({f"{part}.{name}": v.clone() for part in ("model", "ema") for name, v in weights.items()}, path)
    with pytest.raises(CheckpointError, match=r"it has 2 stem.proj.weight: ema.stem.proj.weight, model.stem"):
        convert(path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_into_float32(folder: Path, kind: torch.dtype) -> None:
    path = folder / "model.safetensors"
    save_file({name: value.to(kind) for name, value in load_file(path).items()}, path)
    ours = convert(path)
    assert {value.dtype for value in ours.state_dict().values()} == {torch.float32}
    same(ours, foreign.mixer(5).to(kind).float())


def bfloat16(array: np.ndarray) -> np.ndarray:
    """As numpy reads what JAX wrote: the first half of a float32, two bytes without a meaning."""
    return (np.ascontiguousarray(array).view(np.uint32) >> 16).astype(np.uint16).view("V2")


@pytest.mark.parametrize("to", [lambda a: a.astype(np.float16), bfloat16, lambda a: a.astype(">f8")])
def test_other_precisions_of_the_authors_too(
    network: Mixer, tmp_path: Path, to: Callable[[np.ndarray], np.ndarray]
) -> None:
    arrays = {f"opt/target/{name}": to(value) for name, value in as_the_authors_save(network).items()}
    np.savez(tmp_path / "mixer.npz", **arrays, step=np.array(7))
    loaded = convert(tmp_path / "mixer.npz")
    assert loaded.config == network.config
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=2**-7, atol=1e-6)


def test_whole_numbers_are_no_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: (value * 100).to(torch.int8) for name, value in load_file(path).items()}, path)
    with pytest.raises(CheckpointError, match=r"is torch.int8: weights must be floating-point numbers"):
        convert(path)


# what is refused


def test_a_header_that_begins_like_a_pickle_is_none(tmp_path: Path) -> None:
    """A file of safetensors begins with the length of its header, here 0x280: in a pickle, that is protocol 2."""
    weights, path = foreign.mixer(5, num_blocks=1).state_dict(), tmp_path / "mixer.safetensors"
    starts = set()
    for length in range(300):
        save_file(weights, path, {"note": "x" * length})
        starts.add(path.read_bytes()[:1])
        if path.read_bytes()[0] == 0x80:
            convert(path, (12, 20))
    assert b"\x80" in starts


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["mixer.pth", "mixer.bin", "mixer.safetensors", "mixer.npz", "mixer"])
def test_a_pickle_is_not_read_and_the_way_out_is_named(tmp_path: Path, name: str, legacy: bool) -> None:
    path = tmp_path / name
    torch.save({"state_dict": foreign.mixer(5).state_dict()}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="is a pickle"):
        convert(path)


def test_the_way_out_of_a_pickle_leads_to_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, content in enumerate(
        ({"state_dict": foreign.mixer(5).state_dict(), "epoch": 3}, foreign.mixer(5).state_dict())
    ):
        path = tmp_path / f"it's {i}.pth"
        torch.save(content, path)
        with pytest.raises(CheckpointError) as refused:
            convert(path)
        python, option, code, *arguments = shlex.split(str(refused.value).splitlines()[-1])
        assert (python, option) == ("python", "-c")
        monkeypatch.setattr(sys, "argv", ["-c", *arguments])
        exec(code, {})
        same(convert(Path(f"{path}.safetensors"), (12, 20)), foreign.mixer(5))


def test_a_pickle_inside_an_npz_is_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "mixer.npz", **{"stem/kernel": np.array([print], dtype=object)})
    with pytest.raises(CheckpointError, match=r"allow_pickle=False"):
        convert(tmp_path / "mixer.npz")


SMALL = {"img_size": 16, "patch_size": 4, "num_classes": 3}
OTHERS: dict[str, Callable[[], torch.nn.Module]] = {
    "gMLP": lambda: foreign.mixer(3, block_layer=theirs.SpatialGatingBlock, mlp_layer=theirs.GatedMlp, mlp_ratio=4),
    "ResMLP": lambda: foreign.mixer(3, block_layer=theirs.ResBlock, norm_layer=theirs.Affine, mlp_ratio=4),
    "gated Mixer": lambda: foreign.mixer(3, mlp_layer=theirs.GluMlp, mlp_ratio=(1.0, 4.0)),
    "vision transformer": lambda: VisionTransformer(**SMALL, embed_dim=12, depth=1, num_heads=2),
    "grey pictures": lambda: foreign.mixer(3, in_chans=1),
    "norm in the stem": lambda: foreign.mixer(3, stem_norm=True),
    "no classes": lambda: foreign.mixer(0),
    "RMS norm": lambda: foreign.mixer(3, norm_layer=torch.nn.RMSNorm),
    "ours": lambda: Mixer(MixerConfig(image_size=(16, 16), hidden_dim=8, num_blocks=1)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_are_refused_in_words(kind: str, tmp_path: Path) -> None:
    save_file(OTHERS[kind]().state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"is not an MLP-Mixer of the authors .* or of timm") as refused:
        convert(tmp_path / "other.safetensors", image_size=(12, 20))
    assert len(str(refused.value)) < 400


def test_a_mixer_without_a_last_norm_is_a_mixer(tmp_path: Path) -> None:
    model = foreign.mixer(3)
    model.norm = torch.nn.Identity()
    ours = convert(foreign.write(tmp_path / "timm", model))
    assert ours.pre_head_norm is None
    same(ours, model)


def test_folders_that_are_none_of_timm_s_are_refused_with_the_next_step(folder: Path, network: Mixer) -> None:
    for names, words in (
        ([], "holds no files with weights"),
        (["a.npz", "b.npz"], "holds 2 files with weights: name one"),
    ):
        other = folder.parent / f"with {len(names)}"
        other.mkdir()
        for name in names:
            (other / name).touch()
        with pytest.raises(CheckpointError, match=words):
            convert(other)
    checkpoint.save(folder.parent / "ours", network, {})
    with pytest.raises(CheckpointError, match=r"is a checkpoint already: python app.py --checkpoint"):
        convert(folder.parent / "ours")
    with pytest.raises(CheckpointError, match=r"is a Git LFS pointer.*git lfs pull"):
        convert(CASES / "lfs_pointer.safetensors")


def test_what_is_cut_off_is_refused(folder: Path, network: Mixer, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "mixer.npz", **as_the_authors_save(network))
    for path in (folder / "model.safetensors", tmp_path / "mixer.npz"):
        whole = path.read_bytes()
        for length in (0, 1, 9, 500, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
                convert(path)
    path.write_bytes(whole[:300] + bytes(200) + whole[500:])  # the directory of the zip is whole, a part is not
    with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
        convert(path)


@pytest.mark.parametrize("case", ["timm_2_classes", "timm_10_classes", "timm_60_classes", "compiled_orig_mod"])
def test_the_reported_files_are_read(case: str) -> None:
    model = convert(CASES / f"{case}.safetensors")
    assert model.config.image_size == (32, 32)
    foreign_weights = {k.removeprefix("_orig_mod."): v for k, v in load_file(CASES / f"{case}.safetensors").items()}
    classes = len(foreign_weights["head.bias"])
    reference = theirs.MlpMixer(classes, 32, 3, 8, 1, 8, mlp_ratio=(0.5, 4.0)).eval()
    reference.load_state_dict(foreign_weights)
    same(model, reference)
