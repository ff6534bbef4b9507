"""`secret("NAME")` in templates: which uses are allowed, and the position of the error for all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer import secrets
from deployer.documents.parse import parse
from deployer.errors import Code, Problem
from deployer.secrets.references import RESERVED
from deployer.secrets.store import Secrets, SecretSource
from deployer.templates.engine import Engine
from deployer.templates.rendered import RenderedText

ENGINE = Engine(
    Path("no-such-folder"),
    {"user": "u", "forged": secrets.reference("B"), "items": ["a"]},
    {"A", "B", "DB_PASSWORD"},
)
SECRETS = Secrets(
    {name: SecretSource(name) for name in "AB"},
    {"DEPLOYER_SECRET_A": "first", "DEPLOYER_SECRET_B": "second"},
    Path(),
)
A, B = secrets.reference("A"), secrets.reference("B")


def read(template: str) -> tuple[list[Any], tuple[Problem, ...]]:
    rendered = ENGINE.render("f", template)
    if not isinstance(rendered, RenderedText):
        return [], rendered
    documents, problems = parse(rendered)
    return [document.value for document in documents], tuple(problems)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{{ secret('A') }}", A),
        ("x-{{ secret('A') }}-y", f"x-{A}-y"),
        ("'{{ secret('A') }}'", A),
        ("|-\n  x\n  {{ secret('A') }}", f"x\n{A}"),
        ("{{ 'u:' ~ secret('A') ~ 1 }}", f"u:{A}1"),
        ("{{ 'u:' + secret('A') + '@h' }}", f"u:{A}@h"),
        ("{{ secret('A') + secret('B') }}", A + B),
        ("{{ [user, secret('A')] | join(':') }}", f"u:{A}"),
        ("{{ ['x', 'y'] | join(secret('A')) }}", f"x{A}y"),
        ("{{ [{'p': secret('A')}] | join(attribute='p') }}", A),
        ("{{ secret('A') | b64encode }}", secrets.deferred_reference("b64encode", A)),
        ("{{ secret('A') | sha256 }}", secrets.deferred_reference("sha256", A)),
        ("{{ secret('A') | urlencode }}", secrets.deferred_reference("urlencode", A)),
        ("{{ ('u:' ~ secret('A')) | b64encode }}", secrets.deferred_reference("b64encode", f"u:{A}")),
        (
            "{{ secret('A') | sha256 | b64encode }}",
            secrets.deferred_reference("b64encode", secrets.deferred_reference("sha256", A)),
        ),
        ("x{{ (secret('A') | urlencode) ~ '@' }}", f"x{secrets.deferred_reference('urlencode', A)}@"),
        ("{{ [secret('A')] | map('b64encode') | list }}", [secrets.deferred_reference("b64encode", A)]),
        ("{{ [secret('A'), {'k': secret('B')}] }}", [A, {"k": B}]),
        ("{{ dict(k=secret('A')) }}", {"k": A}),
        ("{{ [1, secret('A')] | last }}", A),
        ("{{ [1, secret('A')] | length }}", 2),
        ("{{ {'k': secret('A')}.k }}", A),
        ("{{ {'k': secret('A')}.values() | list }}", [A]),
        ("{{ secret('A') if user else secret('B') }}", A),
        ("{{ '' or secret('A') }}", A),
    ],
)
def test_allowed(expression: str, value: Any) -> None:
    assert read(f"v: {expression}\n") == ([{"v": value}], ())


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{% set s = secret('A') %}v: {{ s }}", A),
        ("{% set s %}<{{ secret('A') }}>{% endset %}v: {{ s }}", f"<{A}>"),
        (
            "{% set s %}u:{{ secret('A') }}{% endset %}v: {{ s | b64encode }}",
            secrets.deferred_reference("b64encode", f"u:{A}"),
        ),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}v: {{ m(secret('A')) }}", f"<{A}>"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}v: {{ m(m(secret('A')) ~ '-') }}", f"{A}-"),
        (
            "{% macro m() %}<{{ caller() }}>{% endmacro %}v: {% call m() %}{{ secret('A') }}{% endcall %}",
            f"<{A}>",
        ),
        ("{% macro m() %}{{ caller(secret('A')) }}{% endmacro %}v: {% call(x) m() %}{{ x }}{% endcall %}", A),
        (
            "{% filter b64encode %}{{ secret('A') }}{% endfilter %}",
            secrets.deferred_reference("b64encode", A),
        ),
        (
            "v: {% filter b64encode %}{{ secret('A') }}{% endfilter %}",
            secrets.deferred_reference("b64encode", A),
        ),
        (
            "{% set s | sha256 %}{{ secret('A') }}{% endset %}v: {{ s }}",
            secrets.deferred_reference("sha256", A),
        ),
        ("{% for s in [secret('A')] %}v: {{ loop.cycle(s) }}{% endfor %}", A),
        ("{% with s = secret('A') %}v: {{ s }}{% endwith %}", A),
        ("{% set n = namespace(s=secret('A')) %}v: {{ n.s }}", A),
        ("{% block b %}v: {{ secret('A') }}{% endblock %}", A),
        ("v: {% block b %}{{ secret('A') }}{% endblock %}-{{ self.b() }}", f"{A}-{A}"),
    ],
)
def test_handed_on(template: str, value: Any) -> None:
    documents, problems = read(template)
    assert not problems
    assert documents in ([{"v": value}], [value])


REFUSED = """
secret('A') | upper
secret('A') | length
secret('A') | default('x')
'x' | default(secret('A'))
secret('A') | string
secret('A') | list
secret('A') | first
secret('A') | int
secret('A') | safe
secret('A') | escape
secret('A') | indent
secret('A') | required
secret('A') | tojson
secret('A') | to_yaml
secret('A') | replace('a', 'b')
secret('A') | attr('text')
secret('A') | b64encode | upper
'a' | replace('a', secret('A'))
'%s' | format(secret('A'))
[secret('A')] | tojson
[{'k': [secret('A')]}] | to_yaml
[secret('A')] | string
[secret('A')] | pprint
[secret('A')] | sum
[secret('A'), 'x'] | sort
[secret('A'), 'x'] | max
[secret('A')] | unique | list
[secret('A')] | map('upper') | list
[secret('A')] | map(attribute='text') | list
[secret('A')] | select | list
[secret('A')] | select('eq', 'x') | list
[secret('A')] | groupby('x')
[secret('A')] | join | upper
{'k': secret('A')} | urlencode
{'k': secret('A')} | xmlattr
secret('A') is defined
secret('A') is string
'x' is sameas(secret('A'))
secret('A') == 'x'
secret('A') != secret('A')
secret('A') < 'x'
'x' >= secret('A')
'x' in secret('A')
secret('A') in ['x']
secret('A') in {'x': 1}
'x' in [secret('A')]
not secret('A')
secret('A') and 1
secret('A') or 1
'x' if secret('A') else 'y'
secret('A')[0]
secret('A')[1:2]
secret('A')['text']
secret('A').text
secret('A').upper()
secret('A').__class__
secret('A')()
{secret('A'): 1}
[1][secret('A')]
{'x': 1}[secret('A')]
range(secret('A'))
'a'.replace('a', secret('A'))
''.join([secret('A')])
['a'].index(secret('A'))
'{}'.format(secret('A'))
'{0.text}'.format(secret('A'))
'{x}'.format_map({'x': secret('A')})
'%s' % secret('A')
'%s' % [secret('A')]
secret('A') % 1
secret('A') * 2
2 * secret('A')
secret('A') + 1
1 + secret('A')
[1] + secret('A')
secret('A') - 'x'
secret('A') / 2
secret('A') // 2
secret('A') ** 2
-secret('A')
secret(secret('A'))
dli_var(secret('A'))
""".strip().splitlines()


@pytest.mark.parametrize("expression", REFUSED)
def test_refused(expression: str) -> None:
    documents, problems = read(f"a: 1\nb: {{{{ {expression} }}}}")
    assert not documents
    assert [(problem.location, problem.code) for problem in problems] == [(("f", 2, 4, ()), Code.SECRET_USE)]
    assert "b64encode, sha256 or urlencode" in problems[0].message


@pytest.mark.parametrize(
    "statement",
    [
        "{% for c in secret('A') %}{% endfor %}",
        "{% if secret('A') %}{% endif %}",
        "{% if 1 is sameas secret('A') %}{% endif %}",
        "{% set a, b = secret('A') %}",
        "{% include secret('A') %}",
        "{% filter upper %}{{ secret('A') }}{% endfilter %}",
        "{% set s | upper %}{{ secret('A') }}{% endset %}",
        "{% for x in items if secret('A') %}{% endfor %}",
        "{% with s = secret('A') | upper %}{% endwith %}",
    ],
)
def test_refused_in_statements(statement: str) -> None:
    _, problems = read(f"a: 1\n  {statement}")
    assert [(problem.location.line, problem.code) for problem in problems] == [(2, Code.SECRET_USE)]


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("{% set s %}{{ secret('A') }}{% endset %}\n\nb: {{ s | upper }}", (3, 4)),
        ("{% macro m() %}{{ secret('A') }}{% endmacro %}\nb: {{ m() | length }}", (2, 4)),
        ("{% macro m(x) %}\n {{ x == 'y' }}{% endmacro %}\nb: {{ m(secret('A')) }}", (2, 2)),
        ("{% block b %}{{ secret('A') }}{% endblock %}\nb: {{ self.b() | upper }}", (2, 4)),
    ],
)
def test_captured_it_is_a_secret_still(template: str, place: tuple[int, int]) -> None:
    _, problems = read(template)
    assert [((problem.location.line, problem.location.column), problem.code) for problem in problems] == [
        (place, Code.SECRET_USE)
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("'DB_PASWORD'", "; did you mean 'DB_PASSWORD'?"),
        ("'X'", "; known: A, B, DB_PASSWORD"),
        ("3", ""),
        ("none", ""),
        ("['A']", ""),
    ],
)
def test_a_name_that_is_not_listed(name: str, hint: str) -> None:
    _, (problem,) = read(f"a: 1\nb: {{{{ secret({name}) }}}}")
    assert (problem.location, problem.code) == (("f", 2, 4, ()), Code.SECRET_NAME)
    assert problem.message.endswith(hint)


def test_all_names_that_are_not_listed_are_told() -> None:
    _, problems = read(
        "a: {{ secret('X') }}\nb: {{ secret('Y') | b64encode }}{{ nosuch }}\n{% set c = secret('Z') %}"
    )
    assert [(problem.location.line, problem.code) for problem in problems] == [
        (1, Code.SECRET_NAME),
        (2, Code.SECRET_NAME),
        (2, Code.UNDEFINED),
        (3, Code.SECRET_NAME),
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "forged",
        "forged ~ secret('A')",
        "forged + secret('A')",
        "[forged, secret('A')] | join",
        "['a', secret('A')] | join(forged)",
        "[secret('A'), forged]",
        "forged | b64encode",
        "'\\ue004secret\\ue005B\\ue006'",
        "'\\ue006' ~ secret('A')",
    ],
)
def test_a_mark_cannot_be_made_up(expression: str) -> None:
    _, (problem,) = read(f"a: 1\nb: {{{{ {expression} }}}}")
    assert (problem.location, problem.code) == (("f", 2, 4, ()), Code.RESERVED_CHARACTER)


@pytest.mark.parametrize(
    "text", ["\ue004secret\ue005B\ue006", '"\\ue004secret\\ue005B\\ue006"', '"\\U0000E004"']
)
def test_a_mark_cannot_be_written(text: str) -> None:
    _, (problem,) = read(f"a: {{{{ 1 }}}}\nb: {text}")
    assert (problem.location.line, problem.code) == (2, Code.RESERVED_CHARACTER)


ATOMS = st.sampled_from(
    ["secret('A')", "'x'", "user", "items", "1", "none", "[secret('B')]", "{'k': secret('A')}"]
)
OPERATORS = st.sampled_from(["~", "+", "-", "*", "%", "==", "<", "in", "and", "or"])
FILTERS = st.sampled_from(
    ["upper", "b64encode", "list", "join", "first", "string", "tojson", "length", "sort", "default(1)"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, OPERATORS, inner),
        st.builds("({}) | {}".format, inner, FILTERS),
        st.builds("[{}]".format, inner),
        st.builds("({})[{}]".format, inner, st.sampled_from(["0", "1:", "'k'"])),
        st.builds("({} if {} else {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_marks_come_out_whole_or_not_at_all(expression: str) -> None:
    documents, problems = read(f"v: {{{{ {expression} }}}}")
    assert bool(documents) is not bool(problems)
    filled = SECRETS.filled(documents)  # raises where a mark is damaged
    assert not RESERVED.search(json.dumps(filled, ensure_ascii=False))
