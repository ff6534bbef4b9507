"""What `import` writes, sent again, is what was sent first; or a comment in the file names the difference."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import Row
from deployer.planning.diff import normalize
from testing.faults import FaultProxy
from testing.live import CREATE, create
from testing.slow import sampled
from testing.workspace import Clock, Workspace

from .test_round_trip import allowed, objects, settings_texts, texts

TEXTS = ("runtime_config", "flink_log_config")
# What the emulator adds to a list of settings, as the service does; a comment says that there may be such an entry.
ADDED = {"key": "emulator.filled.in", "value": "true"}

scalars = texts | st.booleans() | st.none() | st.integers(-9, 9)
pairs = st.lists(
    st.fixed_dictionaries({"key": texts}, optional={"value": scalars, "note": texts}), max_size=3
)
lines = st.lists(st.from_regex(r"[a-c]{1,2} ?= ?[a-z=]{0,3}", fullmatch=True), max_size=3).map("\n".join)
any_settings = (
    settings_texts
    | lines
    | texts
    | (pairs | st.dictionaries(texts, scalars | st.dictionaries(texts, scalars, max_size=2), max_size=3)).map(
        json.dumps
    )
)
SQL = [
    "--hivevar",
    "x=1",
    "-e",
    "select a, b from t; select 1;",
    "-- c, d\nselect 1",
    "set x=1;",
    "a",
    "--x, y",
]
statements = st.lists(st.sampled_from(SQL), min_size=1, max_size=4)


def sent_again(shop: Workspace, proxy: FaultProxy, kind: Kind) -> dict[str, dict[str, Any]]:
    """The requests that create the imported jobs where there are none, by name: as if nothing were adopted."""
    for path in (shop.folder / "imported").glob("*.yaml"):
        text = path.read_text()
        before, lifecycle, after = text.partition("\nlifecycle:\n")
        assert lifecycle
        # Below it are indented lines; a waiver may follow them.
        path.write_text(before + "\n" + re.sub(r"\A(?: .*\n|\n)*", "", after))
    proxy.clear()
    applied = shop.apply()
    assert applied.code == 0, applied.err
    created = re.compile(CREATE[kind.name].replace("pid", "[^/]+").format(cluster_id="[^/]+"))
    made = [call.json for call in proxy.calls if call.method == "POST" and created.fullmatch(call.path)]
    return {body[kind.name_field]: body for body in made}


def meaning(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A request by the reference's names, without what is as if it had not been sent."""
    same = {row.name: row.same_as for row in kind.rows if row.same_as}
    spec = {same.get(name, name): value for name, value in kind.in_reference_spelling(body).items()}
    for name in TEXTS:
        if name in spec:
            spec[name] = without_added(spec[name])
    if kind.name == "MrsJob" and spec.get("arguments") == [""]:
        spec["arguments"] = []  # Java prints both alike
    unset: tuple[Any, ...] = (None, "", [], {})
    rows = {row.name: row for row in kind.rows}
    return {
        name: value
        for name, value in spec.items()
        if value not in unset
        and not (name in rows and (value == rows[name].default or is_all_default(rows[name], value)))
    }


def is_all_default(row: Row, value: Any) -> bool:
    """Whether an object has nothing but defaults."""
    return bool(row.fields) and isinstance(value, dict) and normalize(row, value) is None


def without_added(text: str) -> Any:
    """The data of a JSON string, in which spaces do not matter; any other string as it is."""
    try:
        data = json.loads(text)
    except ValueError:
        return text
    return [item for item in data if item != ADDED] if isinstance(data, list) else data


def comments(text: str) -> str:
    return " ".join(
        line.strip().removeprefix("#") for line in text.splitlines() if line.strip().startswith("#")
    )


@pytest.mark.parametrize("kind", sampled(KINDS.values(), 4), ids=KINDS)
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_field_is_lost_silently(
    kind: Kind, data: st.DataObject, workspace: Workspace, proxy: FaultProxy, clock: Clock
) -> None:
    clock.forward(100_000)
    workspace.project["marks"] = False
    workspace.write_project(clusters={"reports": "c-1"})
    specs: dict[str, dict[str, Any]] = {}
    for number in range(5):
        spec = allowed(kind, data.draw(objects(kind.rows), label="spec"))
        for name in TEXTS:
            if name in spec:
                spec[name] = data.draw(any_settings, label=name)
        if spec.get("job_type") in {"HiveSql", "SparkSql"}:
            spec["arguments"] = data.draw(statements, label="arguments")
        specs[f"job-{clock.now:.0f}-{number}"] = spec
    for name, spec in specs.items():
        create(proxy.upstream, kind.name, name, kind.in_reference_spelling(spec))
    shutil.rmtree(workspace.folder / "imported", ignore_errors=True)
    ran = workspace.run("import", f"job-{clock.now:.0f}-*", "--kind", kind.name)
    assert ran.code == 0, ran.err

    written = {path.stem: path.read_text() for path in (workspace.folder / "imported").glob("*.yaml")}
    assert written.keys() == specs.keys()
    # What became a secret is named as such, and has another value here.
    hidden = [name for name, text in written.items() if "secret(" in text]
    assert len(hidden) < len(written)
    for name in hidden:
        (workspace.folder / "imported" / f"{name}.yaml").unlink()
    # A project of the service without jobs.
    workspace.write_project(clusters={"reports": "c-1"}, projectId=f"empty{clock.now:.0f}")
    again = sent_again(workspace, proxy, kind)
    assert again.keys() == written.keys() - {*hidden}
    for name, body in again.items():
        first = meaning(kind, {**specs[name], kind.name_field: name})
        other = meaning(kind, {**body, **{field: specs[name][field] for field in kind.path_fields}})
        differing = {field for field in first.keys() | other.keys() if first.get(field) != other.get(field)}
        named = comments(written[name])
        lost = {field for field in differing if not re.search(rf"\b{field}\b", named)}
        assert lost == set(), (first, other, written[name])


def test_what_is_compared() -> None:
    kind = KINDS["FlinkJar"]
    sent = {"name": "a", "desc": "", "cu_number": 2, "runtime_config": json.dumps([{"key": "a"}, ADDED])}
    assert meaning(kind, sent) == {"name": "a", "runtime_config": [{"key": "a"}]}
    assert meaning(kind, {**sent, "cu_number": 3})["cu_number"] == 3
    assert comments("# one\na: 1 # no\n  # two\n") == " one  two"
