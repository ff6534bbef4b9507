"""`parameters` in a manifest: each error at its line, and what a job with parameters is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deployer.manifests.check import check
from deployer.manifests.parameters import RULES
from deployer.manifests.read import read
from deployer.model import Job, Parameter, ParameterType
from deployer.parameters.references import reference, shown
from deployer.parameters.runs import defaults, with_values
from deployer.project import load as project
from deployer.schema.explain import diagnostics
from testing.workspace import Workspace

HEAD = "apiVersion: deployer/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
BATCH = "spec:\n  file: a.py\n  queue: q\n"


def problems(bare: Workspace, text: str, *, kind: str = "SparkBatch", name: str = "z") -> list[str]:
    """What `deployer validate` finds in a manifest; its first line is the one after `metadata`."""
    bare.write("a.yaml", HEAD.format(kind=kind, name=name) + text)
    ran = bare.run("validate")
    assert (ran.code == 4) is (" error: " in ran.err), ran
    found = re.findall(r"^a\.yaml:([0-9]+)(:[0-9]+: .*)", ran.err, re.MULTILINE)
    return [f"{int(line) - 3}{rest}" for line, rest in found]


def job(bare: Workspace, text: str) -> Job:
    bare.write("a.yaml", HEAD.format(kind="SparkBatch", name="z") + text)
    loaded = project.load(bare.folder)
    checked = check(read(loaded, loaded.target(None), ["a.yaml"], {}).manifests, {})
    assert checked.problems == ()
    (found,) = checked.jobs
    return found


def test_a_job_with_parameters(bare: Workspace) -> None:
    text = """\
parameters:
  date: {type: date, from: 2024-01-01, description: the day of the orders}
  region: {values: [north, 10, 1.50, true], default: 10}
  n: {type: integer, default: 7}
spec:
  file: obs://b/{{ param('date') | date('%Y') }}/a.py
  queue: q
  args: ["{{ param('date') }}", "{{ param('region') }}", "{{ param('n') }}"]
  conf: {spark.x: "{{ param('n') }}"}
"""
    found = job(bare, text)
    values = ("north", "10", "1.50", "true")
    assert found.parameters == {
        "date": Parameter("date", ParameterType.DATE, earliest="2024-01-01"),
        "region": Parameter("region", ParameterType.VALUES, values, default="10"),
        "n": Parameter("n", ParameterType.INTEGER, default="7"),
    }
    assert found.spec["args"] == [reference("date"), reference("region"), reference("n")]
    assert shown(found.spec)["file"] == "obs://b/param(date | date('%Y'))/a.py"
    assert defaults(found.parameters) is None
    run = with_values(found, {"date": "2024-07-04", "region": "north", "n": "7"})
    assert run.identity == (*found.identity[:3], "date=2024-07-04,n=7,region=north")
    assert str(run.identity) == "SparkBatch z date=2024-07-04,n=7,region=north in q"
    assert run.spec == {
        "file": "obs://b/2024/a.py",
        "queue": "q",
        "args": ["2024-07-04", "north", "7"],
        "conf": {"spark.x": "7"},
    }
    assert found.spec["args"] == [reference("date"), reference("region"), reference("n")]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("^{}", "give its type (date, month, hour, integer, text), or its values [E073 parameter-type]"),
        (
            "{type: ^dat}",
            "'type' must be one of date, month, hour, integer, text, got 'dat'; did you mean",
        ),
        ("{^tpye: date}", "unknown field 'tpye' in parameters.p; did you mean 'type'? [E032]"),
        ("{type: date, values: ^[a]}", "'p': give either values or a type [E073 parameter-type]"),
        ("{type: text, pattern: ^''}", "'p': pattern must have 1 to 200 characters [E073 parameter-type]"),
        ("{type: date, pattern: ^a}", "'p': a pattern is for type text, not for type date [E073"),
        (
            "{pattern: ^'.*'}",
            "'p': pattern cannot have '.*': it has sets such as [a-z0-9] and characters of",
        ),
        ("{values: ^[]}", "'p': 'values' must not be empty [E073 parameter-type]"),
        (
            "{values: ^['a, b']}",
            "'p': a value must not contain ', ', nor begin or end with a blank or a comma",
        ),
        ("{type: date, default: ^today}", "'p': 'default' must be a date such as 2024-07-04, got 'today'"),
        (
            "{type: date, from: ^2024-13-01}",
            "'p': 'from' must be a date such as 2024-07-04, got '2024-13-01'",
        ),
        (
            "{type: date, from: 2024-01-02, default: ^2024-01-01}",
            "'p': 'default' must not be before 2024-01-02 (its 'from'), got '2024-01-01'",
        ),
        (
            "{type: text, from: ^a}",
            "'p': 'from' is for types with an order: date, month, hour, integer [E073",
        ),
        (
            "{values: [north], default: ^nort}",
            "'p': 'default' must be one of the listed values, got 'nort'; did",
        ),
        (
            "{type: integer, default: ^007}",
            "'p': 'default' must be an integer such as 0, 7 or -12, got '007'",
        ),
        ("^7", "'p' must be a mapping, got the number 7"),
    ],
)
def test_wrong_declarations(bare: Workspace, parameter: str, message: str) -> None:
    """The finding is at the `^`."""
    column = f"  p: {parameter}".index("^") + 1
    column = 3 if parameter == "^{}" else column
    text = f"parameters:\n  p: {parameter.replace('^', '')}\n{BATCH}  args: [\"{{{{ param('p') }}}}\"]\n"
    (found,) = problems(bare, text)
    where, _, words = found.partition(" ")
    assert where.startswith(f"2:{column}:")
    assert message in words


def test_all_errors_at_once(bare: Workspace) -> None:
    text = """\
