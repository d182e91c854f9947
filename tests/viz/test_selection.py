"""A link says the selection, and nothing else can be said by it."""

import time
import zlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch

from mixer.model import Mixer
from tests.conftest import small_config
from viz.lenses.all import Lenses
from viz.microscope import Microscope
from viz.page.specimen import answer_texts
from viz.selection import (
    WORDS,
    Choice,
    Choices,
    Number,
    Selection,
    Several,
    _picture_text,
    change,
    first,
    from_query,
    show,
    show_sample,
    to_query,
    to_words,
)

COLOUR = Choice("colour", "Colour", (("red", "in red"), ("blue", "in blue")), "red")
KINDS = Several("kinds", "Kinds", (("x", "the x"), ("y y", "the y"), ("z", "the z")), "x,z")
COUNT = Number("count", "Count", 2, 40, 7)
PNG = _picture_text(bytes(range(256)) * 12, (32, 32))
PAGE = Choices(["start", "mixing.unit", "end"], [COLOUR, KINDS, COUNT])


@pytest.fixture(scope="module")
def small() -> Microscope:
    torch.manual_seed(0)
    return Microscope(Mixer(small_config()), {}, torch.device("cpu"))


def opened(scope: Microscope, link: str) -> tuple[Selection, list[str]]:
    return change(scope, PAGE, first(scope, PAGE), dict(parse_qsl(link, keep_blank_values=True)))


def test_the_first_selection_has_an_empty_link(small: Microscope) -> None:
    assert to_query(to_words(small, PAGE, first(small, PAGE))) == ""
    assert opened(small, "") == (first(small, PAGE), [])


def test_a_link_is_written_as_people_read_it(small: Microscope) -> None:
    words = {"sample": "12", "class": "class 3", "patch": "3,1", "depth": "2a", "lens": "mixing.unit", "unit": "11"}
    names = [small.classes[3] if name == "class" else text for name, text in words.items()]
    selection, said = change(small, PAGE, first(small, PAGE), dict(zip(words, names, strict=True)))
    assert said == []
    assert (selection.sample, selection.target, selection.patch, selection.depth) == (12, 3, 7, 3)
    assert (selection.unit, selection.lens, selection.block) == (11, "mixing.unit", 1)
    assert "sample=12&" in to_query(to_words(small, PAGE, selection))
    assert "depth=2a&patch=3,1&unit=11&lens=mixing.unit" in to_query(to_words(small, PAGE, selection))


