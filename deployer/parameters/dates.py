"""Dates as text in other forms, `%Y%m%d`, and back. Independent of the locale and of the C library."""

from __future__ import annotations

import re
from datetime import date, timedelta

# In days: more than a century is a mistake.
MAX_DAYS = 40_000
MAX_FORM = 100

ISO = "%Y-%m-%d"
_TOKEN = re.compile(r"%[Ymdj]|[A-Za-z0-9_.:/=+@-]")
_ISO_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGITS = {"%Y": 4, "%m": 2, "%d": 2, "%j": 3}
_WHOLE = ({"%Y", "%m", "%d"}, {"%Y", "%j"})


def parsed(text: str) -> date | None:
    """Return the date in `2024-07-04`; None for any other text."""
    if not _ISO_TEXT.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def form_problem(form: str) -> str:
    """Return what is wrong with a form; empty if nothing is."""
    rest = _TOKEN.sub("", form)
    if rest:
        return f"unknown {rest[:2]!r} in the form of a date; a form has %Y, %m, %d, %j and A-Za-z0-9_.:/=+@-"
    if not any(token in _DIGITS for token in _TOKEN.findall(form)) or len(form) > MAX_FORM:
        return f"the form of a date has at least one of %Y, %m, %d, %j, and at most {MAX_FORM} characters"
    return ""


def is_whole(form: str) -> bool:
    """Return whether a text in this form tells the date."""
    tokens = {*_TOKEN.findall(form)}
    return any(whole <= tokens for whole in _WHOLE)


def width(form: str) -> int:
    """Return the number of characters of every date in a form."""
    return sum(_DIGITS.get(token, 1) for token in _TOKEN.findall(form))


def formatted(text: str, form: str, days: int) -> str:
    """Return a date in another form, `days` later. Raises ValueError outside of the calendar."""
    found = parsed(text)
    if found is None:
        raise ValueError(f"{text!r} is not a date")
    try:
        found += timedelta(days=days)
    except OverflowError:
        raise ValueError(f"{days} days after {text} are outside of the calendar") from None
    parts = {
        "%Y": f"{found.year:04}",
        "%m": f"{found.month:02}",
        "%d": f"{found.day:02}",
        "%j": f"{found.timetuple().tm_yday:03}",
    }
    return "".join(parts.get(token, token) for token in _TOKEN.findall(form))


def date_in(shown: str, form: str, days: int) -> str | None:
    """Return the date whose text in a whole form, `days` later, is `shown`; None if there is none."""
    position, parts = 0, dict[str, int]()
    for token in _TOKEN.findall(form):
        if token in _DIGITS:
            piece = shown[position : position + _DIGITS[token]]
            if not (piece.isascii() and piece.isdigit()):
                return None
            parts[token] = int(piece)
            position += _DIGITS[token]
        else:
            position += 1
    try:
        if "%j" in parts and not {"%m", "%d"} <= {*parts}:
            found = date(parts["%Y"], 1, 1) + timedelta(days=parts["%j"] - 1)
        else:
            found = date(parts["%Y"], parts["%m"], parts["%d"])
        text = (found - timedelta(days=days)).isoformat()
        return text if formatted(text, form, days) == shown else None
    except (KeyError, ValueError, OverflowError):
        return None
