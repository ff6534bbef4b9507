"""The least that a verb has to do, as commands: `floor.py yaml FOLDER` and `floor.py listing URL`.

The first reads the files of a folder and lets libyaml parse them, without building values; the second fetches and
decodes a listing of Spark batches, over one connection.
"""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

PROJECT = "48cc2c48765f481480c7db940d6409d1"
PAGE = 100


def parse_files(folder: Path) -> int:
    """Return the number of parser events in all YAML files of a folder."""
    import yaml

    loader: Any = yaml.CSafeLoader
    return sum(1 for file in folder.glob("*.yaml") for _ in yaml.parse(file.read_text(), loader))


def fetch_listing(host: str) -> int:
    """Return the number of entries that a listing has."""
    connection = http.client.HTTPConnection(host)
    found, total = 0, 1
    while found < total:
        path = f"/v2.0/{PROJECT}/batches?from={found}&size={PAGE}"
        connection.request("GET", path, headers={"X-Auth-Token": "bench"})
        page = json.loads(connection.getresponse().read())
        found, total = found + max(1, len(page["sessions"])), page["total"]
    return found


if __name__ == "__main__":
    what, where = sys.argv[1:]
    number = parse_files(Path(where)) if what == "yaml" else fetch_listing(where.removeprefix("http://"))
    sys.stdout.write(f"{number}\n")
