"""What all changes of one apply share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deployer.apply.journal import Journal
from deployer.clock import StopSignal
from deployer.cloud.client import Client
from deployer.kinds.ownership import Owner
from deployer.project.target import Polling
from deployer.secrets.store import Secrets

LOG_LINES = 10


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """The context that all changes of one apply share."""

    client: Client
    journal: Journal
    secrets: Secrets
    owner: Owner | None = None
    polling: Polling = field(default_factory=Polling)
    stop_signal: StopSignal = field(default_factory=StopSignal)
    say: Callable[[str], object] = str
