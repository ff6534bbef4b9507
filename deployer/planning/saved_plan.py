"""A plan in a file: what `plan --out` writes, and what `apply --plan` compares its own plan with.

The file may come from a stranger's pull request. Nothing of it is ever sent: it can only refuse an apply, and
narrow it to a part of the jobs. No secret is in it: what a plan masks is masked, and of `--set` only the
names are kept, since the digest covers what their values come to.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from deployer import __version__
from deployer.documents import parse as document
from deployer.errors import BadPlanFile, DeployerError, UsageError
from deployer.model import Plan
from deployer.planning.plan_json import FORMAT_VERSION, as_data

MAX_BYTES = 16 * 2**20
MAX_ITEMS = 2_000_000
MAX_DEPTH = document.MAX_DEPTH + 8  # that of a value, and of where a plan shows it
_MAX_ERRORS = 3
_MAX_WORDS = 300
_MAJOR = FORMAT_VERSION.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a plan besides the files: `settings` are the names given to --set.

    Values files and paths are relative to the project's folder. No paths: all of the project.
    """

    project: str
    target: str
    values: tuple[str, ...]
    settings: tuple[str, ...]
    paths: tuple[str, ...]
    select: tuple[str, ...]
    rerun: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The content of a plan file. `changes` are those of the JSON plan; `made_by` is a version."""

    file: str
    inputs: Inputs
    digest: str
    changes: Sequence[Mapping[str, Any]]
    made_by: str


def as_text(inputs: Inputs, plan: Plan) -> str:
    """Returns the content of a plan file: the JSON plan, and what it was made of.

    The same plan, the same text.

    Raises DeployerError where it cannot be written as JSON.
    """
    shown = as_data(plan)
    version = {"format_version": shown.pop("format_version"), "deployer": __version__}
    try:
        return json.dumps({**version, "inputs": asdict(inputs), **shown}, indent=2, allow_nan=False) + "\n"
    except ValueError:
        raise DeployerError(
            "a live job shows a number that JSON has not, so the plan was not saved"
        ) from None


def destination(file: str, folder: Path) -> Path:
    """Returns where `plan --out` writes for a project in `folder`. Raises UsageError.

    A link that somebody committed must not lead the plan out of the project.
    """
    path = Path(os.path.normpath(Path(file).absolute()))
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except (OSError, ValueError) as error:
        raise UsageError(f"--out {file}: {_why(error)}") from None
    if stat.S_ISLNK(mode):
        raise UsageError(f"--out {file}: it is a symbolic link; name the file itself")
    if not stat.S_ISREG(mode):
        raise UsageError(f"--out {file}: it is not a file")
    if not path.parent.is_dir():
        raise UsageError(f"--out {file}: there is no folder {path.parent}")
    if path.is_relative_to(folder):
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"--out {file}: leads out of the project through a symbolic link")
        if path.suffix in {".yaml", ".yml"}:
            raise UsageError(f"--out {file}: it would be read as a manifest; call it {path.stem}.json")
    return path


def write(path: Path, text: str) -> None:
    """Writes a whole file or none, which only its owner can read. Raises DeployerError."""
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise DeployerError(
            f"the plan is larger than {MAX_BYTES // 2**20} MiB, so it was not saved; select a part of it"
        )
    try:
        descriptor, name = tempfile.mkstemp(prefix=".plan-", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DeployerError(f"the plan cannot be saved in {path}: {_why(error)}") from None
    # The new name is to outlive a power failure too, where folders can be synced.
    with contextlib.suppress(OSError):
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or "this is not a file name"


def read(file: str) -> SavedPlan:
    """Reads a plan file. Raises UsageError where there is none, and BadPlanFile for what is wrong in it."""
    value = _parsed(file, _text(file))
    _require_known_version(file, value)
    if errors := list(islice(_schema_errors(value), _MAX_ERRORS)):
        raise BadPlanFile(f"{file} is not a plan: {'; '.join(errors)}")
    raw = value["inputs"]
    inputs = Inputs(
        project=raw["project"],
        target=raw["target"],
        values=tuple(raw["values"]),
        settings=tuple(raw["settings"]),
        paths=tuple(raw["paths"]),
        select=tuple(raw["select"]),
        rerun=tuple(raw["rerun"]),
    )
    if inputs.target != value["target"]:
        raise BadPlanFile(f"{file} is not a plan: /target and /inputs/target differ")
    for path in inputs.paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
            raise BadPlanFile(f"{file}: the path '{truncate(path)}' leads out of the project")
    return SavedPlan(file, inputs, value["digest"], value["changes"], value["deployer"])


def _text(file: str) -> str:
    try:
        if not stat.S_ISREG(Path(file).stat().st_mode):
            raise UsageError(f"--plan {file}: it is not a file")
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"--plan {file}: {_why(error)}") from None
    if len(content) > MAX_BYTES:
        raise BadPlanFile(f"{file} is larger than {MAX_BYTES // 2**20} MiB, which no plan is")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadPlanFile(f"{file} is not UTF-8 (byte {error.start + 1})") from None


def _parsed(file: str, text: str) -> Any:
    if sum(map(text.count, "[{,")) > MAX_ITEMS:
        # Counted before anything is built: 16 MiB of empty lists would take half a GiB.
        raise BadPlanFile(f"{file} holds more than {MAX_ITEMS} items, which no plan does")
    try:
        value = json.loads(
            text, object_pairs_hook=_reject_duplicate_keys, parse_constant=_number, parse_float=_number
        )
    except json.JSONDecodeError as error:
        raise BadPlanFile(f"{file}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}") from None
    except ValueError as error:
        raise BadPlanFile(f"{file}: {truncate(str(error))}") from None
    except RecursionError:
        value = None
    if value is None or _exceeds_depth(value):
        raise BadPlanFile(f"{file} is not a plan: it is empty, or nested deeper than {MAX_DEPTH} levels")
    return value


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key '{truncate(repeated)}' stands twice in one object")
    return mapping


def _number(word: str) -> float:
    number = float(word)
    if not isfinite(number):
        raise ValueError(f"{truncate(word)} is not a number in JSON, or too large")
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
        raise BadPlanFile(f"{file} is not a plan: it has no 'format_version' such as \"{FORMAT_VERSION}\"")
    if version.partition(".")[0] != _MAJOR:
        made_by = (
            f"by deployer {truncate(made_with)}"
            if isinstance(made_with := value.get("deployer"), str)
            else "by an unknown one"
        )
        raise BadPlanFile(
            f"{file} has format version {version}, made {made_by}; this is deployer {__version__}, which "
            f"knows {_MAJOR}.x. Plan again with this version, or apply with that one"
        )


def _schema_errors(value: Any) -> Iterator[str]:
    """Yields schema errors one by one: a hostile file can have very many."""
    from deployer.schema.files import stored
    from deployer.schema.validate import Validator

    text = stored("Plan.schema.json")
    if text is None:
        raise FileNotFoundError("the schema Plan.schema.json is missing; run 'deployer schema generate'")
    for error in Validator(json.loads(text)).iter_errors(value):
        pointer = "".join(f"/{step}" for step in error.absolute_path)
        yield f"{truncate(pointer) or '/'}: {truncate(error.message)}"


def truncate(words: str) -> str:
    """Returns words that a plan file chose, at a length that can be shown."""
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}..."
