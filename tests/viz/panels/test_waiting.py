import re
import time

import pytest
from viz.panels.waiting import Watch

from viz.panels.table import table


def left(bar: str) -> int:
    return int(re.search(r"about (\d+) s left", bar).group(1))


def test_a_bar_tells_the_unit_and_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch(2000, "samples", 30)
    assert watch.bar(0) == (
        '<progress value="0" max="2000" aria-label="samples"></progress> 0 of 2,000 samples, about 30 s left'
    )
    now[0] += 20
    assert left(watch.bar(100)) == 28  # too early to tell: as expected beforehand
    assert left(watch.bar(500)) == 60  # at the pace so far
    assert left(watch.bar(2000)) == 0
    assert "0 of 0 samples" in Watch(0, "samples", 0).bar(0)


def test_each_cell_of_a_table_knows_its_column() -> None:
    html = table(["method", "a < b"], [["<i>x</i>", "1"], ["y", "2"]])
    assert "<th scope='col'>a &lt; b</th>" in html
    assert "<tr><th scope='row'>&lt;i&gt;x&lt;/i&gt;</th><td data-label='a &lt; b'>1</td></tr>" in html
    assert html.count("<tr>") == 3
    with pytest.raises(ValueError, match="argument"):
        table(["method", "a"], [["x", "1", "2"]])
