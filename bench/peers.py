"""Other tools that do comparable work on as many files. Those that are not installed are named as absent.

octoDNS: plan of unchanged records, one file a record in its source and in its target; a record has about as many
lines as a manifest. check-jsonschema: validates the
same manifests with deployer's schema. kubectl kustomize: builds the same manifests. terraform: plan of unchanged
resources without a provider to ask, one file a resource.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from bench.processes import Command, environment
from bench.shapes import SHAPES, write


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool. `prepare` writes what it reads, and returns its arguments.

    It is called with a folder, the number of jobs, the tool's program and that of deployer.
    It is not measured with more than `most` jobs, where it would take minutes.
    """

    program: str
    does: str
    prepare: Callable[[Path, int, str, str], list[str]]
    most: int = 1_000_000


def _octodns(folder: Path, jobs: int, _program: str, _deployer: str) -> list[str]:
    for provider in ("source", "target"):
        zone = folder / provider / "bench.test."
        zone.mkdir(parents=True)
        for number in range(jobs):
            name = f"_job-{number:05d}._tcp"
            values = "".join(
                f"  - port: 443\n    priority: {at}\n    target: host-{at}.bench.test.\n    weight: {number}\n"
                for at in range(4)
            )
            text = f"---\n{name}:\n  ttl: 300\n  type: SRV\n  values:\n{values}"
            (zone / f"{name}.yaml").write_text(text)
    (folder / "octodns.yaml").write_text(
        """---
providers:
  source: {class: octodns.provider.yaml.YamlProvider, directory: ./source, split_extension: '.'}
  target: {class: octodns.provider.yaml.YamlProvider, directory: ./target, split_extension: '.'}
zones:
  bench.test.: {sources: [source], targets: [target]}
"""
    )
    return ["--config-file=octodns.yaml"]


def _check_jsonschema(folder: Path, jobs: int, _program: str, deployer: str) -> list[str]:
    write(SHAPES["files"], jobs, folder)
    shown = subprocess.run([deployer, "schema", "show", "SparkBatch"], capture_output=True, check=True)
    (folder / "schema.json").write_bytes(shown.stdout)
    return ["--schemafile", "schema.json", *_names(jobs)]


def _kustomize(folder: Path, jobs: int, _program: str, _deployer: str) -> list[str]:
    write(SHAPES["files"], jobs, folder)
    listed = "".join(f"- {name}\n" for name in _names(jobs))
    (folder / "kustomization.yaml").write_text(f"resources:\n{listed}")
    return ["kustomize", "."]


def _terraform(folder: Path, jobs: int, program: str, _deployer: str) -> list[str]:
    folder.mkdir(parents=True)
    resources = []
    for number in range(jobs):
        name = f"job-{number:05d}"
        arguments = ["--date", "2024-07-04", "--n", f"{number}"]
        values = {
            "args": arguments,
            "className": f"com.example.Job{number}",
            "file": f"obs://prod-bucket/jars/{name}.jar",
        }
        # JSON is also the syntax of these values.
        lines = "".join(f"    {key} = {json.dumps(value)}\n" for key, value in values.items())
        text = f'resource "terraform_data" "{name}" {{\n  input = {{\n{lines}  }}\n}}\n'
        (folder / f"{name}.tf").write_text(text)
        resources.append(_in_state(name, values))
    # As an apply would write it, which takes minutes for 1,000.
    state = {"version": 4, "terraform_version": "1.4.0", "serial": 1, "lineage": str(UUID(int=1))}
    (folder / "terraform.tfstate").write_text(json.dumps({**state, "outputs": {}, "resources": resources}))
    run = [program, "init", "-input=false"]
    subprocess.run(run, cwd=folder, env=environment(), capture_output=True, check=True)
    return ["plan", "-input=false", "-detailed-exitcode", "-no-color"]


def _in_state(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a resource in a state file."""
    types = {
        key: ["tuple", ["string"] * len(value)] if isinstance(value, list) else "string"
        for key, value in values.items()
    }
    typed = {"value": values, "type": ["object", types]}
    attributes = {
        "id": str(uuid5(NAMESPACE_DNS, name)),
        "input": typed,
        "output": typed,
        "triggers_replace": None,
    }
    return {
        "mode": "managed",
        "type": "terraform_data",
        "name": name,
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}],
    }


def _names(jobs: int) -> list[str]:
    return [f"j{number:05d}.yaml" for number in range(jobs)]


PEERS: Mapping[str, Peer] = {
    "octoDNS": Peer("octodns-sync", "plan, unchanged", _octodns),
    "check-jsonschema": Peer("check-jsonschema", "validate", _check_jsonschema),
    "kustomize": Peer("kubectl", "build", _kustomize, most=1000),
    "terraform": Peer("terraform", "plan, unchanged", _terraform, most=1000),
}


def programs(folders: str) -> dict[str, str | None]:
    """Return the program of each peer, found in `folders` or on PATH; None if it is absent."""
    path = os.pathsep.join(filter(None, (folders, os.environ.get("PATH", ""))))
    return {name: shutil.which(peer.program, path=path) for name, peer in PEERS.items()}


def command(name: str, program: str, jobs: int, folder: Path, deployer: str) -> Command:
    """Prepare a peer in a folder, unless that was done before, and return its command."""
    kept = folder / ".arguments"
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)
        kept.write_text("\n".join(PEERS[name].prepare(folder, jobs, program, deployer)))
    return Command(f"{name}, {jobs}", [program, *kept.read_text().splitlines()], folder)
