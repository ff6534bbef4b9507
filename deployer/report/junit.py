"""Findings about files as JUnit XML: a suite for each target, a test case for each file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree

from deployer.errors import Problem
from deployer.escape import printable

_NAME = "deployer validate"


def junit(
    problems: Mapping[str, Iterable[Problem]], files: Mapping[str, Sequence[str]], *, strict: bool
) -> str:
    """Return the findings of each target, and the files of its jobs; with `strict` a warning is a failure."""
    suites = ElementTree.Element("testsuites", name=_NAME)
    counted = [0, 0]
    for target, found in problems.items():
        by_file: dict[str, list[Problem]] = {file: [] for file in files.get(target, ())}
        for problem in found:
            by_file.setdefault(problem.location.file, []).append(problem)
        suite = ElementTree.SubElement(suites, "testsuite", name=printable(target or "deployer.yaml"))
        failures = sum(_case(suite, target, file, by_file[file], strict=strict) for file in sorted(by_file))
        _count(suite, len(by_file), failures)
        counted = [counted[0] + len(by_file), counted[1] + failures]
    _count(suites, *counted)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _count(element: ElementTree.Element, tests: int, failures: int) -> None:
    for name, number in {"tests": tests, "failures": failures, "errors": 0, "skipped": 0}.items():
        element.set(name, str(number))


def _case(
    suite: ElementTree.Element, target: str, file: str, problems: Sequence[Problem], *, strict: bool
) -> bool:
    """Add a test case, and return whether it is a failure: one of all findings that fail it."""
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=printable(file),
        classname=printable(".".join(filter(None, ("validate", target)))),
        file=printable(file),
    )
    severities = {"error", "warning"} if strict else {"error"}
    failing = [problem for problem in problems if problem.severity in severities]
    if failing:
        more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
        message = printable(f"{failing[0]}{more}")
        failure = ElementTree.SubElement(case, "failure", message=message, type=failing[0].code)
        failure.text = "\n".join(printable(str(problem)) for problem in failing)
    if others := [problem for problem in problems if problem not in failing]:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(printable(str(problem)) for problem in others)
    return bool(failing)
