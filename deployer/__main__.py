"""The start of the command `deployer`, also as `python -m deployer`.

`deployer --version` alone is answered here, in the words of click; every other command line is click's.
"""

import os
import sys
from contextlib import suppress

from deployer import __version__

# The verbs that render templates.
_RENDERING = {"validate", "render", "plan", "apply", "status", "logs", "wait", "cancel"}
_HELP = {"-h", "--help"}


def main() -> None:
    """Run the command."""
    if sys.argv[1:] == ["--version"] and "_DEPLOYER_COMPLETE" not in os.environ:
        try:
            print(f"deployer, version {__version__}", flush=True)  # noqa: T201
            return
        except OSError:
            pass  # click says what is wrong
    if _RENDERING.intersection(sys.argv) and not _HELP.intersection(sys.argv):
        # Before all other imports, which take as long as the process to be ready.
        from deployer.errors import DeployerError
        from deployer.templates.process import start_ahead

        with suppress(DeployerError):  # reported when a template needs it
            start_ahead()
    from deployer.cli import main as command  # on use: it takes longer to import than all of the above

    command()


if __name__ == "__main__":
    main()
