"""A table that fits on a phone, too."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import repeat


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], first: Iterable[str | None] = repeat(None)) -> str:
    """HTML. On a narrow page each row becomes a card with the name of the column before each value.

    first: HTML for the first cell of each row, instead of its text
    """
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    return (
        f"<table class='figures'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_row(columns, row, html) for row, html in zip(rows, first, strict=False))}</tbody></table>"
    )


def _row(columns: Sequence[str], row: Sequence[str], html: str | None) -> str:
    (first, *others), (_, *names) = row, columns
    cells = "".join(
        f"<td data-label='{escape(name)}'>{escape(value)}</td>" for name, value in zip(names, others, strict=True)
    )
    return f"<tr><th scope='row'>{html or escape(first)}</th>{cells}</tr>"
