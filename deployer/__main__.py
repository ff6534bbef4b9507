"""The start of the command `deployer`, also as `python -m deployer`.

`deployer --version` alone is answered here, in the words of click; every other command line is click's.
"""

import os
import sys

from deployer import __version__


def main() -> None:
    """Run the command."""
    if sys.argv[1:] == ["--version"] and "_DEPLOYER_COMPLETE" not in os.environ:
        try:
            print(f"deployer, version {__version__}", flush=True)  # noqa: T201
            return
        except OSError:
            pass  # click says what is wrong
    from deployer.cli import main as command  # on use: it takes longer to import than all of the above

    command()


if __name__ == "__main__":
    main()
