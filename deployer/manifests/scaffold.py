"""The files that start a project: deployer.yaml, values, a commented manifest per kind, a CI file, editor settings.

Their text is in `starter/`. The comments about fields come from the kind's table, so that they stay current:
only the values of `starter/examples.yaml` are maintained by hand.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import yaml

from deployer.documents.scalars import resolve
from deployer.errors import DeployerError, UsageError, nearest
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import load_yaml
from deployer.project.load import PROJECT_FILE, STATE_FOLDER
from deployer.schema.manifest import manifest_schema
from deployer.schema.parts import Schema
from deployer.schema.project import project_schema
from deployer.schema.stored import EDITOR_FILES, editor_files

WIDTH = 110
COMMENT_COLUMN = 44  # the column of comments after fields, if the fields are short enough
MIN_COMMENT = 24  # the minimum width of a shortened comment
GITIGNORE = ".gitignore"
CI_OUTPUT = "deployer-output"  # the default of DEPLOYER_OUTPUT
SCHEMAS = "schemas"
# The settings of VS Code: the copy of the schemas that is in the repository works on every machine.
VSCODE_SETTINGS = ".vscode/settings.json"
VSCODE_EXTENSIONS = ".vscode/extensions.json"
# Existing ones are kept, as a folder has them without being a project.
KEPT = (GITIGNORE, VSCODE_SETTINGS, VSCODE_EXTENSIONS)
_MANIFEST_SCHEMA, _PROJECT_SCHEMA = (f"{SCHEMAS}/{file}" for file in EDITOR_FILES.values())
# What a project reads as manifests.
_MANIFEST_GLOBS = (
    "*.yaml",
    "*.yml",
    f"!{PROJECT_FILE}",
    "!values/**",
    "!**/.*",
    "!**/.*/**",
    "!**/_*",
    "!**/_*/**",
)
VALUES_FILES = ("values/common.yaml", "values/local.yaml", "values/prod.yaml")
CI_FILES: Mapping[str, Mapping[str, str]] = {
    "github": {
        ".github/workflows/deployer.yml": "github.yaml",
        ".github/workflows/nightly.yml": "github-nightly.yaml",
    },
    "gitlab": {".gitlab-ci.yml": "gitlab.yaml"},
    "none": {},
}

# Each job of a CI has a folder of its own: .deployer/ in it keeps no two of them apart.
_STATE = """\
# One apply at a time, on all machines that push to this repository: the lock and the journal are stored in it, in
# refs/deployer/. A host that accepts only branches needs {git: {branch: deployer-state}} instead.
state: git
"""

# A string that needs no quotes, if it does not look like a number or a boolean.
_UNQUOTED = re.compile(r"(?=.*[A-Za-z])[\w/][\w./-]*( [\w./-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Example:
    """A starter manifest: `spec` has the common fields, each value as text for a template."""

    file: str
    name: str
    spec: Mapping[str, str] = field(default_factory=dict)


@cache
def examples() -> Mapping[str, Example]:
    """Read the starter manifest of each kind that has one."""
    raw = load_yaml(_starter("examples.yaml"))
    return {
        kind: Example(
            row["file"], row["name"], dict(line.split(": ", 1) for line in row["spec"].splitlines())
        )
        for kind, row in raw.items()
    }


def files(name: str, kinds: Sequence[str], ci: str) -> dict[str, str]:
    """Return the text of each file of a new project, in reading order. Raises UsageError."""
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"unknown kind '{unknown[0]}'{nearest(unknown[0], list(KINDS))}")
    pattern = project_schema()["properties"]["metadata"]["properties"]["name"]["pattern"]
    if not re.fullmatch(pattern, name):
        raise UsageError(f"'{name}' is not a valid project name; expected {pattern}")
    manifests = dict(_manifest(kind) for kind in KINDS.values() if kind.name in kinds)
    used = set(re.findall(r"\{\{ (\w+) \}\}", "".join(manifests.values())))
    values = {file: _used_values(_starter(file), used) for file in VALUES_FILES}
    state = _STATE if CI_FILES[ci] else ""
    project = {
        PROJECT_FILE: Template(_starter("deployer.yaml")).substitute(
            modeline=_modeline(PROJECT_FILE, _PROJECT_SCHEMA), name=_inline(name), state=state
        )
    }
    pipeline = {
        file: _starter(template).replace("deployer-PROJECT-", f"deployer-{name}-")
        for file, template in CI_FILES[ci].items()
    }
    ignored = {GITIGNORE: f"# State of deployer.\n{STATE_FOLDER}/\n# Written by deployer-ci.\n{CI_OUTPUT}/\n"}
    return {**project, **values, **manifests, **pipeline, **ignored, **_for_editors()}


def _for_editors() -> dict[str, str]:
    """Return the schemas for editors and the settings of VS Code that name them."""
    settings = {
        "yaml.schemas": {f"./{_PROJECT_SCHEMA}": [PROJECT_FILE], f"./{_MANIFEST_SCHEMA}": [*_MANIFEST_GLOBS]}
    }
    extensions = {"recommendations": ["redhat.vscode-yaml"]}
    return {
        **{f"{SCHEMAS}/{file}": text for file, text in editor_files().items()},
        VSCODE_SETTINGS: json.dumps(settings, indent=2) + "\n",
        VSCODE_EXTENSIONS: json.dumps(extensions, indent=2) + "\n",
    }


def manifest_modeline(folder: Path, file: str) -> str:
    """Return the line for the top of a new manifest in a project; empty if the project has no schema for editors."""
    has_schema = (folder / _MANIFEST_SCHEMA).is_file()
    return f"{_modeline(file, _MANIFEST_SCHEMA)}\n" if has_schema else ""


def _modeline(file: str, schema: str) -> str:
    """Return the comment by which an editor finds the schema of a file."""
    return f"# yaml-language-server: $schema={posixpath.relpath(schema, posixpath.dirname(file) or '.')}"


def project_name(folder: str) -> str:
    """Derive the name of a project from that of its folder."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:64] or "jobs"


