"""The selection of a visitor, options included, and its link.

A link has the parameters that differ from the first selection of the page:
`sample=12&edits=mean:2,1&class=cat&patch=3,1&depth=5a&lens=mixing.unit`. Clicks and controls use them, too, so
`change` is the only function that changes a selection.
"""

import re
import zlib
from base64 import b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from io import BytesIO
from typing import TypeVar
from unicodedata import category
from urllib.parse import parse_qsl, unquote, urlencode

from PIL import Image

from mixer.grid import Groups
from mixer.picture import decode
from viz.intervene import edits
from viz.intervene.edits import Edit
from viz.microscope import Microscope

MAX_SAMPLE = 99_999
"""largest number of a sample or test image in a link"""

Params = Mapping[str, str]
"""parameters of a link, by name"""

AMPERSAND = re.compile(r"&(amp;|#0*38;|#x0*26;)+", re.IGNORECASE)
"""`&` as HTML writes it"""
ENCODED = 5
"""how many times a link may be encoded"""
FOREIGN = re.compile(
    r".*_.*|.*[a-z][A-Z].*|(?i:.*id|[b-df-hj-np-tv-xz]+|.*[b-df-hj-np-tv-xz]{4}.*|guccounter|igsh|xtor|ved|si|epik"
    r"|ref|referr?er|source|share|sharer|feature|campaign|client)"
)
"""names of parameters that chats, newsletters and web analytics add to links: hardly any plain English words"""
JOINED = re.compile(r"[&?](?=([\w.-]+)=)")
"""start of another parameter inside a value: a link with an encoded `&` or a second `?`"""


@dataclass(frozen=True)
class Choice:
    """An option: one of several texts."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...]
    """(value in a link, text on the page)"""
    default: str

    def value(self, selection: "Selection") -> str:
        return selection.options.get(self.name, self.default)

    def parse(self, text: str) -> str:
        """The text if it is a value of the option. Raises ValueError for others."""
        names = [name for name, _ in self.choices]
        if text not in names:
            raise ValueError(f"{self.name} is one of {', '.join(names)}, not {text!r}")
        return text

    def label_of(self, selection: "Selection") -> str:
        """The text of the value on the page."""
        return dict(self.choices)[self.value(selection)]


@dataclass(frozen=True)
class Several:
    """An option: any number of several texts."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...]
    default: str
    """comma-separated values"""

    def value(self, selection: "Selection") -> tuple[str, ...]:
        """In the order of the choices."""
        chosen = selection.options.get(self.name, self.default).split(",")
        return tuple(name for name, _ in self.choices if name in chosen)

    def parse(self, text: str) -> str:
        names, chosen = [name for name, _ in self.choices], [part for part in text.split(",") if part]
        wrong = [part for part in chosen if part not in names]
        if wrong:
            raise ValueError(f"{self.name} are of {', '.join(names)}, not {wrong[0]!r}")
        return ",".join(name for name in names if name in chosen)

    def label_of(self, selection: "Selection") -> str:
        return ", ".join(dict(self.choices)[name] for name in self.value(selection))


@dataclass(frozen=True)
class Number:
    """An option: a whole number."""

    name: str
    label: str
    low: int
    high: int
    default: int

    def value(self, selection: "Selection") -> int:
        return int(selection.options.get(self.name, self.default))

    def parse(self, text: str) -> str:
        return str(_whole(self.name, text, self.low, self.high))

    def label_of(self, selection: "Selection") -> str:
        return str(self.value(selection))


Option = Choice | Several | Number


def option_text(option: "Option", selection: "Selection") -> str:
    """The value of an option as a link has it."""
    return selection.options.get(option.name, str(option.default))


@dataclass(frozen=True)
class Brought:
    """A picture of a link from a network with another picture size. It is resized here; links keep the original."""

    text: str
    """the value in the link"""
    size: tuple[int, int]
    """(height, width)"""


