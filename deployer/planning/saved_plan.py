"""A saved plan: `plan --out` writes it, and `apply --plan` compares it with its own plan.

The file is untrusted: it may come from a pull request. Nothing in it is ever sent: it can only prevent an apply,
or narrow it to a part of the jobs. It contains no secrets: it masks what a plan masks, and of `--set` it keeps
only the names, since the digest covers the effect of their values.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from deployer import __version__
from deployer.documents import parse
from deployer.documents.atomic import replace_file
from deployer.errors import BadPlanFile, DeployerError, UsageError
from deployer.model import Plan
from deployer.planning.plan_json import FORMAT_VERSION, as_data

MAX_BYTES = 16 * 2**20
MAX_ITEMS = 2_000_000
MAX_DEPTH = parse.MAX_DEPTH + 8  # a value's own depth, and that of its position in a plan
_MAX_ERRORS = 3
_MAX_WORDS = 300
_MAJOR = FORMAT_VERSION.partition(".")[0]


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What `deployer run` was given: NAMEs, values, and the names of its other options."""

    names: tuple[str, ...]
    params: tuple[str, ...]
    flags: tuple[str, ...]
    max_active: int = 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a plan besides the files: `settings` are the names given to --set.

    Values files and paths are relative to the project's folder. No paths: all of the project. `prune` is the value of
    --prune, and `changed_since` the id of the commit that --changed-since compares with.
    """

    project: str
    target: str
    values: tuple[str, ...]
    settings: tuple[str, ...]
    paths: tuple[str, ...]
    select: tuple[str, ...]
    rerun: tuple[str, ...]
    prune: str = ""
    confirm_project: bool = False
    changed_since: str = ""
    run: RunInputs | None = None


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The content of a saved plan. `changes` are those of the JSON plan; `made_by` is a version of deployer."""

    file: str
    inputs: Inputs
    digest: str
    changes: Sequence[Mapping[str, Any]]
    made_by: str


def as_text(inputs: Inputs, plan: Plan) -> str:
    """Return the content of a saved plan: the JSON plan and its inputs; the same plan gives the same text.

    Raises DeployerError if it cannot be written as JSON.
    """
    shown = as_data(plan)
    version = {"format_version": shown.pop("format_version"), "deployer": __version__}
    try:
        return json.dumps({**version, "inputs": _inputs(inputs), **shown}, indent=2, allow_nan=False) + "\n"
    except ValueError:
        raise DeployerError("plan not saved: a live job has a number that JSON cannot represent") from None


def _inputs(inputs: Inputs) -> dict[str, Any]:
    data = asdict(inputs)
    if not inputs.changed_since:
        del data["changed_since"]
    if inputs.run is None:
        del data["run"]
    return data


def destination(file: str, folder: Path, option: str = "--out ", suffix: str = ".json") -> Path:
    """Return where `plan --out`, or another option, writes for a project in `folder`. Raises UsageError.

    A committed symbolic link must not redirect the plan to a file outside the project.
    """
    if file == "-":
        raise UsageError(f"{option}-: expected the name of a file; it is not written to standard output")
    path = Path(os.path.normpath(Path(file).absolute()))
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except (OSError, ValueError) as error:
        raise UsageError(f"{option}{file}: {_os_message(error)}") from None
    if stat.S_ISLNK(mode):
        raise UsageError(f"{option}{file}: is a symbolic link; name the file itself")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{option}{file}: not a regular file")
    if not path.parent.is_dir():
        raise UsageError(f"{option}{file}: folder {path.parent} does not exist")
    if path.is_relative_to(folder):
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{option}{file}: is outside the project after resolving symbolic links")
        if path.suffix in {".yaml", ".yml"}:
            raise UsageError(f"{option}{file}: would be read as a manifest; name it {path.stem}{suffix}")
    return path


def write(path: Path, text: str) -> None:
    """Write the file atomically, readable by its owner only. Raises DeployerError."""
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise DeployerError(f"plan not saved: it is larger than {MAX_BYTES // 2**20} MiB; select fewer jobs")
    try:
        replace_file(path, content, prefix=".plan-")
    except OSError as error:
        raise DeployerError(f"cannot save the plan to {path}: {_os_message(error)}") from None