def write(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write all files or none, and return those written: an existing .gitignore, and those of VS Code, are kept.

    Raises UsageError with all other existing files, DeployerError when one cannot be written.
    """
    missing = [file for file in texts if not os.path.lexists(folder / file)]
    if taken := [str(folder / file) for file in texts if file not in (*missing, *KEPT)]:
        raise UsageError(f"no files written; files already exist: {', '.join(taken)}")
    created: list[Path] = []
    path = folder
    try:
        for file in missing:
            path = folder / file
            for parent in reversed(path.parents):
                if not parent.exists():
                    parent.mkdir()
                    created.append(parent)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                created.append(path)
                stream.write(texts[file])
    except BaseException as error:
        for created_path in reversed(created):
            with suppress(OSError):
                created_path.rmdir() if created_path.is_dir() else created_path.unlink()
        if isinstance(error, OSError):
            message = f"cannot write {path}: {error.strerror}; no files written"
            raise DeployerError(message) from None
        raise
    return missing


def _manifest(kind: Kind) -> tuple[str, str]:
    """Return the file and the text of a kind's manifest."""
    lower = kind.name.lower()
    derived = Example(f"{kind.service}/{lower}.yaml", kind.name_row.example or lower)
    example = examples().get(kind.name, derived)
    schema = manifest_schema(kind)["properties"]
    metadata, fields, lifecycle = (schema[part]["properties"] for part in ("metadata", "spec", "lifecycle"))
    rows = [row for row in kind.rows if not row.deprecated and not row.same_as]
    required = {row.name: _inline(_sample(fields[row.name], row.name)) for row in rows if row.required}
    spec = dict(example.spec) | {name: value for name, value in required.items() if name not in example.spec}
    unused = {row.name: fields[row.name] for row in rows if row.name not in spec}
    with_default = {name: field for name, field in unused.items() if field.get("default") is not None}
    without_default = {name: field for name, field in unused.items() if name not in with_default}
    state = lifecycle["state"]
    text = Template(_starter("manifest.yaml")).substitute(
        modeline=_modeline(example.file, _MANIFEST_SCHEMA),
        kind=kind.name,
        title=kind.title,
        call=_escaped(kind.create.call),
        metadata=_lines(
            _aligned(
                [
                    (f"  name: {_inline(example.name)}", _comment(metadata["name"])),
                    ('  labels: {team: "{{ team }}"}', _comment(metadata["labels"])),
                ]
            )
        ),
        spec=_lines(
            _aligned([(f"  {name}: {value}", _comment(fields[name])) for name, value in spec.items()]),
            _commented_out("Optional fields with an example", without_default),
            _commented_out("Optional fields with their defaults", with_default),
        ),
        lifecycle=_lines(
            _aligned([(f"  state: {_inline(_sample(state, 'state'))}", _comment(state))]),
            _commented_out(
                "Optional fields with their default or an example",
                {name: field for name, field in lifecycle.items() if name != "state"},
            ),
        ),
        others=_lines(
            _aligned(
                [
                    ("# dependsOn: [another-job]", _comment(schema["dependsOn"])),
                    ("# enabled: false", _comment(schema["enabled"])),
                ]
            )
        ),
    )
    return example.file, text


def _starter(name: str) -> str:
    """Read a file of `starter/`."""
    return resources.files("deployer.manifests").joinpath("starter", name).read_text(encoding="utf-8")


def _used_values(text: str, used: Collection[str]) -> str:
    """Return a values file without the lines of values that no manifest uses."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("#") or line.partition(":")[0] in used)


def _lines(*groups: Iterable[str]) -> str:
    return "\n".join(line for group in groups for line in group)


def _commented_out(title: str, fields: Mapping[str, Schema]) -> Iterator[str]:
    """Yield the lines of commented-out fields; none if there are no fields."""
    if fields:
        yield f"  # {title}; uncomment a line to use it:"
    values = {name: _required_part(schema, _sample(schema, name)) for name, schema in fields.items()}
    yield from _aligned(
        [(f"  # {_inline(name)}: {_inline(value)}", _comment(fields[name])) for name, value in values.items()]
    )


def _required_part(schema: Schema, value: Any) -> Any:
    """Return `value`, a long mapping with its required keys only."""
    if not isinstance(value, dict) or len(_inline(value)) <= WIDTH - COMMENT_COLUMN:
        return value
    return {key: value[key] for key in schema.get("required", [*value][:1])}


def _comment(schema: Schema) -> str:
    """Return the allowed values of a field, and the first sentence of its description."""
    sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", schema["description"])[0]
    choice = schema.get("enum", ())
    return f"{' | '.join(map(str, choice))}. {sentence}" if len(choice) > 1 else sentence


def _aligned(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield texts with comments after them, shortened to the width; without a comment if there is too little room."""
    column = min(COMMENT_COLUMN, max((len(text) for text, _ in pairs), default=0))
    for text, comment in pairs:
        room = WIDTH - len(f"{text:{column}}  # ")
        comment = _escaped(comment)
        if len(comment) > room >= MIN_COMMENT:
            comment = textwrap.shorten(
                comment, room, placeholder=" ...", break_long_words=False, break_on_hyphens=False
            )
        yield f"{text:{column}}  # {comment}" if len(comment) <= room else text


def _sample(schema: Schema, name: str) -> Any:
    """Return a valid value of a field: its default, an example, or one that its type allows."""
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


def _inline(value: Any) -> str:
    """Return a value as YAML in one line, for a template."""
    match value:
        case dict():
            return f"{{{', '.join(f'{_inline(key)}: {_inline(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case str() if _UNQUOTED.fullmatch(value) and resolve(value) == yaml.safe_load(value) == value:
            return value
        case str() if '"' in value and value.isprintable():
            return _escaped("'{}'".format(value.replace("'", "''")))
        case _:
            return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    """Escape `text` for a template, as Jinja evaluates comments too. Adds no spaces to break lines at."""
    return re.sub(r"\{\{\w*\}\}|\{[{%#]", lambda match: f'{{{{"{match[0]}"}}}}', text)
