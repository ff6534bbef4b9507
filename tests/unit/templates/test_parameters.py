"""`param("NAME")` in templates: opaque as a secret is, and filled by each run with its own value."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer import secrets
from deployer.documents.parse import parse
from deployer.errors import Code, DeployerError, Problem
from deployer.parameters.references import concrete, filled_text, reference, shown
from deployer.secrets.store import Secrets, SecretSource
from deployer.templates.engine import Engine
from deployer.templates.rendered import RenderedText

ENGINE = Engine(Path("no-such-folder"), {"user": "u", "forged": reference("x"), "items": ["a"]}, {"A"})
SECRETS = Secrets({"A": SecretSource("A")}, {"DEPLOYER_SECRET_A": "first"}, Path())
VALUES = {"date": "2024-02-28", "who": "w"}


def read(template: str) -> tuple[list[Any], tuple[Problem, ...]]:
    rendered = ENGINE.render("f", template)
    if not isinstance(rendered, RenderedText):
        return [], rendered
    documents, problems = parse(rendered)
    return [document.value for document in documents], tuple(problems)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("expression", "definition", "sent"),
    [
        ("{{ param('date') }}", "param(date)", "2024-02-28"),
        ("{{ param('who') }}", "param(who)", "w"),
        ("'{{ param('who') }}'", "param(who)", "w"),
        ("dt={{ param('date') | date('%Y%m%d') }}/", "dt=param(date | date('%Y%m%d'))/", "dt=20240228/"),
        ("{{ param('date') | date(days=2) }}", "param(date | date('%Y-%m-%d', days=2))", "2024-03-01"),
        ("{{ param('date') | date('%j', days=-28) }}", "param(date | date('%j', days=-28))", "031"),
        ("{{ 'x-' ~ param('who') ~ 1 }}", "x-param(who)1", "x-w1"),
        ("{{ ['x', param('who')] | join('/') }}", "x/param(who)", "x/w"),
        ("{{ param('who') | sha256 }}", "sha256(param(who))", hashlib.sha256(b"w").hexdigest()),
        ("{{ ('a ' ~ param('who')) | b64encode }}", "b64encode(a param(who))", encoded("a w")),
        (
            "{{ param('date') | date('%Y/%m') | urlencode | b64encode }}",
            "b64encode(urlencode(param(date | date('%Y/%m'))))",
            encoded("2024/02"),
        ),
        ("{% set x %}<{{ param('who') }}>{% endset %}{{ x }}", "<param(who)>", "<w>"),
        ("{% macro m(d) %}{{ d }}!{% endmacro %}{{ m(param('who')) }}", "param(who)!", "w!"),
        ("{{ secret('A') ~ param('who') }}", "secret(A)", "firstw"),
        ("{{ (secret('A') ~ param('who')) | b64encode }}", "secret(A)", encoded("firstw")),
        ("{{ param('who') | b64encode ~ secret('A') }}", "secret(A)", f"{encoded('w')}first"),
    ],
)
def test_where_a_parameter_can_stand(expression: str, definition: str, sent: str) -> None:
    values, problems = read(f"a: {expression}")
    assert problems == ()
    scalar = values[0]["a"]
    as_shown = shown(scalar)
    assert definition == (secrets.references.display_text(as_shown) if "secret" in definition else as_shown)
    assert SECRETS.filled(concrete(scalar, VALUES)) == sent


@pytest.mark.parametrize(
    "expression",
    [
        *("param('who') | upper", "param('who') | length", "param('who') | int", "param('who') | tojson"),
        *("param('who') == 'x'", "'x' in param('who')", "param('who') is defined", "param('who')[0]"),
        *("param('who').upper()", "param('who') * 2", "'x' if param('who') else 'y'", "-param('who')"),
        *(
            "param('who') | required",
            "[param('who'), 'b'] | sort",
            "'%s' % param('who')",
            "'{}'.format(param('who'))",
        ),
        *(
            "('a' ~ param('date')) | date('%Y')",
            "param('date') | date('%Y') | date('%m')",
            "'2024-01-01' | date",
        ),
    ],
)
def test_no_template_sees_the_value(expression: str) -> None:
    if expression == "param('who') is defined":
        expression = "1 if param('who') is string else 2"
    _, (problem,) = read(f"a: {{{{ {expression} }}}}")
    assert (problem.code, problem.location.line, problem.location.column) == (Code.PARAMETER_MISPLACED, 1, 4)


@pytest.mark.parametrize(
    "text", ["{% if param('who') %}x{% endif %}", "{% for x in param('who') %}{{ x }}{% endfor %}"]
)
def test_nor_does_a_statement(text: str) -> None:
    _, (problem,) = read(text)
    assert problem.code == Code.PARAMETER_MISPLACED


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("param('1 2')", Code.PARAMETER_UNKNOWN),
        ("param(7)", Code.PARAMETER_UNKNOWN),
        ("param('date') | date('%H')", Code.PARAMETER_TYPE),
        ("param('date') | date('%Y, %m')", Code.PARAMETER_TYPE),
        ("param('date') | date(7)", Code.PARAMETER_TYPE),
        ("param('date') | date(days=true)", Code.PARAMETER_TYPE),
        ("param('date') | date(days=99999)", Code.PARAMETER_TYPE),
        ("forged", Code.RESERVED_CHARACTER),
        ("'\\ue007param\\ue008x\\ue009'", Code.RESERVED_CHARACTER),
        ("'\\ue009' ~ param('who')", Code.RESERVED_CHARACTER),
    ],
)
def test_errors_at_their_place(expression: str, code: Code) -> None:
    _, (problem,) = read(f"a: 1\nb: {{{{ {expression} }}}}")
    assert (problem.code, problem.location.line, problem.location.column) == (code, 2, 4)


def test_a_file_cannot_have_a_mark() -> None:
    for text in ("a: \ue007param\ue008x\ue009 {{ 1 }}", 'a: "\\ue007"', 'a: "\\U0000E009"'):
        _, (problem,) = read(text)
        assert problem.code == Code.RESERVED_CHARACTER


marks = st.sampled_from(
    [
        reference("who"),
        "\ue007",
        "\ue008",
        "\ue009",
        "\ue007sha256\ue008",
        "\ue007date\ue0081\ue008%Y\ue008who\ue009",
    ]
)


@given(st.lists(marks | st.text("ab", max_size=2)).map("".join))
def test_a_damaged_mark_is_never_filled_nor_sent(text: str) -> None:
    try:
        filled = filled_text(text, {"who": "2024-01-01"})
    except (DeployerError, ValueError):
        with pytest.raises(DeployerError):
            SECRETS.filled({"args": [text]})
        return
    assert not {*"\ue007\ue008\ue009"} & {*filled}


@pytest.mark.parametrize("value", [{"args": [reference("who")]}, {reference("who"): 1}, reference("who")])
def test_what_has_no_value_is_not_sent(value: Any) -> None:
    with pytest.raises(
        DeployerError, match="not sent: a parameter or a reference in the request has no value"
    ):
        SECRETS.filled(value)
    with pytest.raises(DeployerError, match="parameter 'who' has no value"):
        concrete(value, {"date": "2024-01-01"})
