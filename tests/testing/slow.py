"""Chooses the sample of slow cases that `make check` runs; `make test` runs all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases for `parametrize`; each but the first of every so many is slow."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        if number % every
        else case
        for number, case in enumerate(cases)
    ]
