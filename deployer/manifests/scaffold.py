"""The files that start a project: deployer.yaml, values, a commented manifest per kind, a CI file.

What a manifest says of its fields comes from the kind's table, so that it cannot go stale: only the values of
`EXAMPLES` are written by hand, and a kind without an example gets its required fields from the table too.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deployer.documents.parse import resolve
from deployer.errors import DeployerError, UsageError, nearest
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.project.load import PROJECT_FILE, STATE_FOLDER
from deployer.schema.manifest import manifest_schema
from deployer.schema.parts import API_VERSION, Schema
from deployer.schema.project import project_schema

WIDTH = 110
COLUMN = 44  # where the comments beside fields begin, if the fields leave them room
LEAST = 24  # the room without which a comment is not worth cutting
GITIGNORE = ".gitignore"
PROD_VALUES = "values/prod.yaml"

PROJECT = f"""\
# The project: where its jobs go, and which values its manifests see.
apiVersion: {API_VERSION}
kind: Project
metadata:
  name: NAME
defaultTarget: local
values: [values/common.yaml]          # for every target
targets:
  # Needs no account: an emulator runs inside the command, and keeps its jobs in {STATE_FOLDER}/.
  local:
    emulator: true
    values: [values/local.yaml]       # on top of the common ones
  # Put in your own region. The project is the region's own, unless a projectId says which.
  prod:
    region: cn-north-4
    # projectId: 48cc2c48765f481480c7db940d6409d1
    auth: {{method: token}}             # X-Auth-Token, from the environment variable HW_AUTH_TOKEN
    values: [{PROD_VALUES}]
    # clusters: {{reports: 0f9c2c48-7658-4f48-8148-0c7db940d640}}   # names for MRS clusters
    # limits: {{changes: 50}}           # a plan with more is shown, and refused by apply
"""

# Text that needs no quotes, if it does not look like a number or a truth value.
_UNQUOTED = re.compile(r"(?=.*[A-Za-z])[\w/][\w./-]*( [\w./-]+)*", re.ASCII)

# Each value as YAML. A file holds those that a manifest uses.
VALUES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "values/common.yaml": (
        "Seen by every manifest, for every target; a target's own values come on top.",
        {"team": "data", "executors": "2"},
    ),
    "values/local.yaml": (
        "Values for the target local. Its emulator takes any bucket, queue and cluster.",
        {"bucket": "data-dev", "queue": "general", "cluster": "reports-dev"},
    ),
    PROD_VALUES: (
        "Values for the target prod: put in yours.",
        {
            "bucket": "data-prod",
            "queue": "spark_prod",
            "cluster": "0f9c2c48-7658-4f48-8148-0c7db940d640    # or a name from clusters in deployer.yaml",
            "executors": "12",
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Example:
    """An example manifest: `spec` has the usual fields, each as template text."""

    file: str
    name: str
    spec: Mapping[str, str] = field(default_factory=dict)


EXAMPLES: Mapping[str, Example] = {
    "SparkBatch": Example(
        "spark/daily-orders.yaml",
        "daily-orders",
        {
            "file": "obs://{{ bucket }}/jars/orders-1.4.0.jar",
            "className": "com.example.orders.Daily",
            "queue": "{{ queue }}",
            "args": '["--date", "2024-07-04"]',
            "numExecutors": "{{ executors }}",
            "spark_version": '"3.3.1"',
            "execution_agency_urn": "dli_agency",
        },
    ),
    "SparkSession": Example(
        "spark/notebook.yaml",
        "notebook",
        {
            "kind": "spark",
            "queue": "{{ queue }}",
            "sc_type": "A",
            "heartbeatTimeoutInSecond": "3600",
        },
    ),
    "FlinkJar": Example(
        "flink/clicks.yaml",
        "clicks",
        {
            "entrypoint": "obs://{{ bucket }}/jars/clicks-2.1.0.jar",
            "main_class": "com.example.clicks.Count",
            "queue_name": "{{ queue }}",
            "flink_version": '"1.15"',
            "cu_number": "4",
            "parallel_number": "3",
            "checkpoint_enabled": "true",
            "checkpoint_interval": "60",
            "log_enabled": "true",
            "obs_bucket": "{{ bucket }}",
            "execution_agency_urn": "dli_agency",
        },
    ),
    "MrsJob": Example(
        "mrs/daily-report.yaml",
        "daily-report",
        {
            "cluster_id": "{{ cluster }}",
            "job_type": "SparkSubmit",
            "arguments": '[--master, yarn, --deploy-mode, cluster, "obs://{{ bucket }}/jobs/report.py"]',
        },
    ),
}

GITHUB = """\
# Checks and plans a pull request, and applies what is merged. OWNER is where you install deployer from.
# It needs the secret HW_AUTH_TOKEN, a token of IAM, which is valid for 24 hours. The environment prod can ask
# for an approval before each apply.
name: deployer
on:
  pull_request:
  push: {branches: [main]}    # the branch that is deployed
# One run at a time for each pull request, and for the branch; an apply is never cancelled midway.
concurrency:
  group: deployer-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
