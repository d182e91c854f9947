"""The part of the network whose calculation is shown: the opened one, otherwise that of the depth."""

from typing import Literal

from viz.microscope import Microscope
from viz.selection import Choice, Selection

NetworkPart = Literal["picture", "stem", "a", "b", "head"]
PARTS: dict[NetworkPart, str] = {
    "picture": "the picture",
    "stem": "the stem",
    "a": "token mixing",
    "b": "channel mixing",
    "head": "mean and head",
}
PART = Choice(
    "part",
    "",
    (("depth", "nothing opened"), *PARTS.items(), ("beyond", "the picture or the head")),
    "depth",
)
"""the open calculation; `beyond` in older links: the picture at the stem, the head at the last depth"""


def open_part(scope: Microscope, selection: Selection) -> NetworkPart | None:
    text = PART.value(selection)
    if text == "beyond":
        text = {0: "picture", len(scope.depth_names) - 1: "head"}.get(selection.depth, "depth")
    return next((part for part in PARTS if part == text), None)


def part_of(scope: Microscope, selection: Selection) -> NetworkPart:
    by_depth: NetworkPart = "stem" if selection.depth == 0 else "a" if selection.depth % 2 else "b"
    return open_part(scope, selection) or by_depth
