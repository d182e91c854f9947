"""A table that also a phone can show."""

from collections.abc import Iterable, Sequence
from html import escape


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """HTML. On a narrow page each row becomes a card, in which every figure carries the name of its column."""
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    return (
        f"<table class='figures'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_row(columns, row) for row in rows)}</tbody></table>"
    )


def _row(columns: Sequence[str], row: Sequence[str]) -> str:
    (first, *others), (_, *names) = row, columns
    cells = "".join(
        f"<td data-label='{escape(name)}'>{escape(value)}</td>" for name, value in zip(names, others, strict=True)
    )
    return f"<tr><th scope='row'>{escape(first)}</th>{cells}</tr>"