permissions: {contents: read}
jobs:
  plan:
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    permissions: {contents: read, pull-requests: write}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install git+https://github.com/OWNER/deployer
      - run: deployer validate -t prod
      # A pull request from a fork gets no secrets: it is checked, and not planned.
      - if: github.event.pull_request.head.repo.full_name == github.repository
        run: deployer plan -t prod --format markdown > plan.md
        env:
          HW_AUTH_TOKEN: ${{ secrets.HW_AUTH_TOKEN }}
      - if: github.event.pull_request.head.repo.full_name == github.repository
        run: gh pr comment ${{ github.event.number }} --body-file plan.md
        env:
          GH_TOKEN: ${{ github.token }}
  apply:
    if: github.event_name == 'push'
    runs-on: ubuntu-latest
    environment: prod
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install git+https://github.com/OWNER/deployer
      - run: deployer validate -t prod
      - run: deployer apply -t prod --confirm prod
        env:
          HW_AUTH_TOKEN: ${{ secrets.HW_AUTH_TOKEN }}
"""

GITLAB = """\
# Checks and plans a merge request, and applies what is merged. OWNER is where you install deployer from.
# It needs the CI/CD variable HW_AUTH_TOKEN, a token of IAM, which is valid for 24 hours: masked, and not
# protected, because merge requests do not see protected variables.
image: python:3.12
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
before_script:
  - pip install git+https://github.com/OWNER/deployer
validate:
  stage: test
  script:
    - deployer validate -t prod
plan:
  stage: deploy
  rules:
    # A merge request from a fork gets no variables: it is checked, and not planned.
    - if: >-
        $CI_PIPELINE_SOURCE == "merge_request_event" &&
        $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID
  script:
    - deployer plan -t prod
apply:
  stage: deploy
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  # One apply at a time, and never cancelled midway.
  resource_group: prod
  interruptible: false
  environment: prod
  script:
    - deployer apply -t prod --confirm prod
"""

CI: Mapping[str, Mapping[str, str]] = {
    "github": {".github/workflows/deployer.yml": GITHUB},
    "gitlab": {".gitlab-ci.yml": GITLAB},
    "none": {},
}


def files(name: str, kinds: Sequence[str], ci: str) -> dict[str, str]:
    """Returns the text of each file of a new project, in an order to read them in. Raises UsageError."""
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"there is no kind '{unknown[0]}'{nearest(unknown[0], list(KINDS))}")
    pattern = project_schema()["properties"]["metadata"]["properties"]["name"]["pattern"]
    if not re.fullmatch(pattern, name):
        raise UsageError(f"'{name}' cannot be a project's name; expected {pattern}")
    manifests = dict(_manifest(kind) for kind in KINDS.values() if kind.name in kinds)
    used = set(re.findall(r"\{\{ (\w+) \}\}", "".join(manifests.values())))
    values = {
        file: "".join([f"# {title}\n", *(f"{key}: {value}\n" for key, value in known.items() if key in used)])
        for file, (title, known) in VALUES.items()
    }
    project = {PROJECT_FILE: PROJECT.replace("NAME", _inline_yaml(name))}
    ignored = {GITIGNORE: f"# What deployer keeps for itself.\n{STATE_FOLDER}/\n"}
    return {**project, **values, **manifests, **CI[ci], **ignored}


def project_name(folder: str) -> str:
    """Returns a name for a project in a folder of that name."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:64] or "jobs"