def _os_message(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or "invalid file name"


def read(file: str) -> SavedPlan:
    """Read a saved plan. Raises UsageError if the file cannot be read, and BadPlanFile if it is invalid."""
    value = _parsed(file, _text(file))
    _require_known_version(file, value)
    if errors := list(islice(_schema_errors(value), _MAX_ERRORS)):
        raise BadPlanFile(f"{file} is not a saved plan: {'; '.join(errors)}")
    raw = value["inputs"]
    inputs = Inputs(
        project=raw["project"],
        target=raw["target"],
        values=tuple(raw["values"]),
        settings=tuple(raw["settings"]),
        paths=tuple(raw["paths"]),
        select=tuple(raw["select"]),
        rerun=tuple(raw["rerun"]),
        changed_since=raw.get("changed_since", ""),
        prune=raw["prune"],
        confirm_project=raw["confirm_project"],
        run=_run(raw["run"]) if "run" in raw else None,
    )
    if inputs.target != value["target"]:
        raise BadPlanFile(f"{file} is not a saved plan: /target and /inputs/target differ")
    for path in inputs.paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
            raise BadPlanFile(f"{file}: path '{truncate(path)}' is outside the project")
    return SavedPlan(file, inputs, value["digest"], value["changes"], value["deployer"])


def _run(raw: Mapping[str, Any]) -> RunInputs:
    return RunInputs(tuple(raw["names"]), tuple(raw["params"]), tuple(raw["flags"]), raw["max_active"])


def _text(file: str) -> str:
    try:
        if not stat.S_ISREG(Path(file).stat().st_mode):
            raise UsageError(f"--plan {file}: not a regular file")
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"--plan {file}: {_os_message(error)}") from None
    if len(content) > MAX_BYTES:
        raise BadPlanFile(f"{file} is not a saved plan: it is larger than {MAX_BYTES // 2**20} MiB")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadPlanFile(f"{file} is not UTF-8 (byte {error.start + 1})") from None


def _parsed(file: str, text: str) -> Any:
    if sum(map(text.count, "[{,")) > MAX_ITEMS:
        # Counted before anything is built: 16 MiB of empty lists would take half a GiB.
        raise BadPlanFile(f"{file} is not a saved plan: it has more than {MAX_ITEMS} items")
    try:
        value = json.loads(
            text, object_pairs_hook=_reject_duplicate_keys, parse_constant=_number, parse_float=_number
        )
    except json.JSONDecodeError as error:
        raise BadPlanFile(f"{file}:{error.lineno}:{error.colno}: invalid JSON: {error.msg}") from None
    except ValueError as error:
        raise BadPlanFile(f"{file}: {truncate(str(error))}") from None
    except RecursionError:
        value = None
    if value is None or _exceeds_depth(value):
        raise BadPlanFile(
            f"{file} is not a saved plan: it is empty, or nested deeper than {MAX_DEPTH} levels"
        )
    return value


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"duplicate key '{truncate(repeated)}'")
    return mapping


def _number(word: str) -> float:
    number = float(word)
    if not isfinite(number):
        raise ValueError(f"{truncate(word)} is not a JSON number, or too large")
    return number


def _exceeds_depth(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [
            container.values() if isinstance(container, dict) else container
            for container in level
            if isinstance(container, dict | list)
        ]
        level = [item for items in inside for item in items]
        if not level:
            return False
    return True


def _require_known_version(file: str, value: Any) -> None:
    version = value.get("format_version") if isinstance(value, dict) else None
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise BadPlanFile(
            f"{file} is not a saved plan: it has no 'format_version' such as \"{FORMAT_VERSION}\""
        )
    if version.partition(".")[0] != _MAJOR:
        made_by = (
            f"by deployer {truncate(made_with)}"
            if isinstance(made_with := value.get("deployer"), str)
            else "by an unknown version"
        )
        raise BadPlanFile(
            f"{file} has format version {version}, created {made_by}; this is deployer {__version__}, which "
            f"supports {_MAJOR}.x. Create a new plan with this version, or apply with that version"
        )


def _schema_errors(value: Any) -> Iterator[str]:
    """Yield schema errors one by one: a hostile file can have very many."""
    from deployer.schema.validate import schema_errors

    for error in schema_errors(value, "Plan"):
        pointer = "".join(f"/{step}" for step in error.absolute_path)
        yield f"{truncate(pointer) or '/'}: {truncate(error.message)}"


def truncate(words: str) -> str:
    """Shorten a string from a saved plan to a length that can be shown."""
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}... ({len(words) - _MAX_WORDS} more)"
