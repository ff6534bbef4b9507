"""What all files of one run together may take: a limit on each file does not end a run over many of them.

The largest known projects have 10,000 jobs of about 30 values, in 5,000 files or in a few with `forEach`.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.errors import Code, Problem
from deployer.model import Location

MAX_INSTANCES = 100_000
MAX_DOCUMENTS = 100_000
MAX_VALUES = 2_000_000
# As sent to the template renderer and received from it, with the locations.
MAX_BYTES = 128 * 2**20
MAX_PROBLEMS = 20_000
# Other problems that are shown beside that of an exceeded limit.
MAX_BESIDE = 50
# CPU time of the template renderer. It scales with the files, as instances of forEach are cheap to ask for: 10,000
# usual ones take 0.3 s.
SECONDS = 10.0
SECONDS_PER_FILE = 0.02


@dataclass(slots=True)
class Budget:
    """What a run has used so far. `exceeded` is the problem of the first limit that it went over."""

    files: int = 0
    instances: int = 0
    documents: int = 0
    values: int = 0
    size: int = 0
    problems: int = 0
    seconds: float = 0.0
    exceeded: Problem | None = None

    def spend(
        self,
        location: Location,
        *,
        files: int = 0,
        instances: int = 0,
        documents: int = 0,
        values: int = 0,
        size: int = 0,
        problems: int = 0,
        seconds: float = 0.0,
    ) -> Problem | None:
        """Add what the text at `location` uses, and return `exceeded`: then nothing more should be read."""
        self.files += files
        self.instances += instances
        self.documents += documents
        self.values += values
        self.size += size
        self.problems += problems
        self.seconds += seconds
        if self.exceeded is None and (words := self._words()):
            self.exceeded = Problem(location, f"{words}; the rest was not read", Code.TEMPLATE_LIMIT)
        return self.exceeded

    def _words(self) -> str:
        """Return which limit is exceeded; empty if none."""
        allowed = SECONDS + SECONDS_PER_FILE * self.files
        if self.seconds > allowed:
            return f"the templates of this run exceed {allowed:.0f} s of CPU time"
        for used, most, what in (
            (self.instances, MAX_INSTANCES, "forEach instances"),
            (self.documents, MAX_DOCUMENTS, "manifests"),
            (self.values, MAX_VALUES, "values after alias expansion and defaults"),
            (self.problems, MAX_PROBLEMS, "problems"),
        ):
            if used > most:
                return f"this run has more than {most} {what}"
        if self.size > MAX_BYTES:
            return f"the rendered text of this run exceeds {MAX_BYTES // 2**20} MiB"
        return ""