def write(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Writes all files or none, and names those that it wrote: a .gitignore that is there is left as it is.

    Raises UsageError naming all other files that are there, DeployerError when one cannot be written.
    """
    missing = [file for file in texts if not os.path.lexists(folder / file)]
    if taken := [str(folder / file) for file in texts if file not in (*missing, GITIGNORE)]:
        raise UsageError(f"nothing was written, because there is already {', '.join(taken)}")
    made: list[Path] = []
    path = folder
    try:
        for file in missing:
            path = folder / file
            for parent in reversed(path.parents):
                if not parent.exists():
                    parent.mkdir()
                    made.append(parent)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                made.append(path)
                stream.write(texts[file])
    except BaseException as error:
        for begun in reversed(made):
            with suppress(OSError):
                begun.rmdir() if begun.is_dir() else begun.unlink()
        if isinstance(error, OSError):
            message = f"{path} cannot be written: {error.strerror}; nothing was written"
            raise DeployerError(message) from None
        raise
    return missing


def _manifest(kind: Kind) -> tuple[str, str]:
    """Returns the file and the text of a kind's manifest."""
    lower = kind.name.lower()
    example = EXAMPLES.get(kind.name) or Example(
        f"{kind.service}/{lower}.yaml", kind.name_row.example or lower
    )
    schema = manifest_schema(kind)["properties"]
    metadata, fields, lifecycle = (schema[part]["properties"] for part in ("metadata", "spec", "lifecycle"))
    rows = [row for row in kind.rows if not row.deprecated and not row.same_as]
    required = {row.name: _inline_yaml(_sample(fields[row.name], row.name)) for row in rows if row.required}
    spec = dict(example.spec) | {
        name: field_schema for name, field_schema in required.items() if name not in example.spec
    }
    unused = {row.name: fields[row.name] for row in rows if row.name not in spec}
    defaulted = {
        name: field_schema for name, field_schema in unused.items() if field_schema.get("default") is not None
    }
    state = lifecycle["state"]
    lines = [
        f"# {kind.name}: {kind.title}. 'deployer explain {kind.name}.FIELD' tells more of a field.",
        f"apiVersion: {API_VERSION}",
        f"kind: {kind.name}",
        "metadata:",
        *_aligned(
            [
                (f"  name: {_inline_yaml(example.name)}", _comment(metadata["name"])),
                ('  labels: {team: "{{ team }}"}', _comment(metadata["labels"])),
            ]
        ),
        "",
        f"# The body of {_without_jinja_comments(kind.create.call)}, word for word.",
        "spec:",
        *_aligned([(f"  {name}: {value}", _comment(fields[name])) for name, value in spec.items()]),
        *_commented_out(
            "More fields, each with an example",
            {name: field_schema for name, field_schema in unused.items() if name not in defaulted},
        ),
        *_commented_out("Fields with a default, which stands here", defaulted),
        "",
        "# How it is deployed.",
        "lifecycle:",
        *_aligned([(f"  state: {_inline_yaml(_sample(state, 'state'))}", _comment(state))]),
        *_commented_out(
            "With the default, or an example", {key: lifecycle[key] for key in lifecycle if key != "state"}
        ),
        "",
        *_aligned(
            [
                ("# dependsOn: [another-job]", _comment(schema["dependsOn"])),
                ("# enabled: false", _comment(schema["enabled"])),
            ]
        ),
    ]
    return example.file, "\n".join(lines) + "\n"


def _commented_out(title: str, fields: Mapping[str, Schema]) -> Iterator[str]:
    """Yields lines of fields that are commented out, each for itself; none where there are no fields."""
    if fields:
        yield f'  # {title}; take the "# " before one away to use it:'
    values = {name: _required_part(schema, _sample(schema, name)) for name, schema in fields.items()}
    yield from _aligned(
        [
            (f"  # {_inline_yaml(name)}: {_inline_yaml(value)}", _comment(fields[name]))
            for name, value in values.items()
        ]
    )


def _required_part(schema: Schema, value: Any) -> Any:
    """Returns `value`, reduced to required keys if it is a long mapping."""
    if not isinstance(value, dict) or len(_inline_yaml(value)) <= WIDTH - COLUMN:
        return value
    return {key: value[key] for key in schema.get("required", [*value][:1])}


def _comment(schema: Schema) -> str:
    """Returns the values that a field can have, and the first sentence about it."""
    sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", schema["description"])[0]
    choice = schema.get("enum", ())
    return f"{' | '.join(map(str, choice))}. {sentence}" if len(choice) > 1 else sentence


def _aligned(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yields texts with aligned comments, cut to the width; none where there is hardly room."""
    column = min(COLUMN, max((len(text) for text, _ in pairs), default=0))
    for text, comment in pairs:
        room = WIDTH - len(f"{text:{column}}  # ")
        comment = _without_jinja_comments(comment)
        if len(comment) > room >= LEAST:
            comment = textwrap.shorten(
                comment, room, placeholder=" ...", break_long_words=False, break_on_hyphens=False
            )
        yield f"{text:{column}}  # {comment}" if len(comment) <= room else text


def _sample(schema: Schema, name: str) -> Any:
    """Returns a value that a field could have: its default, an example, or what its type allows."""
    known = [schema.get("default"), *schema.get("examples", ()), *schema.get("enum", ())]
    if any(value is not None for value in known):
        return next(value for value in known if value is not None)
    match schema["type"]:
        case "object":
            inner = schema.get("properties", {"key": {"enum": ["value"]}})
            return {key: _sample(inner[key], key) for key in schema.get("required", [*inner][:1])}
        case "array":
            return [_sample(schema["items"], name)]
        case "boolean":
            return True
        case "integer" | "number":
            return min(max(1, schema.get("minimum", 1)), schema.get("maximum", 1))
        case _:
            return name.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _inline_yaml(value: Any) -> str:
    """Returns a value as YAML in one line, for a template."""
    match value:
        case dict():
            return f"{{{', '.join(f'{_inline_yaml(key)}: {_inline_yaml(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(_inline_yaml, value))}]"
        case str() if _UNQUOTED.fullmatch(value) and resolve(value) == yaml.safe_load(value) == value:
            return value
        case str() if '"' in value and value.isprintable():
            return _without_jinja_comments("'{}'".format(value.replace("'", "''")))
        case _:
            return _without_jinja_comments(json.dumps(value, ensure_ascii=False))


def _without_jinja_comments(text: str) -> str:
    """Escapes text for a template, since Jinja reads comments too. Adds no blanks to be cut at."""
    return re.sub(r"\{\{\w*\}\}|\{[{%#]", lambda match: f'{{{{"{match[0]}"}}}}', text)
