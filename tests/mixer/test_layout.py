"""How folders are read: parts by their names and by what is in them, or else classes, or else both readings."""

import zipfile
from pathlib import Path

import pytest

from mixer.layout import Folders, UnusableData, read_layout

CASES = Path(__file__).parent.parent / "data" / "cases"


def tree(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "1.jpg").touch()
    return root


def found(root: Path, folders: Folders | None = None) -> set[tuple[str, str, str]]:
    """(file, class, part)"""
    layout = read_layout(root, folders)
    return {(f.path.relative_to(root).as_posix(), layout.classes[f.label], f.part) for f in layout.files}


@pytest.mark.parametrize(
    ("training", "testing"),
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train-images", "test-images"),
        ("Train Data", "Test Data"),
        ("trainingSet", "testSet"),
        ("01.train", "02.test"),
        ("trainset", "testset"),
        ("cats_and_dogs.train", "cats_and_dogs.evaluation"),
        ("trainval", "TEST2"),
    ],
)
@pytest.mark.parametrize("inside", ["", "images/", "{name}/", "a/b/"])
def test_parts_are_known_by_usual_names(tmp_path: Path, training: str, testing: str, inside: str) -> None:
    names = {training: "train", testing: "test"}
    at = {name: f"{name}/{inside.format(name=name)}" for name in names}
    tree(tmp_path, *(f"{at[name]}{kind}" for name in names for kind in ("ants", "bees")))
    assert found(tmp_path) == {
        (f"{at[name]}{kind}/1.jpg", kind, part) for name, part in names.items() for kind in ("ants", "bees")
    }


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev", "val_images", "VAL"])
def test_validation_serves_as_test_where_there_is_none(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "train/ants", "train/bees", f"{name}/ants", f"{name}/bees")
    assert {(kind, part) for _, kind, part in found(tmp_path)} == {
        (k, p) for k in ("ants", "bees") for p in ("train", "test")
    }
    assert "the validation images are used for the test" in " ".join(read_layout(tmp_path).notes)
    tree(tmp_path, "test/ants", "test/bees")
    assert {part for _, _, part in found(tmp_path)} == {"train", "validation", "test"}


def test_pytorch_s_own_tutorial_is_read_as_it_is_meant(tmp_path: Path) -> None:
    zipfile.ZipFile(CASES / "layout_train_val.zip").extractall(tmp_path)
    layout = read_layout(tmp_path)
    assert layout.classes == ("ants", "bees")
    parts = [file.part for file in layout.files]
    assert (parts.count("train"), parts.count("test")) == (60, 28)


@pytest.mark.parametrize("other", ["seg_pred", "pred/pred", "extra/ants", "notes"])
def test_another_folder_beside_parts_is_left_out_and_named(tmp_path: Path, other: str) -> None:
    tree(tmp_path, "seg_train/ants", "seg_train/bees", "seg_test/ants", "seg_test/bees", other)
    assert {(kind, part) for _, kind, part in found(tmp_path)} == {
        (kind, part) for kind in ("ants", "bees") for part in ("train", "test")
    }
    name = other.partition("/")[0]
    assert f"{name} is not the name of a part: its files are left out (1)." in read_layout(tmp_path).notes


def test_a_test_folder_without_class_folders_is_said_to_be_one(tmp_path: Path) -> None:
    tree(tmp_path, "train/ants", "train/bees", "test")
    assert {(kind, part) for _, kind, part in found(tmp_path)} == {("ants", ""), ("bees", "")}
    notes = " ".join(read_layout(tmp_path).notes)
    assert "test is a part without class folders: its files have no class and are left out (1)." in notes
    assert "There are no test images: the training images are split." in notes
    tree(tmp_path, "val/ants", "val/bees")
    assert {part for _, _, part in found(tmp_path)} == {"train", "test"}