@dataclass(frozen=True)
class Selection:
    """Everything that a visitor can select, as plain values that can be compared and hashed."""

    picture: bytes
    """the picture as the network sees it, with its edits: height x width x 3 bytes of RGB"""
    sample: int | None = None
    """its number among the samples and test images, before any edit; None for a visitor's own picture"""
    unedited: bytes = b""
    """the picture before its edits; empty without edits: see `original`"""
    brought: Brought | None = None
    """a visitor's own picture from a link, if it was made for a network of another picture size"""
    edits: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()
    """edits that were undone, the next one to redo first"""
    target: int = 0
    """the selected class: the one to explain"""
    patch: int = 0
    side: int = 1
    """patches along each side of a group that is removed, edited, patched or searched as one"""
    depth: int = 0
    """as in `depth_names`: 0 is the stem, then 1a, 1b, 2a, ..."""
    unit: int | None = None
    """a hidden unit of the block's token mixing; None: the one with the largest contribution for this picture"""
    channel: int | None = None
    """a channel of the tokens; None: one that is active for this picture, the same at every depth"""
    lens: str = ""
    """the id of the open lens"""
    chosen: tuple[tuple[str, str], ...] = ()
    """the options that differ from their default, by name"""

    @property
    def block(self) -> int:
        """The block of the depth, counted from 0; 0 also for the stem."""
        return max(0, (self.depth - 1) // 2)

    @property
    def original(self) -> bytes:
        """The picture before its edits."""
        return self.unedited or self.picture

    @property
    def options(self) -> Params:
        return dict(self.chosen)


@dataclass(frozen=True)
class Choices:
    """The lenses (the first one is open at the start) and options that can be selected."""

    lenses: Sequence[str]
    options: Collection[Option]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """the current names of lenses and options by earlier ones"""


def first(scope: Microscope, page: Choices) -> Selection:
    """The first selection: a sample, a patch near the middle, and the depth at which the answer is decided."""
    grid = scope.grid
    middle = grid.index(grid.rows // 2, grid.cols // 2)
    empty = Selection(b"", patch=middle, side=grid.side, lens=page.lenses[0])
    shown = show_sample(scope, empty, 0)
    return replace(shown, depth=scope.decided_at(shown.picture))


def show(scope: Microscope, selection: Selection, picture: bytes, sample: int | None = None) -> Selection:
    """Select a picture, without edits; its answer becomes the selected class."""
    new = replace(selection, picture=picture, sample=sample, target=scope.answer(picture), unit=None)
    return replace(new, unedited=b"", brought=None, edits=(), undone=())


def show_sample(scope: Microscope, selection: Selection, sample: int) -> Selection:
    """Select a sample. Raises ValueError if there is no such sample."""
    return show(scope, selection, scope.sample_picture(sample), sample)


Made = TypeVar("Made")


def change(scope: Microscope, page: Choices, selection: Selection, words: Params) -> tuple[Selection, list[str]]:
    """The selection after a change, and a message for each parameter with an unknown name or value."""
    options = {option.name: option for option in page.options}
    words = {page.renamed.get(name, name): text for name, text in words.items()}
    wrong = [f"There is no option called {name!r}." for name in words if name not in {*WORDS, *options}]
    for name, (setter, _) in _PARAMETERS.items():
        if name in words:
            try:
                selection = _forgiving(partial(setter, scope, page, selection), words[name])
            except ValueError as error:
                wrong.append(_sentence(error))
    for name, option in options.items():
        if name in words:
            try:
                selection = _with_option(selection, option, _forgiving(option.parse, words[name]))
            except ValueError as error:
                wrong.append(_sentence(error))
    return selection, wrong


def _forgiving(read: Callable[[str], Made], text: str) -> Made:
    """Parse a value; if it is invalid, parse it decoded, then without surrounding characters. Raises ValueError."""
    try:
        return read(text)
    except ValueError:
        decoded = _decoded(text)
        for plain in dict.fromkeys((decoded, bare(decoded))):
            with suppress(ValueError):
                return read(plain)
        raise


def _decoded(text: str) -> str:
    """A text after URL decoding, repeated for programs that encode it again."""
    for _ in range(ENCODED):
        text = unquote(text)
    return text


def bare(text: str) -> str:
    """A text without characters before and after it that are neither letters nor digits, such as quotes of a chat."""
    kinds = "".join(letter if letter == "-" else category(letter)[0] for letter in text)
    found = re.search("-?[LN](.*[LN])?((?<=L)M+)?", kinds)  # with a minus, and the accents of the last letter
    return text[slice(*found.span())] if found else ""


def from_query(text: str) -> dict[str, str]:
    """The parameters of an address: the inverse of `to_query`.

    It accepts what programs do to links: `&amp;` for `&`, parts or all encoded twice, a second `?`.
    It ignores the names of `FOREIGN` and everything after a `#`.
    """
    found, pairs = dict[str, str](), deque(_pairs(text))
    while pairs:
        name, word = pairs.popleft()
        name, (word, others) = name.strip(), _split(name.strip(), word)
        if not FOREIGN.fullmatch(name):
            found[bare(name) or name] = word
        pairs.extendleft(reversed(_pairs(others)))
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    """The names and values of a link or a part of it, in order."""
    text = AMPERSAND.sub("&", text.removeprefix("?"))
    if "=" not in text:
        text = AMPERSAND.sub("&", _decoded(text))
    return parse_qsl(text.partition("#")[0], keep_blank_values=True)


def _split(name: str, word: str) -> tuple[str, str]:
    """The value of a parameter, and further parameters inside it. The value of `pin` is a link and stays complete."""
    if name == "pin":
        return word, ""
    plain = name in WORDS and name != "class"  # names of classes and options may contain any character
    if plain:
        word = AMPERSAND.sub("&", _decoded(word))
    cuts = (found.start() for found in JOINED.finditer(word) if plain or _is_parameter(found[1]))
    cut = next(cuts, len(word))
    return word[:cut], word[cut + 1 :]


def _is_parameter(name: str) -> bool:
    """Whether a name is that of a parameter, or certainly foreign."""
    return name in (*WORDS, "network", "view") or (len(name) > 3 and FOREIGN.fullmatch(name) is not None)


def to_query(words: Params) -> str:
    """Parameters as the query of an address."""
    return urlencode(words, safe=",:;@")


def to_words(scope: Microscope, page: Choices, selection: Selection) -> dict[str, str]:
    """The parameters of a link: everything that differs from the first selection."""
    begin = first(scope, page)
    texts = {name: (text(scope, selection), text(scope, begin)) for name, (_, text) in _PARAMETERS.items()}
    changed = {name: now for name, (now, before) in texts.items() if now is not None and now != before}
    return changed | dict(selection.options)


def groups_of(scope: Microscope, selection: Selection) -> Groups:
    """The groups of patches that are treated as one."""
    return Groups(scope.grid, selection.side)


def patch_text(scope: Microscope, patch: int) -> str:
    """The row and column of a patch as a link has them."""
    row, col = scope.grid.position(patch)
    return f"{row},{col}"


def at_depth(selection: Selection, depth: int) -> Selection:
    """The selection at a depth; in another block, with the strongest unit of that block."""
    changed = replace(selection, depth=depth)
    return changed if changed.block == selection.block else replace(changed, unit=None)


Setter = Callable[[Microscope, Choices, Selection, str], Selection]


def _set_picture(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    size, brought = scope.grid.image_size, None
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # the format of links until November 2026; the limit stops decompression bombs
        most = 3 * size[0] * size[1] + 1
        if data[:1] == b"x":
            picture = zlib.decompressobj().decompress(data, most)
        else:
            image = _read(data)
            picture = scope.picture_of(image)
            if image.size != size[::-1]:
                brought = Brought(text, (image.height, image.width))
    except (ValueError, zlib.error):
        picture = b""
    if len(picture) != 3 * size[0] * size[1]:
        raise ValueError("the picture of this link is damaged: open it here again")
    return replace(show(scope, selection, picture), brought=brought)


def _read(png: bytes) -> Image.Image:
    """A picture of a link, of any size. Raises ValueError if it is damaged."""
    decoded = decode(png)
    if decoded.notes:
        raise ValueError("the picture is incomplete")
    return decoded.image


def _set_sample(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    last = len(scope.samples) - 1  # loading the test images beyond takes a second
    return show_sample(scope, selection, _whole("sample", text, 0, MAX_SAMPLE if scope.test_data else last))


def _set_edits(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    """Replace all edits of the picture; the selected class stays."""
    found, original = edits.parse(text, scope.grid, len(scope.samples)), selection.original
    unedited = original if found else b""
    return replace(selection, picture=scope.edited(original, found), unedited=unedited, edits=found, undone=())


def _set_undone(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    return replace(selection, undone=edits.parse(text, scope.grid, len(scope.samples)))


def _set_class(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    return replace(selection, target=scope.class_number(text))


def _set_depth(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    if text not in scope.depth_names:
        raise ValueError(f"depth is one of {scope.depth_names[0]}, 1a, 1b to {scope.depth_names[-1]}, not {text!r}")
    return at_depth(selection, scope.depth_names.index(text))


def _set_patch(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    row, comma, col = text.partition(",")
    if not comma:
        raise ValueError(f"patch is row,column, each counted from 0, not {text!r}")
    rows, cols = scope.grid.rows, scope.grid.cols
    place = _whole("the row of the patch", row, 0, rows - 1), _whole("the column of the patch", col, 0, cols - 1)
    return replace(selection, patch=scope.grid.index(*place))


def _set_side(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    numbers = {str(side): side for side in scope.grid.sides}
    return replace(selection, side=scope.group_side(numbers.get(text, text)))


def _set_unit(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    return replace(selection, unit=_whole("unit", text, 0, scope.model.config.tokens_mlp_dim - 1))


def _set_channel(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    return replace(selection, channel=_whole("channel", text, 0, scope.model.config.hidden_dim - 1))


def _set_lens(scope: Microscope, page: Choices, selection: Selection, text: str) -> Selection:
    text = page.renamed.get(text, text)
    if text not in page.lenses:
        raise ValueError(f"there is no tab {text!r}: the tabs are {', '.join(page.lenses)}")
    return replace(selection, lens=text)


def _own_picture(scope: Microscope, selection: Selection) -> str | None:
    if selection.sample is not None:
        return None
    return selection.brought.text if selection.brought else _picture_text(selection.original, scope.grid.image_size)


def _other_class(scope: Microscope, selection: Selection) -> str | None:
    """The selected class, if it is not the answer."""
    return None if selection.target == scope.answer(selection.original) else scope.classes[selection.target]


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


_PARAMETERS: dict[str, tuple[Setter, Callable[[Microscope, Selection], str | None]]] = {
    # (text -> selection, selection -> text), in this order: a picture resets class and edits, a depth the unit
    "picture": (_set_picture, _own_picture),
    "sample": (_set_sample, lambda scope, s: _number(s.sample)),
    "edits": (_set_edits, lambda scope, s: edits.text(s.edits, scope.grid) or None),
    "undone": (_set_undone, lambda scope, s: edits.text(s.undone, scope.grid) or None),
    "class": (_set_class, _other_class),
    "depth": (_set_depth, lambda scope, s: scope.depth_names[s.depth]),
    "patch": (_set_patch, lambda scope, s: patch_text(scope, s.patch)),
    "groups": (_set_side, lambda scope, s: str(s.side)),
    "unit": (_set_unit, lambda scope, s: _number(s.unit)),
    "channel": (_set_channel, lambda scope, s: _number(s.channel)),
    "lens": (_set_lens, lambda scope, s: s.lens),
}

WORDS = tuple(_PARAMETERS)
"""names of the parameters that are not options"""


@lru_cache(maxsize=16)
def _picture_text(picture: bytes, size: tuple[int, int]) -> str:
    """A PNG in URL-safe base64. size: (height, width)"""
    file = BytesIO()
    Image.frombytes("RGB", size[::-1], picture).save(file, "PNG", optimize=True)
    return urlsafe_b64encode(file.getvalue()).decode("ascii").rstrip("=")


def _with_option(selection: Selection, option: Option, text: str) -> Selection:
    others = {name: value for name, value in selection.chosen if name != option.name}
    changed = others if text == str(option.default) else others | {option.name: text}
    return replace(selection, chosen=tuple(sorted(changed.items())))


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise ValueError(f"{name} is a whole number from {low} to {high}, not {text!r}")
    return int(text)
