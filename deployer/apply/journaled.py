"""What all changes of one apply share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deployer.apply.journal import Journal
from deployer.clock import Halt
from deployer.cloud.client import Client
from deployer.kinds.ownership import Owner
from deployer.project.target import Patience
from deployer.secrets.store import Secrets

LOG_LINES = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """What all changes of one apply share."""

    client: Client
    journal: Journal
    secrets: Secrets
    owner: Owner | None = None
    patience: Patience = field(default_factory=Patience)
    halt: Halt = field(default_factory=Halt)
    say: Callable[[str], object] = str
