"""The progress line: its rate and the remaining time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.report.progress import line


@pytest.mark.parametrize(
    ("done", "total", "seconds", "shown"),
    [
        (0, 400, 0, "[>                   ] 0/400"),
        (120, 400, 10, "[======>             ] 120/400  12/s  23 s left"),
        (3, 400, 2, "[>                   ] 3/400  1.5/s  4 min 25 s left"),
        (2, 4, 60, "[==========>         ] 2/4  2/min  1 min 00 s left"),
        (2, 400, 7200, "[>                   ] 2/400  1/h  398 h 00 min left"),
        (400, 400, 10, "[====================] 400/400"),
        (1, 400, 10, "[>                   ] 1/400"),
        (100, 400, 1, "[=====>              ] 100/400"),
    ],
)
def test_the_line(done: int, total: int, seconds: float, shown: str) -> None:
    assert line(done, total, seconds) == shown


@given(st.integers(1, 10**6), st.data(), st.floats(0, 10**6))
def test_the_bar_has_always_the_same_width(total: int, data: st.DataObject, seconds: float) -> None:
    made = line(data.draw(st.integers(0, total)), total, seconds)
    assert made.index("]") == 21
    assert len(made) < 80
