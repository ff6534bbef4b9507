"""Reading the listing entry of a session."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.planning.diff import compare
from testing.entries import SESSION, differences


def test_a_session_shows_its_preset_unless_sizes_were_given() -> None:
    desired = {"kind": "spark", "queue": "q", "jars": ["a.jar"], "sc_type": "B"}
    assert differences("SparkSession", desired) == {"/sc_type": (None, "B")}
    assert differences("SparkSession", desired, sc_type="CUSTOMIZED") == {}


@pytest.mark.parametrize("listed", [{"kind": None}, {"sc_type": None}, {"kind": None, "sc_type": ""}])
def test_what_a_session_does_not_say_is_no_change(listed: dict[str, Any]) -> None:
    live = KINDS["SparkSession"].observe(SESSION | {"sc_type": "B"} | listed)
    desired = {"kind": "spark", "queue": "q", "sc_type": "B"}
    assert compare(KINDS["SparkSession"].rows, live.spec or {}, desired, live.unobserved) == ()
