"""A local DLI, MRS and IAM: the services' HTTP API on loopback, with SQLite behind it.

Written from the API reference alone. It imports nothing of the rest of the package, so that it is a
second opinion on how the services behave, not an echo of the first. A new kind of job is one module
with a table of routes and one line in `routes.py`.
"""

from deployer.emulator.checks import ParameterError
from deployer.emulator.server import Emulator

__all__ = ["Emulator", "ParameterError"]
