"""All that users can read is in plain terms: codespell checks the spelling (`make lint`), these tests the phrases."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHOWN = ("*.md", "*.ipynb", "docs/*.md", "docs/*.ipynb", "bench/README.md", "*.py", "mixer/**/*.py", "viz/**/*.py")
SCRIPTS = ("viz/page/*.js", "viz/page/*.html")
HELP = ("main.py", "app.py", "mixer/train.py", "mixer/teacher.py", "viz/page/endpoint.py")
"""whose docstrings are shown, too: by `--help`, and to other programs"""
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
    r"anew": "again",
}
FORBIDDEN = {re.compile(rf"\b({turn})\b".replace(" ", r"\s+"), re.IGNORECASE): better for turn, better in TURNS.items()}


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


def turns(file: Path, name: str) -> list[str]:
    """The forbidden turns of a file as `name:line: turn (better: ...)`."""
    return [
        f"{name}:{line + text.count(chr(10), 0, found.start())}: {' '.join(found[0].split())} (better: {better})"
        for line, text in texts(file, name in HELP)
        for turn, better in FORBIDDEN.items()
        for found in turn.finditer(text)
    ]


def test_what_users_read_is_in_plain_terms() -> None:
    files = [file for pattern in (*SHOWN, *SCRIPTS) for file in sorted(ROOT.glob(pattern)) if ".min." not in file.name]
    assert len(files) > 80
    assert [found for file in files for found in turns(file, file.relative_to(ROOT).as_posix())] == []


def test_a_turn_is_found_with_its_line(tmp_path: Path) -> None:
    sources = {
        "a.py": '"""Nothing is gone here."""\n\nwords = f"{1} truck, taken for {2}"\n',
        "a.md": "# Words\n\nThe class that is asked\nabout.\n",
        "a.js": 'say(\n  "It minds."); // and is gone\n',
    }
    found = []
    for name, source in sources.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
        found += turns(tmp_path / name, name)
    assert [line.partition(" (")[0] for line in found] == ["a.py:3: taken for", "a.md:3: asked about", "a.js:2: minds"]
