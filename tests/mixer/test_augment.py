import torch

from mixer.augment import crop_and_flip, cutmix, mixup

IMAGES = torch.randint(256, (64, 3, 10, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_a_shift_an_image_is_itself_or_its_mirror_image() -> None:
    mirrored = torch.arange(64) % 3 == 0
    out = crop_and_flip(IMAGES, 0, mirrored)
    assert torch.equal(out[~mirrored], IMAGES[~mirrored])
    assert torch.equal(out[mirrored], IMAGES[mirrored].flip(3))
    by_chance = crop_and_flip(IMAGES, 0)
    same = (by_chance == IMAGES).flatten(1).all(1)
    turned = (by_chance == IMAGES.flip(3)).flatten(1).all(1)
    assert (same ^ turned).all()
    assert 15 < same.sum() < 49


def test_a_shifted_image_keeps_its_inside() -> None:
    out = crop_and_flip(IMAGES, 2, torch.zeros(64, dtype=torch.bool))
    shifts = set()
    for image, original in zip(out, IMAGES, strict=True):
        found = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(image[:, 2:8, 2:10], original[:, 2 + dy : 8 + dy, 2 + dx : 10 + dx])
        ]
        assert len(found) == 1
        shifts.update(found)
    assert len(shifts) > 15  # of 25


def test_mixup_is_the_same_blend_of_images_and_targets() -> None:
    classes = torch.eye(64)
    images, targets = mixup(classes.view(64, 1, 8, 8).expand(-1, 3, -1, -1), classes)
    torch.testing.assert_close(images[:, 0].flatten(1), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(64))


def test_cutmix_gives_each_class_its_share_of_the_pixels() -> None:
    classes = torch.eye(5)
    values = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 10, 12)
    shares = []
    for _ in range(200):
        images, targets = cutmix(values, classes)
        for image, target in zip(images, targets, strict=True):
            share = torch.stack([(image[0] == value).float().mean() for value in range(5)])
            torch.testing.assert_close(share, target)
        shares.append(targets.max().item())
    assert min(shares) < 0.6
    assert max(shares) > 0.95