parameters:
  date: {type: date}
  who: {type: text}
  unused: {type: month}
enable: 7
spec:
  file: a-{{ param('dat') }}.py
  queue: "{{ param('who') }}"
  numExecutors: {{ param('who') }}
  driverMemory: "{{ param('who') }}G"
  auto_recovery: "{{ param('who') }}"
  conf: {"{{ param('who') }}": x}
  args: ["{{ param('who') | date('%Y') }}", "{{ param('date') }}"]
"""
    assert problems(bare, text) == [
        "4:3: error: parameter 'unused' is not used in spec, so no run would tell its value [E078 parameter-unused]",
        "5:1: error: unknown field 'enable'; did you mean 'enabled'? [E032]",
        "7:9: error: unknown parameter 'dat'; did you mean 'date'? [E074 parameter-unknown]",
        "8:10: error: a parameter is not allowed in 'queue', which is part of the job's identity: only in texts of"
        " spec [E072 parameter-misplaced]",
        "9:17: error: a parameter is not allowed in 'numExecutors', which is a number: only in texts of spec"
        " [E072 parameter-misplaced]",
        "10:17: error: a parameter is not allowed in the memory size 'driverMemory': only in texts of spec"
        " [E072 parameter-misplaced]",
        "11:18: error: a parameter is not allowed in 'auto_recovery', which is true or false: only in texts of spec"
        " [E072 parameter-misplaced]",
        "12:10: error: a parameter is not allowed in a key: only in texts of spec [E072 parameter-misplaced]",
        "13:10: error: the filter date is for a parameter of type date; 'who' has type text [E073 parameter-type]",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            "{{ param('who') }}{{ param('n') }}",
            "'who' cannot be read back from the listing: /args/0 has two values of free length ('who', 'n'); give it a"
            " place of its own, or values of fixed length [E070 parameter-unreadable]",
        ),
        (
            "{{ param('who') }}{{ dli_var('lane') }}",
            "two values of free length ('who', the DLI variable {{lane}});",
        ),
        (
            "{{ param('who') }}-{{ param('who') | b64encode }}",
            "two values of free length ('who', b64encode(param(who)))",
        ),
        ("{{ param('who') | sha256 }}", "it stands only behind a filter; use it once without [E071"),
    ],
)
def test_what_cannot_be_read_back(bare: Workspace, args: str, message: str) -> None:
    declared = "parameters: {who: {type: text}, n: {type: integer}}\n"
    text = f'{declared}{BATCH}  args: ["{args}", "{{{{ param(\'n\') }}}}"]\n'
    found = problems(bare, text)
    errors = [line for line in found if " error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert errors[0].startswith("5:10: ")


@pytest.mark.parametrize(
    "args",
    [
        "{{ param('who') }}-{{ param('who') }}",
        "{{ param('date') }}{{ param('who') }}{{ param('size') }}",
        "{{ param('who') }}', '{{ param('n') }}",
        "{{ param('who') }}{{ param('who') | sha256 }}",
    ],
)
def test_what_can_be_read_back(bare: Workspace, args: str) -> None:
    """Values of fixed length, the same value twice; and two pieces of the SQL of an MRS job."""
    types = {"who": "type: text", "date": "type: date", "size": "values: [s, m]", "n": "type: integer"}
    declared = ", ".join(f"{name}: {{{words}}}" for name, words in types.items() if f"'{name}'" in args)
    spec = f'spec: {{cluster_id: c, job_type: HiveSql, arguments: ["{args}"]}}\n'
    found = problems(bare, f"parameters: {{{declared}}}\n{spec}", kind="MrsJob")
    assert [line for line in found if " error: " in line] == []


def test_other_kinds(bare: Workspace) -> None:
    declared = "parameters: {who: {type: text}}\n"
    message = "a FlinkJar is a definition that runs on: it has no runs with parameters [E075 parameter-in-definition]"
    assert problems(
        bare, declared + "spec: {entrypoint: \"{{ param('who') }}.jar\", queue_name: q}\n", kind="FlinkJar"
    ) == [
        f"1:1: error: {message}",
        f"2:20: error: {message}",
    ]
    *_, found = problems(
        bare,
        declared + "spec: {queue: q, kind: spark, jars: [\"{{ param('who') }}.jar\"]}\n",
        kind="SparkSession",
    )
    assert (
        "2:38: error: 'who' cannot be read back from the listing, which does not return 'jars' [E071" in found
    )


def test_a_rerun_names_no_value(bare: Workspace) -> None:
    declared = (
        "parameters: {date: {type: date}}\nlifecycle: {rerun: 2024-07-05T09:00:00Z, onFailure: resubmit}\n"
    )
    args = "  args: [\"{{ param('date') }}\"]\n"
    found = [line for line in problems(bare, declared + BATCH + args) if " error: " in line]
    words = (
        "names no value of 'date', which has no default; use 'deployer run z --failed' [E077 trigger-rerun]"
    )
    assert found == [f"2:13: error: 'rerun' {words}", f"2:42: error: 'onFailure' {words}"]
    with_default = declared.replace("type: date", "type: date, default: 2024-01-01")
    assert [line for line in problems(bare, with_default + BATCH + args) if " error: " in line] == []


def test_what_apply_does_not_do_with_a_run_is_a_warning(bare: Workspace) -> None:
    declared = "parameters: {date: {type: date}}\nlifecycle: {onChange: replace, onMissing: keep}\n"
    args = "  args: [\"{{ param('date') }}\"]\n"
    words = "has no effect on runs with 'date', which has no default: only 'deployer run' submits them"
    assert problems(bare, declared + BATCH + args) == [
        f"2:13: warning: 'onChange' {words} [W133 trigger-ignores]",
        f"2:32: warning: 'onMissing' {words} [W133 trigger-ignores]",
    ]
    assert (
        problems(bare, declared.replace("type: date", "type: date, default: 2024-01-01") + BATCH + args) == []
    )
    kept = declared.replace("replace, onMissing: keep", "keep")
    assert problems(bare, kept + BATCH + args) == []
    waived = "waive: {trigger-ignores: for the day it gets a default}\n"
    assert problems(bare, waived + declared + BATCH + args) == []


def test_the_rules_of_a_manifest_are_checked_with_a_sample(bare: Workspace) -> None:
    declared = "parameters: {size: {values: [A, D], default: D}}\n"
    text = declared + "spec: {file: a.py, queue: q, sc_type: \"{{ param('size') }}\"}\n"
    (found,) = problems(bare, text)
    assert found == "2:39: error: 'sc_type' must be one of A, B, C, got 'D' (with size = D) [E035]"
    assert problems(bare, text.replace("default: D", "default: A")) == []


def dependents(bare: Workspace, needs: str, *, own: str = "{date: {type: date}}") -> list[str]:
    load = HEAD.format(kind="SparkBatch", name="load")
    theirs = "parameters: {date: {type: date}, part: {type: integer}, region: {values: [n, s]}}\n"
    args = "  args: [\"{{ param('date') }}\", \"{{ param('part') }}\", \"{{ param('region') }}\"]\n"
    bare.write("load.yaml", load + theirs + BATCH + args)
    parameters = f"parameters: {own}\n" if own else "\n"
    args = "  args: [\"{{ param('date') }}\"]\n" if own else ""
    return problems(bare, f"{parameters}dependsOn: [{needs}]\n{BATCH}{args}")


def test_dependencies_are_bound_by_names(bare: Workspace) -> None:
    bound = "{name: load, parameters: {part: '1'}}"
    assert dependents(bare, bound) == []
    assert dependents(bare, "load") == [
        "2:13: error: 'load' has the parameter 'part', which this job has not; bind it, as in {name: load, parameters:"
        " {part: 0}} [E076 parameter-unbound]"
    ]
    assert dependents(bare, "{name: load, parameters: {prat: '1', part: x}}") == [
        "2:13: error: 'load' has no parameter 'prat'; did you mean 'part'? [E074 parameter-unknown]",
        "2:13: error: parameter 'part' must be an integer such as 0, 7 or -12, got 'x' [E073 parameter-type]",
    ]
    assert dependents(bare, "load", own="") == [
        "2:13: warning: 'load' is submitted by 'deployer run' only, and this job by apply; it has the parameters"
        " 'date', 'part', which this job has not: its newest run counts, whatever its values are [W071 newest-run]"
    ]


@pytest.mark.parametrize(
    ("theirs", "own", "needs", "words"),
    [
        ("lifecycle: {trigger: run}\n", "", "load", "its newest run counts"),
        ("lifecycle: {trigger: run}\n", "lifecycle: {trigger: run}\n", "load", ""),
        (
            "parameters: {date: {type: date}}\n",
            "lifecycle: {trigger: run}\n",
            "load",
            "whatever its values are",
        ),
        (
            "parameters: {date: {type: date}}\n",
            "parameters: {date: {type: date, default: 2024-05-01}}\n",
            "load",
            "apply submits this job only if it has a run with the same values",
        ),
        ("parameters: {date: {type: date}}\n", "parameters: {date: {type: date}}\n", "load", ""),
        ("parameters: {date: {type: date}}\n", "", '{name: load, parameters: {date: "2024-05-01"}}', ""),
        ("", "", "load", ""),
    ],
)
def test_a_dependency_that_apply_never_submits(
    bare: Workspace, theirs: str, own: str, needs: str, words: str
) -> None:
    args = "  args: [\"{{ param('date') }}\"]\n"
    used = [args if "parameters" in keys else "" for keys in (theirs, own)]
    bare.write("load.yaml", HEAD.format(kind="SparkBatch", name="load") + theirs + BATCH + used[0])
    found = problems(bare, f"dependsOn: [{needs}]\n{own}{BATCH}{used[1]}")
    assert len(found) == bool(words), found
    assert all(line.startswith("1:13: warning: 'load' ") and words in line for line in found)
    assert all(line.endswith("[W071 newest-run]") for line in found)


def test_a_parameter_does_not_decide_which_jobs_there_are(bare: Workspace) -> None:
    bare.write(
        "a.yaml", "forEach: [\"{{ param('x') }}\"]\n" + HEAD.format(kind="SparkBatch", name="z") + BATCH
    )
    message = (
        "a parameter is not allowed in 'forEach', which says which jobs there are [E072 parameter-misplaced]"
    )
    assert f"a.yaml:1:10: error: {message}\n" in bare.run("validate").err


def test_a_definition_is_shown(bare: Workspace) -> None:
    text = HEAD.format(kind="SparkBatch", name="z") + "parameters: {date: {type: date}}\n" + BATCH
    bare.write("a.yaml", text + "  args: [\"--date={{ param('date') }}\"]\n")
    assert "  - --date=param(date)\n" in bare.run("render").out


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_explained(bare: Workspace, rule: str) -> None:
    ran = bare.run("explain", rule)
    assert (ran.code, ran.out.partition(":")[0]) == (0, RULES[rule])
    named: dict[str, Any] = {entry.id: entry.code for entry in diagnostics().values() if entry.id}
    assert named == RULES


def test_a_default_that_leads_out_of_the_calendar(bare: Workspace) -> None:
    declared = "parameters:\n  p: {type: date, default: 9999-12-31}\n"
    args = "  args: [\"{{ param('p') }}\", \"{{ param('p') | date(days=1) }}\"]\n"
    (found,) = problems(bare, declared + BATCH + args)
    assert (
        found == "2:28: error: 'p': 1 days after 9999-12-31 are outside of the calendar [E073 parameter-type]"
    )
    assert problems(bare, declared.replace("9999", "9998") + BATCH + args) == []
