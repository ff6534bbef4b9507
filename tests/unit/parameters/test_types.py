"""The values of parameters: types, ranges and lists, run keys, and texts that are never values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.model import Parameter, ParameterType
from deployer.parameters import dates, types
from deployer.parameters.keys import run_key, values_of

DATE = Parameter("date", ParameterType.DATE)
MONTH = Parameter("month", ParameterType.MONTH)
HOUR = Parameter("hour", ParameterType.HOUR)
INTEGER = Parameter("n", ParameterType.INTEGER)
TEXT = Parameter("who", ParameterType.TEXT)
REGION = Parameter("region", ParameterType.VALUES, ("south", "north", "a,b"))
ORDERED = (DATE, MONTH, HOUR, INTEGER)


@pytest.mark.parametrize(
    ("parameter", "right", "wrong"),
    [
        (
            DATE,
            ["2024-07-04", "2024-02-29", "0001-01-01"],
            ["2023-02-29", "2024-7-4", "20240704", "2024-W27-4", ""],
        ),
        (MONTH, ["2024-07", "9999-12"], ["2024-13", "0000-01", "2024-7", "2024-07-04"]),
        (
            HOUR,
            ["2024-07-04T00", "2024-07-04T23"],
            ["2024-07-04T24", "2024-07-04", "2024-07-04T1", "2024-07-04 13"],
        ),
        (INTEGER, ["0", "7", "-12"], ["007", "-0", "+1", "1.0", "1e3", "", "9" * 30]),
        (
            TEXT,
            ["a", "s3://b/c=1@x", "a-b", "x" * 256],
            ["", "a b", "a,b", "it's", "$HOME", "--out=x", "-x", "1--", "a--b", "a;b", "x" * 257, "é"],
        ),
        (REGION, ["north", "a,b"], ["nort", "North", "*", "", "north "]),
    ],
)
def test_what_is_a_value(parameter: Parameter, right: list[str], wrong: list[str]) -> None:
    assert {text: types.problem(parameter, text) for text in right} == dict.fromkeys(right, "")
    assert [text for text in wrong if types.is_value(parameter, text)] == []
    assert all(types.is_value(parameter, types.sample(parameter)) for parameter in (parameter, DATE))


@pytest.mark.parametrize(
    "parameter",
    [DATE, MONTH, HOUR, INTEGER, TEXT, REGION, Parameter("p", ParameterType.TEXT, pattern="[a-z]+")],
)
@pytest.mark.parametrize(
    "text",
    ["2024-07-04\n", "7\n", "north\n", "a\n", "\u0661", "\uff12\uff10\uff12\uff14-07-04", "a\x00", "a\ue007"],
)
def test_neither_a_newline_nor_other_digits(parameter: Parameter, text: str) -> None:
    assert not types.is_value(parameter, text)


# Where a value may end up: SQL, a shell, a command line of Spark, JSON, YAML, Markdown, a terminal.
HOSTILE = "'\"`$;&|<>(){}[]*?~!#%^,\\ \t\r\n\x1b\x7f\x00\u2028\u202e\u200b\ue007"


@given(st.text(min_size=1), st.sampled_from([DATE, MONTH, HOUR, INTEGER, TEXT]))
def test_a_value_has_no_character_with_a_meaning(text: str, parameter: Parameter) -> None:
    if types.is_value(parameter, text):
        assert not {*text} & {*HOSTILE}


@pytest.mark.parametrize("character", HOSTILE)
@pytest.mark.parametrize("parameter", [DATE, MONTH, HOUR, INTEGER, TEXT, REGION])
def test_one_such_character_is_refused_anywhere(parameter: Parameter, character: str) -> None:
    value = types.sample(parameter)
    for text in (character, character + value, value + character, f"{value}{character}{value}"):
        assert not types.is_value(parameter, text)
        if character != ",":
            with pytest.raises(ValueError, match=f"^'{parameter.name}' "):
                types.selected(parameter, f"{text},{character}" if text == "*" else text)


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("[a-z]{2,8}-[0-9]+", "ab-12", "a-12"),
        (r"v[0-9]\.[0-9]", "v1.2", "v1x2"),
        ("[A-Z0-9_-]*", "A_-", "a"),
        (r"a\+b?", "a+b", "aab"),
    ],
)
def test_patterns(pattern: str, right: str, wrong: str) -> None:
    parameter = Parameter("p", ParameterType.TEXT, pattern=pattern)
    assert types.pattern_problem(pattern) == ""
    assert types.is_value(parameter, right)
    assert not types.is_value(parameter, wrong)
    assert types.is_value(parameter, types.sample(parameter))


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "",
            ".",
            ".*",
            "(a+)+",
            "a|b",
            "[^a]",
            r"\d",
            r"\w",
            "[a ]",
            "a b",
            "^a",
            "a$",
            "[z-a]",
            "a{3,1}",
            "é",
        ),
        *(
            "--[a-z]",
            "-a",
            "[a-z]+[a-z]+[a-z]+[a-z]+",
            "a**",
            "a" * 201,
            "[",
            "[]",
            "(?i)a",
            r"\1",
            "'",
            "[a-z]{1,9999}",
        ),
    ],
)
def test_patterns_that_are_refused(pattern: str) -> None:
    assert types.pattern_problem(pattern)


@given(st.text("ab[]-+*?{}0123,.\\^$()|", max_size=12), st.text("ab-+.", min_size=1, max_size=8))
def test_an_allowed_pattern_matches_safe_texts_only(pattern: str, text: str) -> None:
    if not types.pattern_problem(pattern):
        parameter = Parameter("p", ParameterType.TEXT, pattern=pattern)
        assert not types.is_value(parameter, f"{text};")
        assert types.is_value(parameter, types.sample(parameter))


@pytest.mark.parametrize(
    ("parameter", "words", "values"),
    [
        (DATE, "2024-02-28..2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (DATE, "2024-07-05,2024-07-04,2024-07-05", ["2024-07-04", "2024-07-05"]),
        (DATE, "2024-07-04..2024-07-05,2024-07-01", ["2024-07-01", "2024-07-04", "2024-07-05"]),
        (MONTH, "2023-12..2024-02", ["2023-12", "2024-01", "2024-02"]),
        (HOUR, "2024-07-04T23..2024-07-05T01", ["2024-07-04T23", "2024-07-05T00", "2024-07-05T01"]),
        (INTEGER, "-1..1", ["-1", "0", "1"]),
        (TEXT, "a..b", ["a..b"]),
        (TEXT, "b,a", ["b", "a"]),
        (REGION, "*", ["south", "north", "a,b"]),
        (REGION, "north,south", ["south", "north"]),
        (REGION, "a,b", ["a,b"]),
    ],
)
def test_lists_and_ranges(parameter: Parameter, words: str, values: list[str]) -> None:
    assert types.selected(parameter, words) == values


@pytest.mark.parametrize(
    ("parameter", "words", "message"),
    [
        (DATE, "2024-07-05..2024-07-04", "'date' range 2024-07-05..2024-07-04 ends before it begins"),
        (
            DATE,
            "1990-01-01..2024-01-01",
            "'date' range 1990-01-01..2024-01-01 has 12,419 values; at most 10,000",
        ),
        (DATE, "*", "'date' has no list of values, so '*' cannot select them"),
        (DATE, "..2024-07-04", "'date' must be a date such as 2024-07-04, got ''"),
        (DATE, "2024-07-04,", "'date' must be a date such as 2024-07-04, got ''"),
        (REGION, "nort", "'region' must be one of the listed values, got 'nort'; did you mean 'north'?"),
        (INTEGER, "1..99999999999", "'n' range 1..99999999999 has 99,999,999,999 values; at most 10,000"),
        (
            Parameter("date", ParameterType.DATE, earliest="2024-01-01"),
            "2023-12-31..2024-01-02",
            "'date' must not be before 2024-01-01 (its 'from'), got '2023-12-31'",
        ),
    ],
)
def test_selections_that_are_refused(parameter: Parameter, words: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared
        types.selected(parameter, words)
    assert str(refused.value) == message


@given(st.sampled_from(ORDERED), st.integers(1_000, 3_000_000), st.integers(0, 50))
def test_a_range_has_each_value_once_and_is_shown_as_it_was_given(
    parameter: Parameter, begin: int, length: int
) -> None:
    begin = begin if parameter is not MONTH else begin % 100_000 + 12
    first, last = types.value_at(parameter, begin), types.value_at(parameter, begin + length)
    words = first if first == last else f"{first}..{last}"
    values = types.selected(parameter, words)
    assert [types.position(parameter, value) for value in values] == [*range(begin, begin + length + 1)]
    assert types.in_ranges(parameter, reversed(values)) == [words]


def test_gaps_in_ranges() -> None:
    values = ["2024-07-03", "2024-07-01", "2024-07-02", "2024-07-09"]
    assert types.in_ranges(DATE, values) == ["2024-07-01..2024-07-03", "2024-07-09"]
    assert types.in_ranges(REGION, ["a,b", "south"]) == ["south", "a,b"]


def test_combinations() -> None:
    region = Parameter("region", ParameterType.VALUES, ("n", "s"), default="n")
    parameters = {"date": DATE, "region": region}
    dates_of_july = ["2024-07-01", "2024-07-02"]
    assert types.combinations(parameters, {"date": dates_of_july, "region": ["n", "s"]}) == [
        {"date": date, "region": region} for date in dates_of_july for region in ("n", "s")
    ]
    assert types.combinations(parameters, {"date": dates_of_july[:1]}) == [
        {"date": "2024-07-01", "region": "n"}
    ]
    for chosen, message in [
        ({}, "'date' must be given: no default"),
        ({"date": ["2024-07-01"], "regoin": ["n"]}, "unknown parameter 'regoin'; did you mean 'region'?"),
        ({"date": ["x"] * 5001, "region": ["n", "s"]}, "the values have 10,002 combinations; at most 10,000"),
    ]:
        with pytest.raises(ValueError) as refused:  # noqa: PT011
            types.combinations(parameters, chosen)
        assert str(refused.value) == message


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@given(st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_a_run_key_tells_the_values(values: dict[str, str]) -> None:
    key = run_key(values)
    assert values_of(key) == values
    assert key == run_key(dict(reversed(values.items())))


def test_run_keys() -> None:
    assert run_key({"region": "north", "date": "2024-07-04"}) == "date=2024-07-04,region=north"
    assert run_key({"a": "x=1,b=2", "c": "50% \n"}) == "a=x=1%2Cb=2,c=50%25%20%0A"
    assert run_key({}) == ""


@given(st.dates(), st.sampled_from(["%Y%m%d", "%d.%m.%Y", "x%Y-%jx", "%Y/%m/%Y%d"]), st.integers(-400, 400))
def test_a_date_in_a_whole_form_is_read_back(day: object, form: str, days: int) -> None:
    try:
        shown = dates.formatted(str(day), form, days)
    except ValueError:
        return
    assert len(shown) == dates.width(form)
    assert dates.is_whole(form)
    assert dates.date_in(shown, form, days) == str(day)


@given(st.text("0123456789-x", min_size=8, max_size=12), st.integers(-2, 2))
def test_what_is_no_date_is_not_read(text: str, days: int) -> None:
    for form in ("%Y%m%d", "%Y-%m-%d", "%Y%j%Y"):
        found = dates.date_in(text, form, days)
        assert found is None or dates.formatted(found, form, days) == text


@pytest.mark.parametrize("form", ["", "x", "%H", "%", "%%", "%Y %m", "%Y,%m", "%Y'", "%Y\n", "%y", "%Y" * 60])
def test_forms_that_are_refused(form: str) -> None:
    assert dates.form_problem(form)


def test_the_end_of_the_calendar() -> None:
    with pytest.raises(ValueError, match="1 days after 9999-12-31 are outside of the calendar"):
        dates.formatted("9999-12-31", "%Y", 1)
    assert dates.date_in("00010101", "%Y%m%d", 1) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "must not be empty"),
        (["a", "a"], "has 'a' twice"),
        (["a, b"], "must not contain ', '"),
        (["a,"], "begin or end with a blank or a comma"),
        ([" a"], "begin or end with a blank or a comma"),
        (["a\nb"], "no control characters"),
        (["a\ue007b"], "no control characters"),
        (["*"], "stands for all values"),
        ([""], "1 to 256 characters"),
    ],
)
def test_values_that_cannot_be_listed(values: list[str], message: str) -> None:
    assert message in types.listed_problem(values)


def test_a_pattern_of_a_pull_request_takes_no_time() -> None:
    parameter = Parameter("p", ParameterType.TEXT, pattern="[a-z]*[a-y]*[a-x]*")
    check: Callable[[str], bool] = lambda text: types.is_value(parameter, text)  # noqa: E731
    assert not check("a" * 255 + "_")
