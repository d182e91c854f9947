"""Texts for users, and some code, are in plain terms: codespell checks spelling (`make lint`), these tests phrases."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHOWN = ("*.md", "*.ipynb", "docs/*.md", "docs/*.ipynb", "bench/README.md", "*.py", "mixer/**/*.py", "viz/**/*.py")
SCRIPTS = ("viz/page/*.js", "viz/page/*.html")
HELP = ("app.py", "viz/page/endpoint.py")
"""files whose docstrings are shown, too, by `--help` or to other programs"""
CODE = ("main.py", "setup.py", "mixer/*.py", "tools/*.py", "bench/*.py")
"""files whose docstrings and comments are in plain terms, too"""
PRODUCT = ("app.py", "viz/**/*.py", "viz/page/*.js", "viz/page/*.css")
"""as `CODE`, but not for messages: many are texts of the page"""
TURNS = {
    r"heard|hears?": "contains information from",
    r"tak(es?|en|ing) (\w+ )?for": "classified as, predicted",
    r"(more|less) than usual": "difference from the mean",
    r"asked about": "selected, to explain",
    r"(is|are) gone": "is removed",
    r"less (the|those|that|its|another)": "minus",
    r"for good": "from then on",
    r"minds?": "the answer changes",
    r"speaks? (for|against)": "supports",
    r"talks? to": "exchanges information with",
    r"at work on": "computes",
    r"as against": "compared with",
    r"trades? places": "are swapped",
    r"breaks? off": "is incomplete",
    r"is no \w+ that": "is not a",
    r"meets? (a|all|its|no|the|\d+ of \d+) rules?": "passes a test",
    r"on one scale|a scale of its own": "common scale, separate scale",
    r"what becomes of": "what happens to",
    r"as (right|sure) as": "calibrated",
    r"unasked": "automatically",
    r"anew|afresh": "again",
    r"nobody|somebody": "no user, a user, another program",
    r"(is|are|was) meant": "is, means",
    r"what helps": "the next step",
    r"(makes?|that make) no sense": "is invalid",
    r"does not suffice": "is too small",
    r"from elsewhere|not from here": "from another program",
    r"takes? the place of": "replaces",
    r"(is|are) there already": "exists already",
    r"(goes|go) along": "is included",
    r"half-blocks?": "sublayer",
    r"knock(s|ed|ing)? out": "ablate",
}
CODE_TURNS = {
    r"whatever|whoever|wherever": "any; name the cases",
    r"says?|said|tells?|told|asks?|asked|knows?|wants?|wanted": "has, states, requires, needs",
    r"in words": "with a message",
    r"so many": "this number of",
    r"as it is": "unchanged",
    r"is to be": "must be, should be",
    r"in place of": "instead of",
    r"(is|are) no \w+ (that|of|here|there|below|above)": "is not a",
    r"what is (there|here|in|left)": "name it",
    r"which cannot be|cannot be had": "invalid, not available",
    r"as far as": "if, up to",
    r"looked? (at|into|inside)": "inspect, explore",
    r"goes on|go on|going on": "continues",
    r"stands?|stood": "is",
    r"the one (way|place)": "name what it does",
    r"where (it|there|that|one|they) (is|are|has|have)": "if",
}
"""further turns for `CODE` and `PRODUCT`"""


def forbidden(turns: dict[str, str]) -> dict[re.Pattern[str], str]:
    return {re.compile(rf"\b({turn})\b".replace(" ", r"\s+"), re.IGNORECASE): better for turn, better in turns.items()}


FORBIDDEN, FORBIDDEN_IN_CODE = forbidden(TURNS), forbidden(TURNS | CODE_TURNS)


def comments(file: Path) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of a Python file, and the comments of a script or a style sheet, with their lines."""
    source = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        for found in re.finditer(r"(?m:^|(?<=\s))//\s.*|(?s:/\*.*?\*/)", source):
            yield source.count("\n", 0, found.start(0)) + 1, found[0]
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def texts(file: Path, docstrings: bool = False) -> Iterator[tuple[int, str]]:
    """What users can read in a file, with the line where it begins: string literals of code, all of other files."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        nodes = list(ast.walk(ast.parse(source)))
        silent = set() if docstrings else {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
                yield node.lineno, node.value
    elif file.suffix == ".js":
        for literal in re.finditer(r'"[^"\n]*"|`[^`]*`', source):
            yield source.count("\n", 0, literal.start()) + 1, literal[0]
    else:
        yield 1, source


def turns(read: Iterable[tuple[int, str]], name: str, forbidden: dict[re.Pattern[str], str]) -> list[str]:
    """The forbidden turns of the texts of a file as `name:line: turn (better: ...)`."""
    return [
        f"{name}:{line + text.count(chr(10), 0, found.start())}: {' '.join(found[0].split())} (better: {better})"
        for line, text in read
        for turn, better in forbidden.items()
        for found in turn.finditer(text)
    ]


def files_of(*patterns: str) -> dict[str, Path]:
    """The files by their paths in the project, without minified ones."""
    files = (file for pattern in patterns for file in sorted(ROOT.glob(pattern)) if ".min." not in file.name)
    return {file.relative_to(ROOT).as_posix(): file for file in files}


def test_what_users_read_is_in_plain_terms() -> None:
    files = files_of(*SHOWN, *SCRIPTS)
    assert len(files) > 80
    assert [f for name, file in files.items() for f in turns(texts(file, name in HELP), name, FORBIDDEN)] == []


def test_docstrings_comments_and_messages_of_code_are_in_plain_terms() -> None:
    code, product = files_of(*CODE), files_of(*PRODUCT)
    assert len(code) > 40
    assert len(product) > 90
    read = {name: comments(file) for name, file in (code | product).items()}
    read |= {name: [*read[name], *texts(file)] for name, file in code.items()}
    assert [found for name in read for found in turns(read[name], name, FORBIDDEN_IN_CODE)] == []


def places(
    folder: Path,
    sources: dict[str, str],
    read: Callable[[Path], Iterable[tuple[int, str]]],
    forbidden: dict[re.Pattern[str], str],
) -> list[str]:
    """The forbidden turns of files with these contents, without the better ones."""
    found = list[str]()
    for name, source in sources.items():
        (folder / name).write_text(source, encoding="utf-8")
        found += turns(read(folder / name), name, forbidden)
    return [line.partition(" (")[0] for line in found]


def test_comments_and_docstrings_of_code_are_searched(tmp_path: Path) -> None:
    sources = {
        "a.py": '"""Whatever."""\n\nx = 1  # it goes on\n',
        "a.js": 'const url = "https://what.goes/on";\nsay("so many"); // it goes on\n// whatever\n',
        "a.css": "p { color: red; } /* so many\nare red */\n",
    }
    assert places(tmp_path, sources, comments, FORBIDDEN_IN_CODE) == [
        "a.py:1: Whatever",
        "a.py:3: goes on",
        "a.js:2: goes on",
        "a.js:3: whatever",
        "a.css:1: so many",
    ]


def test_a_turn_is_found_with_its_line(tmp_path: Path) -> None:
    sources = {
        "a.py": '"""Nothing is gone here."""\n\nwords = f"{1} truck, taken for {2}"\n',
        "a.md": "# Words\n\nThe class that is asked\nabout.\n",
        "a.js": 'say(\n  "It minds."); // and is gone\n',
    }
    assert places(tmp_path, sources, texts, FORBIDDEN) == ["a.py:3: taken for", "a.md:3: asked about", "a.js:2: minds"]
