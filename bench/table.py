"""Results -> tables with ratios, as text or Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import targets
from bench.measure import DELAY, Result
from bench.peers import PEERS
from bench.shapes import PARALLELISM, SHAPES

FLOORS = {"validate": ("floor: libyaml",), "plan": ("floor: libyaml", "floor: listing")}
NO_VALUE = "-"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(results: Sequence[Result], programs: Mapping[str, str | None]) -> list[Table]:
    """Return all tables that have rows. A ratio is one of times in the same run; less is faster."""
    found = {(result.shape, result.jobs, result.tool): result for result in results}
    absent = ", ".join(name for name, program in programs.items() if program is None)
    names = [name for name in PEERS if any(result.tool == name for result in results)]
    every = (
        Table(
            "Targets",
            ["what", "shape", "jobs", "measured", "target", "reached"],
            [*targets.rows(results)],
        ),
        _start_up(found),
        Table(
            "validate, and plan of unchanged jobs: time as a ratio to each other tool's",
            [
                "shape",
                "jobs",
                "verb",
                "s",
                "CPU s",
                "us a job",
                "MB",
                "all MB",
                *(f"/ {name}" for name in names),
                "/ floor",
            ],
            [*_verbs(results, found, names)],
        ),
        Table(
            f"Other tools and the floor{f'; not installed: {absent}' if absent else ''}",
            ["tool", "what it does", "jobs", "s", "CPU s", "us a job", "MB"],
            [*_others(results)],
        ),
        Table(
            "Growth",
            ["shape", "verb", "jobs", "times as long"],
            [*_growth(results)],
        ),
        Table(
            f"apply, all new, {DELAY * 1000:.0f} ms a request, parallelism {PARALLELISM}; ideal: requests x "
            "latency / parallelism",
            [
                "shape",
                "jobs",
                "s",
                "CPU s",
                "MB",
                "requests",
                "requests a create",
                "ideal s",
                "share of ideal",
                "first write to last",
            ],
            [*_applies(results)],
        ),
    )
    return [table for table in every if table.rows]


Found = Mapping[tuple[str, int, str], Result]


def _start_up(found: Found) -> Table:
    bare = found.get(("files", 1, "python -c pass"))
    rows = []
    for tool in ("python -c pass", "--version", "--help", "plan"):
        result = found.get(("files", 1, tool))
        if bare and result:
            cost = result.cost
            name = tool if tool.startswith("python") else f"deployer {tool}"
            times = f"{cost.wall / bare.cost.wall:.1f}"
            rows.append(
                [name, f"{cost.wall * 1000:.0f}", f"{cost.cpu * 1000:.0f}", f"{cost.peak:.0f}", times]
            )
    return Table(
        "Start-up; plan is that of one job", ["command", "ms", "CPU ms", "MB", "/ bare Python"], rows
    )


def _verbs(results: Sequence[Result], found: Found, names: Sequence[str]) -> Iterator[list[str]]:
    for result in results:
        if result.tool not in FLOORS or result.jobs == 1:
            continue
        title, jobs, cost = SHAPES[result.shape].title, result.jobs, result.cost
        if cost.code:
            yield [title, f"{jobs}", result.tool, f"exit {cost.code}", *[NO_VALUE] * (len(names) + 5)]
            continue
        others = [_wall(found, jobs, (name,)) for name in (*names,)] + [
            _wall(found, jobs, FLOORS[result.tool])
        ]
        yield [
            title,
            f"{jobs}",
            result.tool,
            *_cost(result),
            f"{cost.together:.0f}",
            *(f"{cost.wall / other:.2f}" if other else NO_VALUE for other in others),
        ]


def _wall(found: Found, jobs: int, tools: Sequence[str]) -> float:
    """Return the wall time of other tools together; 0 if one was not measured, or failed."""
    results = [found.get(("files", jobs, tool)) for tool in tools]
    costs = [result.cost for result in results if result and not result.cost.code]
    return sum(cost.wall for cost in costs) if len(costs) == len(tools) else 0.0


def _cost(result: Result) -> list[str]:
    cost = result.cost
    return [f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.wall / result.jobs * 1e6:.0f}", f"{cost.peak:.0f}"]


def _others(results: Sequence[Result]) -> Iterator[list[str]]:
    does = {name: peer.does for name, peer in PEERS.items()}
    does |= {
        "floor: libyaml": "reads and parses the files",
        "floor: listing": "fetches and decodes the listing",
    }
    for result in sorted(results, key=lambda result: (result.jobs, [*does, result.tool].index(result.tool))):
        if result.tool in does:
            failed = [f"exit {result.cost.code}", *[NO_VALUE] * 3]
            cost = failed if result.cost.code else _cost(result)
            yield [result.tool, does[result.tool], f"{result.jobs}", *cost]


def _growth(results: Sequence[Result]) -> Iterator[list[str]]:
    """Yield the ratio between each number of jobs and the next, for shapes that have several."""
    for tool in (*FLOORS, *PEERS):
        for shape in SHAPES:
            series = [
                result
                for result in results
                if (result.shape, result.tool) == (shape, tool) and result.jobs > 1 and not result.cost.code
            ]
            series.sort(key=lambda result: result.jobs)
            for first, second in itertools.pairwise(series):
                times = f"{second.cost.wall / first.cost.wall:.1f}"
                yield [SHAPES[shape].title, tool, f"{first.jobs} -> {second.jobs}", times]


def _applies(results: Sequence[Result]) -> Iterator[list[str]]:
    for result in results:
        if result.tool != "apply":
            continue
        title, cost, ideal = SHAPES[result.shape].title, result.cost, result.calls * DELAY / PARALLELISM
        if cost.code:
            yield [title, f"{result.jobs}", f"exit {cost.code}", *[NO_VALUE] * 7]
            continue
        yield [
            title,
            f"{result.jobs}",
            f"{cost.wall:.2f}",
            f"{cost.cpu:.2f}",
            f"{cost.peak:.0f}",
            f"{result.calls}",
            f"{result.calls / result.jobs:.2f}",
            f"{ideal:.2f}",
            f"{ideal / cost.wall:.0%}",
            f"{targets.share_of_sending(result):.0%}",
        ]


def as_text(table: Table) -> str:
    """Return a table in aligned columns."""
    lines = [table.header, *table.rows]
    widths = [
        max(len(line[place]) for line in lines if place < len(line)) for place in range(len(table.header))
    ]
    rows = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    )
    return "\n".join((f"{table.title}:", *rows))


def as_markdown(table: Table) -> str:
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    rows = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join((f"{table.title}:", "", *rows))
