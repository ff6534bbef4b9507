"""Findings about files as SARIF 2.1.0, for the code scanning of a forge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from deployer import __version__
from deployer.escape import json_text, printable
from deployer.report.findings import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 5_000  # GitHub shows no more of a run
_RANKS = {"error": 0, "warning": 1, "note": 2}


def sarif(findings: Sequence[Finding], root: str, about: Mapping[str, str], *, strict: bool) -> str:
    """Return the findings; those that are errors are kept if there are too many.

    `root` is the path of the project in the repository, `about` describes each code in a few words.
    """
    most = sorted(findings, key=lambda finding: _RANKS[finding.problem.severity])[:MAX_RESULTS]
    kept = {id(finding) for finding in most}
    shown = [finding for finding in findings if id(finding) in kept]
    codes = sorted({finding.problem.code for finding in shown})
    rules = [
        {"id": code, "shortDescription": {"text": about.get(code) or code}, "help": {"text": _help(code)}}
        for code in codes
    ]
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "deployer", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the top folder of the repository"}}},
        "results": [_result(finding, root, codes, strict=strict) for finding in shown],
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _help(code: str) -> str:
    return f"deployer explain {code} says what is wrong, and how to mend it."


def _result(finding: Finding, root: str, codes: Sequence[str], *, strict: bool) -> dict[str, Any]:
    problem = finding.problem
    location = problem.location
    region = {"startLine": location.line} if location.line else {}
    if location.line and location.column:
        region["startColumn"] = location.column
    level = "error" if strict and problem.severity == "warning" else problem.severity
    identity = "\0".join((problem.code, problem.rule, location.file, problem.message))
    return {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": level,
        "message": {"text": "\n".join(map(printable, (problem.words, *finding.notes())))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(root, location.file), "uriBaseId": "SRCROOT"},
                    **({"region": region} if region else {}),
                }
            }
        ],
        "partialFingerprints": {
            "deployer/v1": hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()
        },
    }


def _uri(root: str, file: str) -> str:
    return quote(PurePath(root, file).as_posix(), safe="/", errors="replace")
