"""The names of the project and the target for a report on a command that failed, even if deployer.yaml is invalid."""

from __future__ import annotations

from pathlib import Path

from deployer.cli import session
from deployer.cli.options import Options
from deployer.errors import InvalidInput


def project_and_target(options: Options) -> tuple[str, str]:
    """Return the names of the project and the target, those of an invalid project too.

    Raises InvalidInput if its name cannot be read or the target is not named, and UsageError.
    """
    from deployer.project.load import PROJECT_FILE, load

    folder = session.project_folder(options)
    try:
        project = load(folder)
    except InvalidInput as error:
        name, default = _names_in(folder / PROJECT_FILE)
        target = options.target or default
        if not name or not target:
            raise InvalidInput(error.problems, error.folder) from None
        return name, target
    return project.name, project.target(options.target).name


def _names_in(file: Path) -> tuple[str, str]:
    """Return the names of the project and its default target in an invalid file; empty if they cannot be read."""
    import yaml

    try:
        raw = yaml.safe_load(file.read_bytes()[:1_000_000])
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return "", ""
    project = raw if isinstance(raw, dict) else {}
    metadata = project.get("metadata")
    found = (metadata.get("name") if isinstance(metadata, dict) else None, project.get("defaultTarget"))
    name, target = (name if isinstance(name, str) else "" for name in found)
    return name, target
