import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixer.data import (
    CLASSES,
    DataMissing,
    OtherClasses,
    cifar10,
    cifar10_numbers,
    class_names,
    normalise,
    samples,
    to_input,
    to_picture,
)
from mixer.model import PRESETS, MixerConfig

SIZE = (32, 32)


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // (width - 1), y * 255 // (height - 1), 0 * x], 2).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_a_cifar_picture_comes_through_unchanged() -> None:
    shipped = samples()
    image = Image.fromarray(shipped.images[37].permute(1, 2, 0).numpy())
    assert torch.equal(to_input(image, MixerConfig()), normalise(shipped.images[37], MixerConfig()))


def test_normalisation_is_that_of_the_config() -> None:
    white = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    torch.testing.assert_close(normalise(white, PRESETS["B/16"]), torch.ones(2, 3, 4, 5))
    config = replace(MixerConfig(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    torch.testing.assert_close(normalise(white, config)[1, :, 0, 0], torch.tensor([1.8, 3.2, 7.0]))


def test_the_centre_is_cut_out_and_resized() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    seen = pixels(to_picture(wide, SIZE))
    assert (seen[:, 2:-2] == [0, 0, 255]).all()  # the filter of the resizing reaches a little over the cut
    assert (seen[..., 0] < 30).all()
    assert to_picture(wide, (20, 50)).size == (50, 20)


def test_shrinking_is_antialiased() -> None:
    y, x = np.mgrid[:512, :512]
    board = Image.fromarray((((x + y) % 2) * 255).astype(np.uint8))
    assert abs(pixels(to_picture(board, SIZE)) - 128).max() <= 2


def test_exif_orientation_is_obeyed() -> None:
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
    gradient(64, 64).save(file, "PNG", exif=exif)
    turned = pixels(to_picture(Image.open(file), SIZE))
    upright = pixels(to_picture(gradient(64, 64).rotate(-90), SIZE))
    assert (turned == upright).all()
    assert (turned != pixels(to_picture(gradient(64, 64), SIZE))).any()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LA", "RGBA", "PA", "I;16", "I", "F", "HSV", "LAB"])
def test_every_mode_of_pillow_gives_the_same_grey(mode: str) -> None:
    deep = {"I;16": np.uint16, "I": np.int32}
    if mode in deep:
        image = Image.fromarray(np.full((40, 40), 128 * 257, dtype=deep[mode]))
    elif mode == "F":
        image = Image.fromarray(np.full((40, 40), 128, dtype=np.float32))
    elif mode == "LAB":
        image = Image.new("LAB", (40, 40), (137, 128, 128))
    elif mode == "1":
        image = Image.fromarray(np.tile(np.array([[0, 255], [255, 0]], dtype=np.uint8), (20, 20))).convert("1")
        image = image.resize((40, 40))
    else:
        image = Image.new("RGB", (40, 40), (128, 128, 128)).convert("RGBA" if mode == "PA" else mode)
        image = image.convert("P").convert("PA") if mode == "PA" else image
    got = pixels(to_picture(image, SIZE))
    assert got.shape == (32, 32, 3)
    assert abs(got.mean() - 128) <= 3


def test_transparent_becomes_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (pixels(to_picture(image, SIZE)) == 255).all()
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([10, 20, 30])
    palette.info["transparency"] = 0
    assert (pixels(to_picture(palette, SIZE)) == 255).all()


def test_of_an_animation_the_first_frame_counts() -> None:
    file = BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    image = Image.open(file)
    image.seek(2)
    assert (pixels(to_picture(image, SIZE)) == [255, 0, 0]).all()


def test_a_damaged_picture_is_an_error_in_words() -> None:
    file = BytesIO()
    Image.effect_noise((200, 200), 90).save(file, "PNG")
    with pytest.raises(ValueError, match="this picture cannot be read"):
        to_picture(Image.open(BytesIO(file.getvalue()[:500])), SIZE)


def test_samples_are_twenty_of_each_class() -> None:
    shipped = samples()
    assert torch.equal(shipped.labels.bincount(), torch.full((10,), 20))
    assert shipped.images.shape == (200, 3, 32, 32)
    assert len(shipped.indices.unique()) == 200


def test_classes_have_the_names_that_the_config_states() -> None:
    assert class_names(MixerConfig(num_classes=2, classes=("cat", "dog"))) == ("cat", "dog")
    assert class_names(MixerConfig(num_classes=10)) == tuple(f"class {i}" for i in range(10))
    assert class_names(PRESETS["seed"]) == class_names(PRESETS["seed-rows"]) == CLASSES


def test_a_thousand_classes_are_imagenet_s() -> None:
    names = class_names(PRESETS["B/16"])
    assert (names[0], names[207], names[999]) == ("tench", "golden retriever", "toilet tissue")
    assert len(set(names)) == 1000
    own = tuple(f"flower {i}" for i in range(1000))
    assert class_names(replace(PRESETS["B/16"], classes=own)) == own


def test_classes_of_the_same_name_are_told_apart() -> None:
    config = MixerConfig(num_classes=4, classes=("crane", "ship", "crane", "crane #1"))
    assert class_names(config) == ("crane #0", "ship", "crane #2", "crane #1")


def test_cifar10_s_labels_are_renumbered_for_a_network_with_the_same_classes() -> None:
    assert cifar10_numbers(CLASSES).tolist() == list(range(10))
    turned = CLASSES[3:] + CLASSES[:3]
    numbers = cifar10_numbers(turned)
    assert [turned[i] for i in numbers.tolist()] == list(CLASSES)


@pytest.mark.parametrize(
    "names", [("cat",), ("cat", "dog"), CLASSES[1:], (*CLASSES, "cow"), ("cow", *CLASSES[1:])], ids=len
)
def test_of_other_classes_no_label_is_known(names: tuple[str, ...]) -> None:
    with pytest.raises(OtherClasses, match=f"classes .{len(names)}: {names[0]}.* are not CIFAR-10's"):
        cifar10_numbers(names)


def test_missing_data_says_the_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", str(tmp_path))
    with pytest.raises(DataMissing) as error:
        cifar10("test")
    for way in (str(tmp_path), "--download", "--data-root", "CIFAR10_ROOT"):
        assert way in str(error.value)


@pytest.mark.skipif("CIFAR10_ROOT" not in os.environ, reason="CIFAR10_ROOT does not say where CIFAR-10 is")
def test_the_splits_and_the_samples_are_those_of_the_official_batches() -> None:
    shipped, test = samples(), cifar10("test")
    assert torch.equal(test.images[shipped.indices], shipped.images)
    assert torch.equal(test.labels[shipped.indices], shipped.labels)
    train, validation, both = cifar10("train"), cifar10("validation"), cifar10("train+validation")
    assert (len(train), len(validation), len(both), len(test)) == (45_000, 5_000, 50_000, 10_000)
    assert torch.equal(torch.cat((train.images, validation.images)), both.images)
    assert torch.equal(torch.cat((train.labels, validation.labels)), both.labels)
    mean = both.images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor(MixerConfig().mean).double(), atol=1e-4, rtol=0)