@pytest.mark.parametrize("inside", ["test", "images", "unknown/unknown", "more/of/them"])
@pytest.mark.parametrize("part", ["test", "seg_pred_test"])
def test_a_test_folder_that_is_wrapped_has_no_classes_either(tmp_path: Path, part: str, inside: str) -> None:
    tree(tmp_path, "train/ants", "train/bees", f"{part}/{inside}")
    assert {(kind, part) for _, kind, part in found(tmp_path)} == {("ants", ""), ("bees", "")}
    notes = " ".join(read_layout(tmp_path).notes)
    assert f"{part} is a part without class folders: its files have no class and are left out (1)." in notes


def test_a_test_folder_of_one_class_has_that_class(tmp_path: Path) -> None:
    tree(tmp_path, "train/ants", "train/bees", "test/bees")
    assert ("test/bees/1.jpg", "bees", "test") in found(tmp_path)


WITHIN = [f"{kind}/{part}" for kind in ("ants", "bees") for part in ("Train", "Test")]


@pytest.mark.parametrize("stray", [[], ["docs"], ["docs", "scripts/more"]])
def test_parts_within_classes_are_parts(tmp_path: Path, stray: list[str]) -> None:
    tree(tmp_path, *WITHIN)
    for name in stray:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "notes.txt").touch()
    want = {(f"{kind}/{part}/1.jpg", kind, part.lower()) for kind in ("ants", "bees") for part in ("Train", "Test")}
    for folders in (None, "parts", "classes"):
        assert found(tmp_path, folders) == want
    notes = " ".join(read_layout(tmp_path).notes)
    assert "Parts by the names of the folders (train: Train; test: Test)." in notes
    names = ", ".join(name.partition("/")[0] for name in stray)
    assert (f"Folders that are not parts of a class, left out: {names}." in notes) == bool(stray)


def test_parts_within_classes_are_known_without_endings_of_files(tmp_path: Path) -> None:
    for folder in WITHIN:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0001").touch()
    assert {part for _, _, part in found(tmp_path)} == {"train", "test"}


@pytest.mark.parametrize("name", ["val", "Validation", "dev_set"])
def test_validation_within_classes_serves_as_test_where_there_is_none(tmp_path: Path, name: str) -> None:
    tree(tmp_path, *(f"{kind}/{part}" for kind in ("ants", "bees") for part in ("train", name)))
    assert {part for _, _, part in found(tmp_path)} == {"train", "test"}
    assert "the validation images are used for the test" in " ".join(read_layout(tmp_path).notes)
    tree(tmp_path, "ants/test", "bees/test")
    assert {part for _, _, part in found(tmp_path)} == {"train", "validation", "test"}


def test_without_test_and_validation_the_training_images_within_classes_are_split(tmp_path: Path) -> None:
    tree(tmp_path, "ants/train", "bees/train")
    assert {part for _, _, part in found(tmp_path)} == {""}
    assert "There are no test images: the training images are split." in read_layout(tmp_path).notes


def test_images_beside_classes_with_parts_are_refused_or_left_out(tmp_path: Path) -> None:
    tree(tmp_path, *WITHIN, "ants/drawings", "flies")
    with pytest.raises(
        UnusableData, match=r"\(ants, bees, flies\) are classes, add --folders classes. .* mixed and split"
    ) as caught:
        read_layout(tmp_path)
    assert "although there are parts (Test, Train) in ants, bees" in str(caught.value)
    assert "sort flies into parts, too, or leave out flies with --folders parts" in str(caught.value)
    assert {part for _, _, part in found(tmp_path, "classes")} == {""}
    assert {kind for _, kind, _ in found(tmp_path, "parts")} == {"ants", "bees"}
    notes = read_layout(tmp_path, "parts").notes
    assert "Folders that are not parts of a class, left out: ants/drawings, flies." in notes


def test_one_class_with_parts_is_not_split_anew_in_silence(tmp_path: Path) -> None:
    tree(tmp_path, "a/train", "a/test", "b")
    for folders in (None, "parts"):
        with pytest.raises(UnusableData, match=r"To keep these, sort b into parts, too$"):
            read_layout(tmp_path, folders)
    assert read_layout(tmp_path, "classes").classes == ("a", "b")