def test_every_selection_comes_back_from_its_link(small: Microscope) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        selection = first(small, PAGE)
        if random.random() < 0.3:
            picture = random.integers(0, 256, 3072, np.uint8).tobytes()
            selection = replace(selection, picture=picture, sample=None, target=small.answer(picture))
        else:
            selection = show_sample(small, selection, int(random.integers(200)))
        words = {
            "depth": random.choice(small.depth_names),
            "patch": f"{random.integers(8)},{random.integers(2)}",
            "lens": random.choice(PAGE.lenses),
            "colour": random.choice(["red", "blue"]),
            "kinds": random.choice(["", "x", "y y,z", "x,z"]),
            "count": str(random.integers(2, 41)),
        }
        words |= {"edits": random.choice(["mean:2,1-0,0", "grey;swap:0,0-7,1", "paste:12@3,1;shuffle:7"])}
        words |= {"undone": "noise;black:1,1"} if random.random() < 0.5 else {}
        words |= {"unit": str(random.integers(13))} if random.random() < 0.5 else {}
        words |= {"class": str(random.choice(small.classes))} if random.random() < 0.5 else {}
        selection, said = change(small, PAGE, selection, words)
        assert said == []
        assert opened(small, to_query(to_words(small, PAGE, selection))) == (selection, [])


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("sample=200", "sample is a whole number from 0 to 199, not '200'"),
        ("sample=-1", "sample is a whole number"),
        ("sample=1e1", "sample is a whole number"),
        ("sample=%D9%A1", "sample is a whole number"),
        ("class=unicorn", "has no class 'unicorn'"),
        ("class=10", "has no class '10'"),
        ("patch=8,0", "the row of the patch is a whole number from 0 to 7, not '8'"),
        ("patch=0,2", "the column of the patch is a whole number from 0 to 1, not '2'"),
        ("patch=3", "patch is row,column"),
        ("depth=4a", "depth is one of stem, 1a, 1b to 3b, not '4a'"),
        ("unit=13", "unit is a whole number from 0 to 12"),
        ("lens=nowhere", "there is no tab 'nowhere': the tabs are start, mixing.unit, end"),
        ("colour=green", "colour is one of red, blue, not 'green'"),
        ("kinds=x,q", "kinds are of x, y y, z, not 'q'"),
        ("count=41", "count is a whole number from 2 to 40"),
        (
            "edits=melt:0,0",
            "an edit is one of mean, black, blur, noise, grey, shuffle, paste, swap, original, not 'melt'",
        ),
        ("edits=mean:8,0", "'mean:8,0' needs a whole number from 0 to 7 where it has '8'"),
        ("edits=mean:0", "needs a whole number from 0 to 1 where it has ''"),
        ("edits=paste", "'paste' needs a whole number from 0 to 199 where it has ''"),
        ("edits=paste:200@0,0", "needs a whole number from 0 to 199"),
        ("edits=shuffle:x", "needs a whole number from 0 to 999 where it has 'x'"),
        ("edits=swap:0,0", "a swap is of two patches, or of two groups of as many, as in swap:0,0-7,1, not 'swap:0,0'"),
        ("edits=mean:0,0-0,0", "names a patch twice"),
        ("edits=" + "grey;" * 65, "at most 64 edits, not 65"),
        ("weather=fine", "no option called 'weather'"),
        ("picture=%%%", "picture of this link is damaged"),
        ("picture=" + urlsafe_b64encode(zlib.compress(b"\0" * 3071)).decode(), "picture of this link is damaged"),
        ("picture=" + urlsafe_b64encode(zlib.compress(b"\0" * 10**8)).decode(), "picture of this link is damaged"),
        ("picture=too-large", "picture of this link is damaged"),
        ("picture=" + "A" * 40, "picture of this link is damaged"),
        ("picture=" + PNG[:-40], "picture of this link is damaged"),
    ],
)
def test_a_wrong_value_is_said_and_the_rest_is_used(small: Microscope, link: str, told: str) -> None:
    selection, said = opened(small, f"{link}&depth2=1&colour2=blue")
    assert len(said) == 3
    assert told.lower() in _lower(said[0] + said[-1])
    assert selection == first(small, PAGE)
    alone, said = opened(small, f"count=9&{link}" if not link.startswith("count") else f"{link}&colour=blue")
    assert len(said) == 1
    assert told.lower() in _lower(said[0])
    assert alone.options


def _lower(sentences: str) -> str:
    return sentences.lower()


def test_a_picture_asks_about_its_answer_and_a_block_about_its_strongest_unit(small: Microscope) -> None:
    start, _ = opened(small, "class=3&unit=5&depth=2a")
    assert start.unit == 5
    within, _ = change(small, PAGE, start, {"depth": "2b"})
    assert within.unit == 5
    other, _ = change(small, PAGE, start, {"depth": "3a"})
    assert other.unit is None
    picture, _ = change(small, PAGE, start, {"sample": "77"})
    assert picture.target == small.answer(picture.picture)
    assert picture.unit is None


def test_edits_change_what_the_network_sees_and_not_what_is_asked(small: Microscope) -> None:
    start, _ = opened(small, "sample=40")
    edited, said = change(small, PAGE, start, {"edits": "black:0,0;black:0,1"})
    assert said == []
    assert small.pixels(edited.picture)[:4].max() == 0
    assert (small.pixels(edited.picture)[4:] == small.pixels(start.picture)[4:]).all()
    assert (edited.original, edited.sample, edited.target) == (start.picture, 40, start.target)
    assert to_query(to_words(small, PAGE, edited)) == "sample=40&edits=black:0,0;black:0,1"
    fewer, _ = change(small, PAGE, edited, {"edits": "black:0,0", "undone": "black:0,1"})
    assert fewer.original == start.picture
    again, _ = change(small, PAGE, fewer, {"edits": "black:0,0;black:0,1"})
    assert again == edited
    none, _ = change(small, PAGE, edited, {"edits": ""})
    assert none == start
    other, _ = change(small, PAGE, edited, {"sample": "41"})
    assert (other.edits, other.picture) == ((), small.sample_picture(41))


