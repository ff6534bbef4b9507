"""The targets, and whether the results of a run reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.measure import DELAY, Result
from bench.shapes import PARALLELISM, SHAPES

PAGE = 100


@dataclass(frozen=True, slots=True)
class Ratio:
    """The most that the time of a verb may be of that of another tool; `large` is from 10,000 jobs on."""

    verb: str
    other: str
    most: float
    large: float


RATIOS = (
    Ratio("plan", "octoDNS", 0.40, 0.27),
    Ratio("plan", "check-jsonschema", 0.28, 0.18),
    Ratio("validate", "check-jsonschema", 0.25, 0.16),
)
# MB of the largest process of plan with 1,000 jobs, and for each further one: 150 with 10,000.
MEMORY, MEMORY_MORE = 60, 0.01
# From 1,000 to 10,000 jobs.
GROWTH = 7
# Start-up, as multiples of a Python that does nothing; and seconds of the plan of one job.
START_UP: Mapping[str, float] = {"--version": 2, "--help": 4}
ONE_JOB = 0.25
# Of apply: the share of the ideal time, and requests for a create without those for pages.
SHARE = 0.90
REQUESTS = 1.1
LEAST, LARGE = 1000, 10_000


def rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Yield each target that was measured: what, shape, jobs, the measured value, the target, and yes or no."""
    good = [result for result in results if not result.cost.code]
    yield from _start_up({result.tool: result for result in good if result.jobs == 1})
    for result in results:
        if result.cost.code and result.tool in ("validate", "plan", "apply"):
            shape = SHAPES[result.shape].title
            yield [result.tool, shape, f"{result.jobs}", f"exit {result.cost.code}", "exit 0", "no"]
    for result in good:
        if result.jobs >= LEAST:
            yield from _unchanged(result, good)
            yield from _applied(result)
    times = {(result.shape, result.tool, result.jobs): result.cost.wall for result in good}
    for (shape, tool, jobs), wall in times.items():
        if tool in ("validate", "plan") and jobs == LARGE and (before := times.get((shape, tool, LEAST))):
            yield _row(f"growth of {tool}", shape, jobs, wall / before, GROWTH)


def _unchanged(result: Result, good: Sequence[Result]) -> Iterator[list[str]]:
    is_large = result.jobs >= LARGE
    for ratio in RATIOS:
        others = [other for other in good if (other.tool, other.jobs) == (ratio.other, result.jobs)]
        if result.tool == ratio.verb and others:
            value = result.cost.wall / others[0].cost.wall
            most = ratio.large if is_large else ratio.most
            yield _row(f"{ratio.verb} / {ratio.other}", result.shape, result.jobs, value, most)
    if result.tool == "plan":
        memory = MEMORY + MEMORY_MORE * (result.jobs - LEAST)
        yield _row("MB of plan", result.shape, result.jobs, result.cost.peak, memory)


def _applied(result: Result) -> Iterator[list[str]]:
    if result.tool == "apply":
        ideal = result.calls * DELAY / PARALLELISM
        pages = -(-result.jobs // PAGE)
        for what, share in (
            ("share of the ideal time", ideal / result.cost.wall),
            ("share of the ideal time, first write to last", share_of_sending(result)),
        ):
            yield _row(what, result.shape, result.jobs, share, SHARE, True)
        creates = (result.calls - pages) / result.jobs
        yield _row("requests a create, without pages", result.shape, result.jobs, creates, REQUESTS)


def share_of_sending(result: Result) -> float:
    """Return the share of the ideal time from the first write to the last: without the plan and the last look."""
    calls = result.calls + result.jobs // -PAGE
    return calls * DELAY / PARALLELISM / result.sending if result.sending else 0.0


def _start_up(found: Mapping[str, Result]) -> Iterator[list[str]]:
    bare = found.get("python -c pass")
    if bare is None:
        return
    for option, most in START_UP.items():
        yield _row(f"{option} / bare Python", "files", 1, found[option].cost.wall / bare.cost.wall, most)
    yield _row("seconds of plan", "files", 1, found["plan"].cost.wall, ONE_JOB)


def _row(what: str, shape: str, jobs: int, value: float, target: float, at_least: bool = False) -> list[str]:
    reached = value >= target if at_least else value <= target
    words = f"{'>=' if at_least else '<='} {target:g}"
    return [what, SHAPES[shape].title, f"{jobs}", f"{value:.3g}", words, "yes" if reached else "no"]
