import pytest
import torch
from torchvision.transforms import v2

from mixer.autoaugment import LEVELS, OPERATIONS, SIGNED, apply, auto_augment, policy

THEIRS = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
IMAGES = (torch.rand(23, 3, 32, 32, generator=torch.Generator().manual_seed(0)).cumsum(2).cumsum(3) % 1 * 255).byte()


def test_the_policy_is_torchvision_s() -> None:
    assert policy() == [[(name, p, level or 0) for name, p, level in row] for row in THEIRS._policies]


def test_the_magnitudes_are_torchvision_s() -> None:
    for name, magnitude in LEVELS.items():
        of, signed = THEIRS._AUGMENTATION_SPACE[name]
        assert signed == (name in SIGNED)
        levels = of(10, 32, 32)
        if levels is not None:
            scale = 255 if name == "Solarize" else 1
            found = [magnitude(level / 9) for level in range(10)]
            wanted = [int(v) if name.startswith("Translate") else float(v) * scale for v in levels]
            assert found == pytest.approx(wanted, rel=1e-5, abs=1e-4), name


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_image_comes_out_as_torchvision_gives_it_alone(name: str) -> None:
    levels = sorted({level for row in policy() for n, _, level in row if n == name})
    sizes = [sign * LEVELS[name](level / 9) for level in levels for sign in ((1, -1) if name in SIGNED else (1,))]
    magnitudes = torch.tensor([float(sizes[i % len(sizes)]) for i in range(len(IMAGES))])
    operation = torch.full((len(IMAGES),), OPERATIONS.index(name))
    operation[::5] = -1
    out = apply(IMAGES, operation, magnitudes)
    for i, image in enumerate(IMAGES):
        theirs = image
        if i % 5:
            magnitude = magnitudes[i].item() / (255 if name == "Solarize" else 1)
            theirs = THEIRS._apply_image_or_video_transform(image, name, magnitude, THEIRS.interpolation, THEIRS._fill)
        off = (out[i].int() - theirs.int()).abs()
        if name in ("Rotate", "ShearY"):  # a place halfway between two pixels goes to the one or the other
            assert (off > 0).float().mean() < 0.01
        elif name in SIGNED:  # a tenth of the sums should be whole, and rounding leaves them on either side
            assert off.max() <= 1
            assert (off > 0).float().mean() < 0.15
        else:
            assert not off.any()


def test_every_image_has_a_draw_of_its_own_that_follows_from_the_seed() -> None:
    torch.manual_seed(0)
    same = IMAGES[:1].expand(300, -1, -1, -1)
    out = auto_augment(same)
    different = {tuple(image.flatten().tolist()) for image in out}
    assert len(different) > 30
    assert 0.05 < (out == same).flatten(1).all(1).float().mean() < 0.35
    torch.manual_seed(0)
    assert torch.equal(auto_augment(same), out)
