"""The progress of many changes on one line: `[=====>    ] 120/400  12/s  23 s left`"""

from __future__ import annotations

_WIDTH = 20
# Before, a rate says nothing: the first changes are looked up together, or wait for the job list.
_LEAST_SECONDS, _LEAST_DONE = 2.0, 2


def line(done: int, total: int, seconds: float) -> str:
    """Return the line after so many seconds; with the rate and the remaining time once they can be told."""
    filled = _WIDTH * done // total
    head = ">" if filled < _WIDTH else ""
    parts = [f"[{'=' * filled}{head}".ljust(_WIDTH + 1) + f"] {done}/{total}"]
    if seconds >= _LEAST_SECONDS and _LEAST_DONE <= done < total:
        parts += [_rate(done / seconds), f"{_time((total - done) * seconds / done)} left"]
    return "  ".join(parts)


def _rate(per_second: float) -> str:
    if per_second >= 10:
        return f"{per_second:.0f}/s"
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    per_minute = 60 * per_second
    return f"{per_minute:.0f}/min" if per_minute >= 1 else f"{60 * per_minute:.0f}/h"


def _time(seconds: float) -> str:
    minutes, second = divmod(max(1, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minute:02} min"
    return f"{minutes} min {second:02} s" if minutes else f"{second} s"
