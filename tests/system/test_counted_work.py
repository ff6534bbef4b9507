"""Counts what each verb does, instead of timing it: the same on every machine.

A fast path that is no longer taken shows here, and so does a loop over all jobs for each job. The projects are those
of `make bench`. All numbers are at the top of this file.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bench.profiled import Profiled, calls, profiled
from bench.shapes import PROJECT, SHAPES, Shape, write, write_project
from deployer.emulator import Emulator
from deployer.kinds import KINDS
from deployer.kinds.ownership import Owner, with_ownership
from deployer.model import Identity, Job, Lifecycle, Source
from testing.workspace import TOKEN

# Two numbers of jobs. What a verb does for a job is the same with both, but for this part of it.
FEW, MANY = 200, 2000
APPLIED = 200
TOLERANCE = 0.02

# What is counted: functions by the end of their path.
PLACES = ("documents/parse.py:Reader.__init__",)
JSONSCHEMA = ("Validator.iter_errors", "Validator.is_valid", "Validator.descend", "Validator.validate")
PROPERTIES = ("model/plan.py:Plan.pending", "model/plan.py:Plan.steps", "model/plan.py:Plan.summary")
JINJA = ("jinja2/parser.py:Parser.parse",)

# The most in a run of valid manifests, however many there are.
TEXTS = "texts given to Jinja"
PLACES_READ = "documents read with places"
MOST = {
    TEXTS: 4,
    PLACES_READ: 0,
    "calls of jsonschema": 0,
    "evaluations of the plan's properties": 20,
}

# The most texts given to Jinja with FEW jobs in other shapes; `expressions`: each job has one of its own.
MOST_TEXTS = {
    "mixed": 4,
    "documents": 4,
    "foreach": 4 + FEW // 40,
    "statements": 4,
    "expressions": 4 + FEW // 40,
}

FOLDERS = 10

# The most calls of functions for a job, in the command and the template renderer.
CALLS = {"validate": 1300, "plan": 2500}

# The most requests of an apply for a job that it creates; and the entries of a page of a listing. A plan also looks
# for Flink jobs whose manifests were removed.
# A quarter of the mixed ones are streams: create, listing, tags and start.
REQUESTS_A_CREATE = {"files": 1.1, "mixed": 1.9}
PAGE = 100
OTHER_LISTINGS = 1


@dataclass(frozen=True)
class Imports:
    """What a verb may import: so many of our own modules, and these packages of others."""

    own: int
    others: frozenset[str]


IMPORTS: Mapping[str, Imports] = {
    "--version": Imports(1, frozenset()),
    "--help": Imports(8, frozenset({"click"})),
    "validate": Imports(80, frozenset({"click", "yaml", "jsonschema_rs"})),
    "plan": Imports(125, frozenset({"click", "yaml", "jsonschema_rs", "urllib3", "certifi"})),
}
# What completing may import: a verb as --help, a job's name no service and no checks of jobs.
COMPLETED: Mapping[str, Imports] = {
    "deployer pl": IMPORTS["--help"],
    "deployer plan --select name=": Imports(95, frozenset({"click", "yaml", "jsonschema_rs"})),
}
# Modules that are there without being asked for: of the way in which deployer was installed, and of libyaml.
UNASKED = ("editable", "distutils", "sitecustomize", "main", "virtualenv", "cython")


def _own_expressions(jobs: int) -> Iterator[tuple[str, str]]:
    for name, text in SHAPES["files"].files(jobs):
        yield name, re.sub(r"com\.example\.Job(\d+)", r"{{ 'com.example.Job' ~ \1 }}", text)


OWN_EXPRESSIONS = Shape("an expression of its own in each file", _own_expressions)


def test_validate(tmp_path: Path) -> None:
    one, few, many = (_validated(tmp_path, jobs) for jobs in (1, FEW, MANY))
    assert exceeded(few) | exceeded(many) | growth("validate", one, few, many) == {}


def test_plan_of_unchanged_jobs(tmp_path: Path) -> None:
    one, few, many = (_planned(tmp_path, jobs) for jobs in (1, FEW, MANY))
    assert exceeded(few) | exceeded(many) | growth("plan", one, few, many) == {}


@pytest.mark.parametrize("shape", MOST_TEXTS)
def test_other_shapes(tmp_path: Path, shape: str) -> None:
    ran = _validated(tmp_path, FEW, shape)
    assert exceeded(ran, {TEXTS: MOST_TEXTS[shape]}) == {}


@pytest.mark.parametrize(("value", "most"), [("other: {}", 4), ("env: e{}", 4 + 2 * FOLDERS)])
def test_folders_with_values(tmp_path: Path, value: str, most: int) -> None:
    """An expression is rendered again only for folders that have a value which it may use."""
    folder = tmp_path / "project"
    write(SHAPES["files"], FEW, folder)
    for number, file in enumerate(sorted(folder.glob("j*.yaml"))):
        inner = folder / f"f{number % FOLDERS}"
        inner.mkdir(exist_ok=True)
        file.rename(inner / file.name)
        (inner / "_values.yaml").write_text(value.format(number % FOLDERS) + "\n")
    ran = _profiled(tmp_path, folder, "validate")
    assert ran.code == 0, ran.out
    assert counts(ran)[TEXTS] > 0
    assert exceeded(ran, {TEXTS: most}) == {}


@pytest.mark.parametrize("shape", REQUESTS_A_CREATE)
def test_apply(tmp_path: Path, shape: str) -> None:
    folder = tmp_path / "project"
    write(SHAPES[shape], APPLIED, folder)
    with Emulator(tmp_path / "emulator.db", token=TOKEN) as emulator:
        write_project(folder, emulator.url)
        emulator.faults.add({"path": "", "delay": 0})
        ran = _profiled(tmp_path, folder, "apply", "--yes", "--parallelism", "16")
        (requests,) = (rule["matched"] for rule in emulator.faults.shown())
    assert ran.out.endswith(f"Apply complete: {APPLIED} applied.\n")
    too_many = requests > REQUESTS_A_CREATE[shape] * APPLIED + APPLIED // PAGE
    assert exceeded(ran) | ({"requests": requests} if too_many else {}) == {}


def test_each_count_is_of_something(tmp_path: Path) -> None:
    """A manifest with many problems is read with places and explained by jsonschema.

    With other names, all counts would be 0.
    """
    folder = tmp_path / "invalid"
    write(SHAPES["files"], 1, folder)
    manifest = folder / "j00000.yaml"
    manifest.write_text(
        re.sub("(numExecutors|driverCores|executorCores): [0-9]", r"\1: many", manifest.read_text())
    )
    ran = _profiled(tmp_path, folder, "validate")
    planned = _planned(tmp_path, 1)
    assert {what for each in (ran, planned) for what, count in counts(each).items() if count} == {*MOST}


@pytest.mark.parametrize("verb", IMPORTS)
def test_imports(tmp_path: Path, verb: str) -> None:
    ran = _planned(tmp_path, 1) if verb == "plan" else _validated(tmp_path, 1, verb=verb)
    assert_few(ran, IMPORTS[verb])


@pytest.mark.parametrize("line", COMPLETED)
def test_imports_for_a_completion(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "project"
    write(SHAPES["files"], 1, folder)
    environment = {"COMP_LINE": line, "COMP_WORD": "", "_DEPLOYER_COMPLETE": "bash_complete"}
    ran = profiled(folder, tmp_path / "profile", environment=environment)
    assert ran.out.startswith("plain,")
    assert ran.renderer == {}
    assert_few(ran, COMPLETED[line])


def assert_few(ran: Profiled, most: Imports) -> None:
    own = {name for name in ran.modules if name.startswith("deployer")}
    others = {name.partition(".")[0].lstrip("_") for name in ran.modules - own}
    found = {name for name in others if not name.startswith(UNASKED)}
    assert found - most.others == set()
    assert len(own) <= most.own, sorted(own)


def exceeded(ran: Profiled, others: Mapping[str, int] | None = None) -> dict[str, float]:
    """Return the counts that are above their limits; `others` are limits in place of some of MOST."""
    most = {**MOST, **(others or {})}
    return {what: count for what, count in counts(ran).items() if count > most[what]}


def counts(ran: Profiled) -> dict[str, int]:
    return {
        TEXTS: calls(ran.renderer, *JINJA),
        "documents read with places": calls(ran.profile, *PLACES),
        "calls of jsonschema": calls(ran.profile, *JSONSCHEMA),
        "evaluations of the plan's properties": calls(ran.profile, *PROPERTIES),
    }


def growth(verb: str, one: Profiled, few: Profiled, many: Profiled) -> dict[str, float]:
    """Return the calls for a job, if they are too many, or more with many jobs. `one` is a run with one job."""
    start, at_few, at_many = (ran.calls for ran in (one, few, many))
    a_job, of_many = (at_few - start) / (FEW - 1), (at_many - start) / (MANY - 1)
    fits = abs(of_many - a_job) <= TOLERANCE * a_job and a_job <= CALLS[verb]
    return {} if fits else {f"calls a job with {FEW}": a_job, f"with {MANY}": of_many}


def _profiled(scratch: Path, folder: Path, *arguments: str) -> Profiled:
    environment = {"HW_AUTH_TOKEN": TOKEN, "NO_COLOR": "1"}
    return profiled(folder, scratch / f"profile-{folder.name}", *arguments, environment=environment)


def _validated(scratch: Path, jobs: int, shape: str = "files", verb: str = "validate") -> Profiled:
    folder = scratch / f"{jobs}"
    write(SHAPES.get(shape, OWN_EXPRESSIONS), jobs, folder)
    ran = _profiled(scratch, folder, verb)
    assert ran.code == 0, ran.out
    return ran


def _planned(scratch: Path, jobs: int) -> Profiled:
    """Plan jobs that are deployed as they are."""
    folder = scratch / f"{jobs}"
    write(SHAPES["files"], jobs, folder)
    with Emulator(scratch / f"{jobs}.db", token=TOKEN) as emulator:
        write_project(folder, emulator.url)
        _deploy(emulator, jobs)
        emulator.faults.add({"path": "", "delay": 0})
        ran = _profiled(scratch, folder, "plan", "--detailed-exitcode")
        (requests,) = (rule["matched"] for rule in emulator.faults.shown())
    assert ran.code == 0, ran.out
    # Pages overlap by one job.
    pages = 1 if jobs <= PAGE else -(-(jobs - 1) // (PAGE - 1))
    assert requests == pages + OTHER_LISTINGS
    return ran


def _deploy(emulator: Emulator, jobs: int) -> None:
    """Send the requests that an apply would send."""
    kind = KINDS["SparkBatch"]
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"))
    headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}
    for _, text in SHAPES["files"].files(jobs):
        manifest = yaml.safe_load(text.replace("{{ env }}", "prod").replace("{{ queue }}", "q"))
        spec, name = manifest["spec"], manifest["metadata"]["name"]
        spec["conf"] = {key: str(value).lower() for key, value in spec["conf"].items()}
        job = Job(Identity(kind.name, spec["queue"], name), Source("", 1), spec, Lifecycle())
        body = kind.body(name, with_ownership(kind, job, Owner("bench")))
        connection.request("POST", f"/v2.0/{PROJECT}/batches", json.dumps(body), headers)
        response = connection.getresponse()
        assert response.status < 300, response.read()
        response.read()
    connection.close()