def test_a_picture_fits_a_network_of_another_size_which_says_so_and_links_it_as_it_was(small: Microscope) -> None:
    torch.manual_seed(0)
    config = replace(small_config(), image_size=(96, 48), patch_size=(48, 16))
    large = Microscope(Mixer(config), {}, torch.device("cpu"))
    picture = np.random.default_rng(0).integers(0, 256, 3 * 96 * 48, np.uint8).tobytes()
    link = to_query(to_words(large, PAGE, show(large, first(large, PAGE), picture)))
    there, said = change(large, PAGE, first(large, PAGE), from_query(link))
    assert (there.picture, there.sample, said) == (picture, None, [])
    here, said = opened(small, link)
    assert (len(here.picture), here.sample) == (3 * 32 * 32, None)
    assert not any("picture" in sentence for sentence in said)
    assert "48 x 96 pixels, here resized to 32 x 32" in answer_texts(small, here)[-1]
    edited, _ = change(small, PAGE, here, {"edits": "mean:2,1"})
    words = from_query(to_query(to_words(small, PAGE, edited)))
    (again, _), (back, _) = (change(one, PAGE, first(one, PAGE), words) for one in (small, large))
    assert again == edited
    assert back.original == picture
    assert len(answer_texts(large, there)) == 1
    other, _ = change(small, PAGE, here, {"sample": "41"})
    assert other.brought is None


def test_a_link_of_before_november_2026_shows_its_picture(small: Microscope) -> None:
    picture = np.random.default_rng(1).integers(0, 256, 3072, np.uint8).tobytes()
    text = urlsafe_b64encode(zlib.compress(picture, 9)).decode()
    shown, said = change(small, PAGE, first(small, PAGE), {"picture": text})
    assert (shown.picture, said) == (picture, [])


@pytest.mark.parametrize(
    "link",
    [
        "?sample=125&patch=3,1",
        "?sample=125&patch=3,1&fbclid=IwAR0abc",
        "?utm_source=chatgpt.com&sample=125&utm_medium=x&patch=3,1&gclid=1&msclkid=2&mc_eid=3&_ga=4&igsh=5&ref=mail",
        "?sample=125&patch=3,1.",
        "?sample=125&patch=3,1).",
        "?sample=125&patch=3,1%3E",
        "?sample=125&patch=3,1\u201d,",
        "?sample=125.&patch=3,1",
        "?sample=125&amp;patch=3,1",
        "?sample=125&amp;amp;patch=3,1",
        "?sample=125&#038;patch=3,1",
        "?sample=125&#38;patch=3%2C1&#x26;utm_term=a",
        "?sample=125&patch=3%252C1",
        "?sample=125&patch=3%25252C1%2529",
        "?sample%3D125%26patch%3D3%2C1",
        "?sample%253D125%2526amp%253Bpatch%253D3%252C1.",
        "?sample=125&patch=3,1%20",
        "?sample=125&patch=3,1#how",
        "?sample=125%26patch=3,1",
        "?sample=125%26amp;patch%3D3,1",
        "?sample=125%2526patch%253D3,1",
        "?utm_source=x%26sample=125%26patch=3,1",
        "?network=a%26b=c%26sample=125&patch=3,1",
        "?class=R%26D%26sample=125&patch=3,1",
        "?sample=125&patch=3,1?utm_source=x",
        "?sample=125&patch=3,1\ufe0f",
        "?sample=125&patch=3,1&class=cat?fbclid=x",
        "?utm_source=x?sample=125&patch=3,1?ref=y&z_z=1",
        "?\u200esample=125&patch=3,1",
        *(
            f"?sample=125&patch=3,1{end}"
            for end in "\uff09\u3002\u3001\ufeff\u200e/\\_|\u2014\u300d~^$=\xad\u2069\u3000"
        ),
        *(f"?sample={start}125&patch=3,1" for start in "\ufeff\uff08\u2066"),
    ],
)
def test_a_link_says_the_same_when_it_has_been_through_chats_and_mails(small: Microscope, link: str) -> None:
    want, _ = change(small, PAGE, first(small, PAGE), {"sample": "125", "patch": "3,1"})
    words = {name: word for name, word in from_query(link).items() if name not in ("network", "class")}
    assert change(small, PAGE, first(small, PAGE), words) == (want, [])


