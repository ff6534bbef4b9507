"""Whatever a definition and the values of a run are: what is read back is what was sent, or it is not told.

Definitions are random: dates in other forms, repeated and adjacent parameters, secrets, variables of DLI and filters.
Half of the runs go through the text that Java prints for MRS. A run may be of an older definition, or damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from deployer import secrets
from deployer.kinds.kind import expect_as_sent
from deployer.kinds.mrs_job import expect as expect_of_mrs
from deployer.kinds.mrs_job import observe as observe_mrs
from deployer.kinds.printed_list import printed
from deployer.kinds.spark_batch import observe as observe_batch
from deployer.model import LiveJob, Parameter, ParameterType, Phase
from deployer.parameters import reading
from deployer.parameters.layout import layout
from deployer.parameters.reading import NotTold, Told
from deployer.parameters.references import Use, concrete, deferred_reference, reference, uses
from deployer.parameters.types import is_value, width
from deployer.secrets.compare import align_references
from deployer.secrets.store import Secrets, SecretSource

EXAMPLES = 150

PARAMETERS = {
    "date": Parameter("date", ParameterType.DATE),
    "month": Parameter("month", ParameterType.MONTH),
    "hour": Parameter("hour", ParameterType.HOUR),
    "n": Parameter("n", ParameterType.INTEGER),
    "who": Parameter("who", ParameterType.TEXT),
    "code": Parameter("code", ParameterType.TEXT, pattern="[A-Z]{1,3}"),
    "region": Parameter("region", ParameterType.VALUES, ("nort", "north", "north-1", "south")),
    "size": Parameter("size", ParameterType.VALUES, ("10", "20", "30")),
    "city": Parameter("city", ParameterType.VALUES, ("new", "new york", "york", "a,b", "x=y")),
}
ALPHABET = "ab1-_.:/=+@,"
DATES = st.dates().map(lambda day: day.isoformat())
VALUES: Mapping[str, st.SearchStrategy[str]] = {
    "date": DATES,
    "month": DATES.map(lambda text: text[:7]),
    "hour": st.builds(lambda text, hour: f"{text}T{hour:02}", DATES, st.integers(0, 23)),
    "n": st.integers(-120, 12_000).map(str),
    "who": st.text("ab1-_.:/=+@", min_size=1, max_size=6).filter(
        lambda text: is_value(PARAMETERS["who"], text)
    ),
    "code": st.text("AB", min_size=1, max_size=3),
    "region": st.sampled_from(PARAMETERS["region"].values),
    "size": st.sampled_from(PARAMETERS["size"].values),
    "city": st.sampled_from(PARAMETERS["city"].values),
}
FORMS = ("%Y%m%d", "%Y/%m/%d", "dt=%d.%m.%Y", "%Y-%j", "%Y%m", "%d", "%j%Y%j")
SECRET = {"S": SecretSource("S"), "T": SecretSource("T")}

literals = st.text(ALPHABET + " ", max_size=5) | st.sampled_from(
    ["--date=", "dt=", " WHERE day = '", "'", ", ", "x"]
)


def use(name: str) -> st.SearchStrategy[str]:
    plain = st.just(reference(name))
    if name != "date":
        return plain
    return plain | st.builds(
        lambda form, days: Use(name, form, days).mark, st.sampled_from(FORMS), st.integers(-3, 40)
    )


def pieces(names: list[str]) -> st.SearchStrategy[str]:
    params = st.one_of(*map(use, names))
    others = st.sampled_from([secrets.reference("S"), secrets.reference("T"), "{{lane}}"])
    filtered = st.builds(
        lambda name, before, text: deferred_reference(name, before + text),
        st.sampled_from([*secrets.FILTERS]),
        st.text("ab ,", max_size=3),
        params,
    )
    in_secret = st.builds(
        lambda text: secrets.deferred_reference("b64encode", text + secrets.reference("S")), params
    )
    return st.one_of(literals, literals, params, params, params, others, filtered, in_secret)


def scalars(names: list[str]) -> st.SearchStrategy[str]:
    return st.lists(pieces(names), min_size=1, max_size=4).map("".join)


@st.composite
def definitions(draw: st.DrawFn) -> tuple[dict[str, Parameter], dict[str, Any], dict[str, str]]:
    """Return parameters, the arguments and the settings of a definition, and the values of a run."""
    names = draw(st.lists(st.sampled_from([*PARAMETERS]), min_size=1, max_size=3, unique=True))
    items = draw(st.lists(scalars(names), min_size=1, max_size=5))
    conf = draw(st.dictionaries(st.sampled_from(["spark.a", "spark.b"]), scalars(names), max_size=1))
    values = {name: draw(VALUES[name]) for name in names}
    return {name: PARAMETERS[name] for name in names}, {"args": items, "conf": conf}, values


def sent(spec: Any, values: Mapping[str, str], own: Mapping[str, str]) -> Any:
    """Return what a run of a definition sends, secrets and all."""
    environment = {f"DEPLOYER_SECRET_{name}": value for name, value in own.items()}
    return Secrets(SECRET, environment, Path()).filled(concrete(spec, values))


def batch(spec: Mapping[str, Any]) -> LiveJob:
    body = {"file": "a.py", "queue": "q", "name": "n", **spec}
    return observe_batch(
        {"id": "1", "name": "n", "queue": "q", "state": "success", "req_body": json.dumps(body)}
    )


def mrs(spec: Mapping[str, Any]) -> LiveJob:
    pairs = ", ".join(f"{key}={value}" for key, value in spec["properties"].items())
    return observe_mrs(
        {
            "job_id": "1",
            "job_name": "n",
            "job_type": "HiveSql",
            "job_state": "FINISHED",
            "arguments": printed(spec["arguments"]),
            "properties": f"{{{pairs}}}",
        }
    )


def as_mrs(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"job_type": "HiveSql", "arguments": spec["args"], "properties": spec["conf"]}


def read(spec: Any, parameters: Mapping[str, Parameter], live: LiveJob, *, of_mrs: bool) -> Told | NotTold:
    assert live.spec is not None
    expect = expect_of_mrs if of_mrs else expect_as_sent
    return reading.read(spec, parameters, live.spec, live.unobserved, expect)


def is_readable(spec: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> bool:
    """Return whether each parameter has a readable place, as a manifest must have."""
    found = {name for _, text in reading.texts(spec) for name in layout(text, parameters).names}
    return found == {*parameters}


secret_values = st.fixed_dictionaries(
    {"S": st.text(ALPHABET, min_size=1, max_size=6), "T": st.text("ab1", min_size=1, max_size=4)}
)
SLOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def in_calendar(spec: Any, values: Mapping[str, str]) -> None:
    try:
        concrete(spec, values)
    except ValueError:
        assume(False)


@SLOW
@given(definitions(), secret_values, st.booleans())
def test_what_was_sent_is_read_back(
    made: tuple[dict[str, Parameter], dict[str, Any], dict[str, str]], own: dict[str, str], of_mrs: bool
) -> None:
    parameters, spec, values = made
    assume(is_readable(spec, parameters))
    in_calendar(spec, values)
    definition = as_mrs(spec) if of_mrs else spec
    live = (mrs if of_mrs else batch)(sent(definition, values, own))
    found = read(definition, parameters, live, of_mrs=of_mrs)
    event(type(found).__name__)
    if isinstance(found, Told):
        assert found.values == values
    else:
        # Java's text is not always read the same way: nothing else may be untold.
        assert of_mrs


def edit(
    data: st.DataObject, change: str, items: list[str], at: int, values: list[st.SearchStrategy[str]]
) -> None:
    """Make the arguments of another definition; what is inserted may be values."""
    match change:
        case "insert":
            items.insert(at, data.draw(st.sampled_from(["--verbose", "x", "2020-01-01", "--n", "5"])))
        case "several":
            others = st.one_of(st.sampled_from(["x", "--date", "obs://b/x", "="]), *values)
            for item in data.draw(st.lists(others, min_size=2, max_size=5)):
                items.insert(data.draw(st.integers(0, len(items))), item)
        case "swap":
            other = data.draw(st.integers(0, len(items) - 1))
            items[at], items[other] = items[other], items[at]
        case "remove":
            del items[at]
        case "literal":
            items[at] = data.draw(st.sampled_from(["--z=", "y ", "q/"])) + items[at]


@SLOW
@given(definitions(), secret_values, st.data(), st.booleans())
def test_a_run_of_another_definition_or_a_damaged_one_is_never_read_wrong(
    made: tuple[dict[str, Parameter], dict[str, Any], dict[str, str]],
    own: dict[str, str],
    data: st.DataObject,
    of_mrs: bool,
) -> None:
    parameters, spec, values = made
    assume(is_readable(spec, parameters))
    items = [*spec["args"]]
    at = data.draw(st.integers(0, len(items) - 1))
    change = data.draw(
        st.sampled_from(["insert", "several", "swap", "remove", "literal", "masked", "cut", "conf"])
    )
    in_calendar(spec, values)
    older = {**spec, "args": items}
    if change == "conf":
        older["conf"] = {}
    elif change in {"insert", "several", "swap", "remove", "literal"}:
        edit(data, change, items, at, [VALUES[name] for name in values])
    was = sent(older, values, own)
    if change == "masked":
        was["args"][at] = "*"
    elif change == "cut":
        # Of a text of free length, nobody can tell that its end is missing.
        assume(all(width(parameter) for parameter in parameters.values()) and not secrets.has_reference(spec))
        was["args"][at] = was["args"][at][: data.draw(st.integers(0, 8))]
    definition, live = (as_mrs(spec), mrs(as_mrs(was))) if of_mrs else (spec, batch(was))
    found = read(definition, parameters, live, of_mrs=of_mrs)
    event(f"{change} {type(found).__name__}")
    if isinstance(found, Told) and found.values != values:
        # Told from what was sent, a run that did what the present definition does for other values is a run of these;
        # a secret may be anything.
        assert found.is_strict
        assert align_references(was, concrete(spec, found.values)) == was


# --- by hand: what an older definition, or a listing that hides something, tells --------------------------------------

DAY = {"date": PARAMETERS["date"]}
TWO = {"date": PARAMETERS["date"], "region": PARAMETERS["region"]}
D, NEXT = reference("date"), Use("date", "%Y-%m-%d", 1).mark
DEFINITION = {"args": ["--date", D, f"--out=obs://b/{reference('region')}/dt={Use('date', '%Y%m%d').mark}"]}
OUT = "--out=obs://b/north/dt=20240704"
FOURTH = {"date": "2024-07-04", "region": "north"}


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["--date", "2024-07-04", OUT], Told(FOURTH, is_strict=True)),
        (["-v", "--date", "2024-07-04", "x", OUT, "--date-of", "2020-01-01"], Told(FOURTH, is_strict=False)),
        ([OUT, "--date", "2024-07-04"], Told(FOURTH, is_strict=False)),
        (["--until", "2024-07-05", "--date", "2024-07-04", OUT], Told(FOURTH, is_strict=False)),
        (["--day", "2024-07-04", OUT], NotTold(("args", 0), "--day")),
        (["--date", "*", OUT], NotTold(("args", 1), "*")),
        (["--date", "2024-07", OUT], NotTold(("args", 1), "2024-07")),
        (["--date", "2024-02-30", OUT], NotTold(("args", 1), "2024-02-30")),
        (["--date", "2024-07-04"], NotTold(("args", 2), None)),
        (["--date", "2024-07-05", OUT], NotTold(("args", 2), OUT)),
        (["--date", "2024-07-04", "--date", "2024-07-05", OUT], NotTold(("args", 2), "--date")),
        (["2024-07-04", OUT], NotTold(("args", 1), OUT)),
        ([], NotTold(("args", 1), None)),
    ],
)
def test_a_batch(args: list[str], found: Told | NotTold) -> None:
    assert read(DEFINITION, TWO, batch({"args": args}), of_mrs=False) == found


WHO, REGION = reference("who"), reference("region")


@pytest.mark.parametrize(
    ("definition", "sent"),
    [
        # Another place shows that the word after -v was not the value.
        (
            {"args": ["-v", f"{WHO}{REGION}", "--x", WHO, "--r", REGION]},
            ["-v", "=north", "--x", "v", "--r", "north"],
        ),
        # The text of the value had a word before it.
        ({"args": ["--x", WHO]}, ["--x", "y one"]),
        # The leading word stands twice, and a value is as the leading word is.
        ({"args": ["--x", "a", WHO]}, ["a", "a", "2024-05-05", "--x"]),
        # Another date, which is not that of an option.
        ({"args": ["a", D]}, ["a", "2024-05-05", "x", "2024-07-04"]),
    ],
)
def test_a_word_of_an_older_definition_in_the_place_of_a_value_is_not_believed(
    definition: dict[str, Any], sent: list[str]
) -> None:
    names = {use.name for text in definition["args"] for use in uses(text)}
    parameters = {name: PARAMETERS[name] for name in names}
    assert isinstance(read(definition, parameters, batch({"args": sent}), of_mrs=False), NotTold)


MONTH, DAYS = Use("date", "%Y%m").mark, Use("date", "%d").mark
JAR, PART, OUT_PATH = "obs://b/j.jar", "2024-07-11", "obs://out"


@pytest.mark.parametrize(
    ("definition", "args", "date"),
    [
        # Only its place tells which word is the date, and another one may be.
        ([JAR, D], [JAR, "2024-07-04"], "2024-07-04"),
        ([JAR, D], [JAR, "2024-07-04", "--fast"], "2024-07-04"),
        ([JAR, D], [JAR, "2024-07-04", OUT_PATH, PART], ""),
        ([JAR, D], [JAR, OUT_PATH, PART], ""),
        ([JAR, D, OUT_PATH, PART], [JAR, "2024-07-04", OUT_PATH, PART, "-v"], "2024-07-04"),
        ([JAR, D], [JAR, "2024-07-04", f"--date={PART}"], ""),
        ([JAR, "--date", D], [JAR, "--date", "2024-07-04", OUT_PATH, PART], "2024-07-04"),
        ([JAR, "--date", D], [JAR, "--date", "2024-07-04", f"--date={PART}"], ""),
        ([JAR, D, "--until", NEXT], [JAR, "2024-07-04", "-v", "--until", "2024-07-05"], "2024-07-04"),
        # What cannot be read by itself must agree.
        (["--date", D, "--month", MONTH], ["-v", "--date", "2024-07-04", "--month", "202407"], "2024-07-04"),
        (["--date", D, "--month", MONTH], ["-v", "--date", "2024-07-04", "--month", "202406"], ""),
        (["--date", D, "--month", MONTH], ["-v", "--date", "2024-07-04"], ""),
        (["--date", D, f"--d={DAYS}"], ["-v", "--date", "2024-07-04", "--d=04"], "2024-07-04"),
        (["--date", D, f"--d={DAYS}"], ["-v", "--date", "2024-07-04", "--d=05"], ""),
        (
            ["--date", D, "--key", deferred_reference("b64encode", D)],
            ["-v", "--date", "2024-07-04", "--key", "MjAyNC0wNy0wNA=="],
            "2024-07-04",
        ),
        (
            ["--date", D, "--key", deferred_reference("b64encode", D)],
            ["-v", "--date", "2024-07-04", "--key", "MjAyNC0wNy0wNQ=="],
            "",
        ),
    ],
)
def test_the_words_of_an_older_definition(definition: list[str], args: list[str], date: str) -> None:
    found = read({"args": definition}, DAY, batch({"args": args}), of_mrs=False)
    if date:
        assert isinstance(found, Told)
        assert found.values == {"date": date}
    else:
        assert isinstance(found, NotTold)


def test_integers_and_listed_values_in_place_of_others() -> None:
    for name, value, other in (("n", "3", "10"), ("region", "north", "south"), ("size", "10", "20")):
        one = {name: PARAMETERS[name]}
        spec = {"args": [JAR, reference(name)]}
        assert read(spec, one, batch({"args": [JAR, value, "-v"]}), of_mrs=False) == Told(
            {name: value}, is_strict=False
        )
        live = batch({"args": [JAR, other, OUT_PATH, value]})
        assert isinstance(read(spec, one, live, of_mrs=False), NotTold)


def test_other_fields_do_not_matter() -> None:
    spec = {**DEFINITION, "numExecutors": 4, "conf": {"spark.x": D}}
    live = {
        **concrete(spec, FOURTH),
        "numExecutors": 8,
        "conf": {"spark.x": "2024-07-04", "spark.y": "filled in"},
    }
    assert read(spec, TWO, batch(live), of_mrs=False) == Told(FOURTH, is_strict=True)


SQL = f"INSERT OVERWRITE t PARTITION (dt='{D}') SELECT a, b FROM raw WHERE day = '{D}' AND until < '{NEXT}'"  # noqa: S608


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (SQL, "strict"),
        (SQL.replace("a, b", "a, b, c"), "loose"),
        (SQL.replace("raw", "cooked"), "loose"),
        (f"SET x=1, y; {SQL}", "loose"),
        (SQL.replace("day =", "dt ="), "no"),
        (SQL.replace(f" AND until < '{NEXT}'", ""), "no"),
        (SQL.replace(NEXT, D), "no"),
        (SQL.replace("PARTITION (dt=", "PARTITION (day="), "no"),
    ],
)
def test_the_sql_of_an_mrs_job(sql: str, found: str) -> None:
    """As Java prints it, with its commas; of another definition, if the words before each value are the same."""
    desired = {"job_type": "HiveSql", "arguments": [SQL], "properties": {}}
    values = {"date": "2024-07-04"}
    answer = read(desired, DAY, mrs(concrete({**desired, "arguments": [sql]}, values)), of_mrs=True)
    expected = {"strict": Told(values, is_strict=True), "loose": Told(values, is_strict=False)}
    assert answer == expected[found] if found in expected else isinstance(answer, NotTold)


def test_a_value_with_a_blank_is_not_a_part_of_a_longer_one() -> None:
    cities = {"city": PARAMETERS["city"]}
    spec = {"args": [f"--city={reference('city')}"]}
    for value in PARAMETERS["city"].values:
        live = batch({"args": ["-v", f"--city={value}"]})
        assert read(spec, cities, live, of_mrs=False) == NotTold(("args", 0), "-v")
        live = batch({"args": [f"--city={value}"]})
        assert read(spec, cities, live, of_mrs=False) == Told({"city": value}, is_strict=True)


def test_nothing_leads_to_a_value_alone() -> None:
    spec = {"args": [reference("who"), "x"]}
    parameters = {"who": PARAMETERS["who"]}
    assert read(spec, parameters, batch({"args": ["a", "x"]}), of_mrs=False) == Told(
        {"who": "a"}, is_strict=True
    )
    assert read(spec, parameters, batch({"args": ["a", "y"]}), of_mrs=False) == NotTold(("args", 1), "y")


def test_a_field_that_is_not_listed_tells_nothing() -> None:
    live = LiveJob(
        "1", batch({}).identity, "success", Phase.SUCCEEDED, 0, {"file": "a.py"}, frozenset({"args"})
    )
    assert read(DEFINITION, TWO, live, of_mrs=False) == NotTold()
