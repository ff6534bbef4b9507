"""A local DLI, MRS and IAM: the HTTP API of the services on the loopback interface, stored in SQLite.

Written from the API reference only. It imports nothing from the other packages, so that it is an independent
implementation of how the services behave. A new kind of job is one module with a table of routes and one line in
`routes.py`.
"""

from deployer.emulator.checks import ParameterError
from deployer.emulator.server import Emulator

__all__ = ["Emulator", "ParameterError"]