@pytest.mark.parametrize("name", ["class", "pin", "network", "rather-than"])
def test_a_text_that_people_made_up_stays_whole(name: str) -> None:
    for text in ("R&D", "a&b=c", "a?b", "50%20off", "R&amp;D", "a&D=1?x=2"):
        assert from_query(to_query({name: text, "patch": "3,1"})) == {name: text, "patch": "3,1"}


def test_a_link_of_trackers_alone_says_nothing_and_nothing_of_ours_is_taken_for_one(scope: Microscope) -> None:
    assert from_query("?utm_source=chatgpt.com&__theme=dark&_hsenc=1&GCLID=2&yclid=3&ttclid=4&gad_source=1") == {}
    trackers = (
        "srsltid mibextid gclsrc rdt_cid ScCid guccounter guce_referrer sfnsn s_cid irgwc elqTrackId fbclid wbraid "
        "igshid ab_channel trackingId xmt msockid cvid sxsrf adgroupid originalSubdomain nb_klid"
    )
    assert from_query("&".join(f"{name}=1" for name in trackers.split())) == {}
    page = Lenses(scope).page
    for name in (
        *WORDS,
        "pin",
        "network",
        "view",
        "only",
        "weather",
        "deph",
        *(option.name for option in page.options),
    ):
        assert from_query(f"{name}=1") == {name: "1"}


@pytest.mark.parametrize("name", ["L. (stray)", "50%20off", "a.", "<b>", "R&amp;D"])
def test_a_class_is_called_what_it_is_called(name: str) -> None:
    """Nothing is forgiven where the words as they are say something."""
    torch.manual_seed(0)
    classes = (name, *(f"class {i}" for i in range(9)))
    scope = Microscope(Mixer(replace(small_config(), classes=classes)), {}, torch.device("cpu"))
    start, _ = change(scope, PAGE, first(scope, PAGE), {"class": "class 3"})
    found, said = change(scope, PAGE, start, from_query(to_query({"class": name})))
    assert (scope.classes[found.target], said) == (name, [])


def test_classes_that_differ_little_are_linked_apart_and_decomposed_letters_are_found_as_chats_write_them() -> None:
    names = ("Cat", "cat", "a", "a#0", "Cafe\u0301", "b&c", "d+e", "h%20")
    config = replace(small_config(), num_classes=len(names), classes=names)
    scope = Microscope(Mixer(config), {}, torch.device("cpu"))
    for number, name in enumerate(names):
        chosen, said = change(scope, PAGE, first(scope, PAGE), {"class": name})
        assert (chosen.target, said) == (number, [])
        linked, said = change(scope, PAGE, first(scope, PAGE), from_query(to_query(to_words(scope, PAGE, chosen))))
        assert (linked, said) == (chosen, [])
    assert scope.class_number("Caf\u00e9") == 4
    with pytest.raises(ValueError, match="has no class 'CAT'"):
        scope.class_number("CAT")


@pytest.mark.parametrize(
    "link",
    [
        "patch=1,1" + "?patch=1,1" * 3000,
        "patch=%" + "25" * 80_000,
        "?" * 9000 + "patch=1,1",
        "patch=1,1" + "&amp;patch=1,1" * 9000,
        "%3Fpatch%3D" * 9000,
    ],
    ids=["links in links", "encoded again and again", "question marks", "ampersands", "encoded"],
)
def test_a_link_that_is_made_to_be_slow_is_read_in_time(link: str) -> None:
    begin = time.process_time()
    assert from_query(link)
    assert time.process_time() - begin < 2


def test_of_a_name_that_occurs_twice_the_last_one_counts_also_after_a_link_in_a_value() -> None:
    assert from_query("patch=1,1?depth=2a&depth=3a")["depth"] == "3a"
    assert from_query("depth=3a&patch=1,1?depth=2a")["depth"] == "2a"
