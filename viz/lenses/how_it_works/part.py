"""The part of the network that is looked at: the depth says it, but for what lies before the stem and after the last.

Before the stem there is the picture, and after the last block the mean and the head: these have no depth of their own.
"""

from typing import Literal

from viz.microscope import Microscope
from viz.selection import Choice, Selection

Part = Literal["picture", "stem", "a", "b", "head"]
BEYOND = Choice("part", "", (("depth", "what the depth names"), ("beyond", "the picture, or the head")), "depth")
"""at the stem, the picture; at the last depth, mean and head; elsewhere nothing"""


def part_of(scope: Microscope, selection: Selection) -> Part:
    beyond = BEYOND.of(selection) == "beyond"
    if selection.depth == 0:
        return "picture" if beyond else "stem"
    if beyond and selection.depth == len(scope.depth_names) - 1:
        return "head"
    return "a" if selection.depth % 2 else "b"


def words_of(scope: Microscope, part: Part, depth: int) -> str:
    """What chooses a part, as a link says it. depth: of a half-block"""
    at = {"picture": 0, "stem": 0, "head": len(scope.depth_names) - 1}.get(part, depth)
    beyond = "beyond" if part in ("picture", "head") else "depth"
    return f"depth={scope.depth_names[at]}&{BEYOND.name}={beyond}"