@pytest.mark.parametrize("beside", [("masks/train", "masks/val"), ("masks",), ("masks/train/ants", "masks/val/ants")])
def test_a_whole_data_set_beside_another_folder_is_pointed_at(tmp_path: Path, beside: tuple[str, ...]) -> None:
    tree(tmp_path, *(f"images/{part}/{kind}" for part in ("train", "val") for kind in ("ants", "bees")), *beside)
    with pytest.raises(UnusableData, match=r"\(images, masks\) are classes, add --folders classes") as caught:
        read_layout(tmp_path)
    assert f"the classes inside (ants, bees), choose that folder: {tmp_path / 'images'}" in str(caught.value)
    assert read_layout(tmp_path / "images").classes == ("ants", "bees")
    assert read_layout(tmp_path, "classes").classes == ("images", "masks")


def copied(root: Path, *names: str) -> Path:
    """Two classes, which are again in folders of these names, each within the one before."""
    for folder in (root, *(root.joinpath(*names[:i]) for i in range(1, len(names) + 1))):
        tree(folder, "Para", "Uninf")
    return root


@pytest.mark.parametrize("names", [["cell_images"], ["cells", "cells"], ["a copy"]])
def test_a_folder_that_holds_its_neighbours_again_is_no_class(tmp_path: Path, names: list[str]) -> None:
    copied(tmp_path, *names)
    assert found(tmp_path) == {(f"{kind}/1.jpg", kind, "") for kind in ("Para", "Uninf")}
    assert f"{names[0]} contains the same classes and files again: it is left out." in read_layout(tmp_path).notes
    assert read_layout(tmp_path, "classes").classes == tuple(sorted(("Para", "Uninf", names[0])))
    (tmp_path / names[0] / "Para" / "2.jpg").touch()
    with pytest.raises(UnusableData, match=f"If {names[0]} contains more images of the same classes, move them"):
        read_layout(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("bus", "car", "train"),
        ("valley", "trainers"),
        ("test tube", "flask"),
        ("cat/more", "dog/more"),
        ("toys/train", "toys/bus", "cats"),
    ],
)
def test_classes_stay_classes_whatever_they_are_called(tmp_path: Path, folders: tuple[str, ...]) -> None:
    tree(tmp_path, *folders)
    assert found(tmp_path) == {(f"{folder}/1.jpg", folder.partition("/")[0], "") for folder in folders}


@pytest.mark.parametrize(
    ("folders", "words", "answer", "classes"),
    [
        (("1/cat", "1/dog", "2/cat", "2/dog"), "with the classes inside (cat, dog)", "classes", "1 2"),
        (("set1/ants", "set1/bees", "set2/ants"), "with the classes inside (ants, bees)", "classes", "set1 set2"),
        (("bus", "train/steam", "train/electric"), "only train contains the classes (elec", "classes", "bus train"),
        (("bus", "train/steam", "train/electric"), "add --folders parts", "parts", "electric steam"),
        (("train", "test"), "sort the images in each of them into one folder per class", "classes", "test train"),
    ],
)  # fmt: skip
def test_where_both_readings_are_possible_both_are_said(
    tmp_path: Path, folders: tuple[str, ...], words: str, answer: Folders, classes: str
) -> None:
    tree(tmp_path, *folders)
    with pytest.raises(UnusableData, match="is ambiguous") as caught:
        read_layout(tmp_path)
    assert words in str(caught.value)
    assert "--folders classes" in str(caught.value)
    assert read_layout(tmp_path, answer).classes == tuple(classes.split())


def test_parts_that_are_none_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "cat", "dog")
    with pytest.raises(UnusableData, match="has no folder train with one folder per class in it"):
        read_layout(tmp_path, "parts")


def test_files_beside_the_classes_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "photos/cat", "photos/dog")
    (tmp_path / "photos" / "README").touch()
    assert found(tmp_path) == {("photos/cat/1.jpg", "cat", ""), ("photos/dog/1.jpg", "dog", "")}
    assert "Files in no class folder, left out: 1 (photos/README)." in read_layout(tmp_path).notes
