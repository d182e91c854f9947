"""Text is UTF-8 wherever it is read or written, whatever the locale says (GBK, CP1251, ...); ruff's PLW1514 knows few
paths to be paths."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OTHERS = {"Image", "tarfile", "os", "wave", "webbrowser"}
"""whose open() is of no text"""


def without(source: str) -> list[ast.Call]:
    """The calls that read or write text without saying in which encoding."""
    return [call for call in ast.walk(ast.parse(source)) if isinstance(call, ast.Call) and _is_without(call)]


def _is_without(call: ast.Call) -> bool:
    function, given = call.func, {keyword.arg: keyword.value for keyword in call.keywords}
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if "encoding" in given:
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) <= (name == "write_text")
    if name == "open" and not (isinstance(function, ast.Attribute) and getattr(function.value, "id", "") in OTHERS):
        modes = [argument.value for argument in (*call.args, *given.values()) if isinstance(argument, ast.Constant)]
        return not any(isinstance(mode, str) and "b" in mode and len(mode) <= 3 for mode in modes)
    return any(isinstance(given.get(text), ast.Constant) for text in ("text", "universal_newlines"))


def test_every_text_has_an_encoding() -> None:
    folders = ("bench", "mixer", "tests", "tools", "viz")
    files = [*ROOT.glob("*.py"), *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    found = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in files
        for call in without(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("path.read_text()", True),
        ("Path(name).write_text(text, newline='')", True),
        ("path.read_text('utf-8')", False),
        ("open(name)", True),
        ("open(name, 'w')", True),
        ("open(name, 'rb')", False),
        ("path.open()", True),
        ("path.open('r+b')", False),
        ("Image.open(name)", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, encoding='utf-8')", False),
    ],
)
def test_the_rule_knows_which_calls_are_of_text(call: str, wrong: bool) -> None:
    assert len(without(call)) == wrong
