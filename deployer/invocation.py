"""The command line that a message advises: copied, it reaches the same project and target from the same folder."""

from __future__ import annotations

import glob
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from deployer.escape import printable
from deployer.model import Identity


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that a command needs to reach a project and target.

    `folder` is the project's, as -C needs it from where the command was started; empty if it is found without.
    `values` are the files of --values as they are named from there, and `settings` the names given to --set:
    their values may be secret. `started_in` is the folder where the command was started.
    """

    target: str = ""
    folder: str = ""
    values: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    started_in: str = ""

    def path(self, file: Path) -> str:
        """Return a file, absolute or from the current folder, as an advised command names it."""
        # `..` leads out of the folder itself, not out of a link to it.
        return os.path.relpath(file.absolute(), Path(self.started_in, self.folder).resolve())

    def command(self, verb: str, *arguments: str) -> str:
        """Return a command line, quoted for a shell."""
        words = ["deployer", verb]
        words += ["-C", self.folder] if self.folder else []
        words += ["-t", self.target] if self.target else []
        for file in self.values:
            words += ["--values", file]
        for name in self.settings:
            words += ["--set", f"{name}=VALUE"]
        return shlex.join([*words, *arguments])

    def for_job(self, verb: str, identity: Identity) -> str:
        """Return a command line that selects one job, or all of its kind if no expression has its name."""
        return self.command(verb, "--select", _expression(identity))


def _expression(identity: Identity) -> str:
    name = identity.name
    # A comma separates terms, which are stripped; and a name that is shown with escapes cannot be copied.
    if "," in name or name != name.strip() or printable(name) != name:
        return f"kind={identity.kind}"
    return f"kind={identity.kind},name={glob.escape(name)}"
