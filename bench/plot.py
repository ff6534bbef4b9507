"""Results -> an SVG: seconds by number of jobs, one line a tool, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bench.measure import Result
from bench.peers import PEERS

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 44, 64
_COLOURS = ("#c1121f", "#e36414", "#0077b6", "#2a9d8f", "#6a4c93", "#8d6e63", "#9e9e9e", "#bdbdbd")
_FONT = "font-family='system-ui, sans-serif' font-size='12' fill='#222'"
_LEAST_GAP = 15


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    colour: str
    points: Sequence[tuple[int, float]]


def svg(results: Sequence[Result], machine: str) -> str:
    """Return the plot of the jobs in one file each, with the machine under it; empty if there is nothing to draw."""
    lines = [*_lines(results)]
    if not lines:
        return ""
    jobs = sorted({number for line in lines for number, _ in line.points})
    seconds = [value for line in lines for _, value in line.points]
    low = math.floor(math.log10(min(seconds)))
    high = max(low + 1, math.ceil(math.log10(max(seconds))))
    first, last = math.log10(jobs[0]), math.log10(max(jobs[-1], jobs[0] + 1))

    def x(number: int) -> float:
        return LEFT + (math.log10(number) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>",
        "<title>Seconds by number of jobs</title>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>",
        f"<text x='{LEFT}' y='22' {_FONT} font-weight='bold'>Seconds by number of jobs, one file a job</text>",
        f"<text x='{LEFT}' y='{HEIGHT - 12}' {_FONT} fill-opacity='.7'>{escape(machine)}</text>",
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        label = f"{10.0**power:g} s"
        parts.append(f"<path d='M{LEFT} {at:.1f}H{WIDTH - RIGHT}' stroke='#ddd'/>")
        parts.append(f"<text x='{LEFT - 8}' y='{at + 4:.1f}' {_FONT} text-anchor='end'>{label}</text>")
    for number in jobs:
        parts.append(f"<path d='M{x(number):.1f} {TOP}V{HEIGHT - BOTTOM}' stroke='#eee'/>")
        at_label = f"x='{x(number):.1f}' y='{HEIGHT - BOTTOM + 18}'"
        parts.append(f"<text {at_label} {_FONT} text-anchor='middle'>{number:,}</text>")
    for line in lines:
        drawn = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in line.points)
        parts.append(f"<polyline points='{drawn}' fill='none' stroke='{line.colour}' stroke-width='2'/>")
        for number, value in line.points:
            parts.append(f"<circle cx='{x(number):.1f}' cy='{y(value):.1f}' r='3' fill='{line.colour}'/>")
    labels = [(y(line.points[-1][1]), x(line.points[-1][0]), line) for line in lines]
    for at, (_, beside, line) in zip(_spread([place for place, _, _ in labels]), labels, strict=True):
        name = f"<text x='{beside + 8:.1f}' y='{at + 4:.1f}' {_FONT} style='fill:{line.colour}'>"
        parts.append(f"{name}{escape(line.name)}, {line.points[-1][1]:.2g} s</text>")
    return "\n".join((*parts, "</svg>", ""))


def _lines(results: Sequence[Result]) -> Iterator[Line]:
    tools = {"plan": "deployer plan", "validate": "deployer validate", **{name: name for name in PEERS}}
    tools |= {"floor: libyaml": "floor: libyaml", "floor: listing": "floor: listing"}
    for (tool, name), colour in zip(tools.items(), _COLOURS, strict=True):
        points = sorted(
            (result.jobs, result.cost.wall)
            for result in results
            if (result.shape, result.tool) == ("files", tool) and result.jobs > 1 and not result.cost.code
        )
        if points:
            yield Line(name, colour, points)


def _spread(places: Sequence[float]) -> list[float]:
    """Return the places of labels, moved down where they would cover the one above."""
    moved = list(places)
    above = -math.inf
    for at in sorted(range(len(places)), key=places.__getitem__):
        above = moved[at] = max(places[at], above + _LEAST_GAP)
    return moved
