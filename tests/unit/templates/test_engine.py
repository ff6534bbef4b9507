"""Templates: a value never changes the structure around it, and errors have the author's position."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents.parse import MAX_DEPTH, parse
from deployer.errors import Code
from deployer.templates.engine import MAX_PROBLEMS, Engine
from deployer.templates.rendered import RenderedText
from testing.workspace import Workspace

VALUES: dict[str, Any] = {
    "name": "orders",
    "evil": "x\"'\nqueue: prod\n--- # {{ 1 }} {a: [",
    "empty": "",
    "number": 3,
    "ratio": 1.5,
    "yes": True,
    "nothing": None,
    "items": ["a", "b"],
    "mapping": {"a": {"b": [1, "x"]}, "items": 7},
    "tree": [{"name": "a", "children": [{"name": "b", "children": []}]}, {"name": "c", "children": []}],
}


ENGINE = Engine(Path("no-such-folder"), VALUES, ())


def read(text: str, **values: Any) -> tuple[list[Any], list[str]]:
    """The documents of a template and its problems."""
    rendered = ENGINE.render("f", text, values)
    documents, problems = parse(rendered) if isinstance(rendered, RenderedText) else ([], rendered)
    return [document.value for document in documents], [
        f"{problem.location.line}:{problem.location.column}: {problem.message}" for problem in problems
    ]


def value_of(text: str, **values: Any) -> Any:
    documents, problems = read(text, **values)
    assert not problems
    assert len(documents) == 1
    return documents[0]


def problem_of(text: str, **values: Any) -> str:
    documents, problems = read(text, **values)
    assert not documents
    assert len(problems) == 1, problems
    return problems[0]


# --- a value never changes the structure ------------------------------------------------------------------

ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(0xE000, 0xE00A))))
)
NASTY = st.text("ab:-?[]{}&*!|>'\"%@`#,<~ \n\t\r\\=\0\x85\u2028\ufeff")


@settings(deadline=None)
@given(ANY_TEXT | NASTY)
@pytest.mark.parametrize(
    ("template", "shape"),
    [
        ("a: {{ v }}\nb: 1", lambda v: {"a": v, "b": 1}),
        ('a: "{{ v }}"\nb: 1', lambda v: {"a": v, "b": 1}),
        ("a: '{{ v }}'\nb: 1", lambda v: {"a": v, "b": 1}),
        ("a: x-{{ v }}/{{v}} # {{ v }}", lambda v: {"a": f"x-{v}/{v}"}),
        ("- {{ v }}\n- [{{ v }}, {{ v }}]", lambda v: [v, [v, v]]),
        ("{a: {{ v }}, b: [{{ v }}]}", lambda v: {"a": v, "b": [v]}),
        ("{{ v }}: {x: 1}", lambda v: {v: {"x": 1}}),
        ('x-{{ v }}: 1\n"{{ v }}": 2', lambda v: {f"x-{v}": 1, v: 2}),
        ("? {{ v }}\n: 1", lambda v: {v: 1}),
        ("a: |\n  {{ v }}\n  x{{ v }}\nb: 1", lambda v: {"a": f"{v}\nx{v}\n", "b": 1}),
        ("a: >-\n  {{ v }}\n  x\nb: 1", lambda v: {"a": f"{v} x", "b": 1}),
        ("{{ v }}", lambda v: v),
        ("a:\n{% for x in [v, v] %}\n  - {{ x }}\n{% endfor %}", lambda v: {"a": [v, v]}),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}a: {{ m(v) }}", lambda v: {"a": f"<{v}>"}),
        (
            "{% macro m() %}<{{ caller() }}>{% endmacro %}a: {% call m() %}{{ v }}{% endcall %}",
            lambda v: {"a": f"<{v}>"},
        ),
        ("{% set s %}b: {{ v }}{% endset %}a: {{ s }}", lambda v: {"a": f"b: {v}"}),
        ("a: {% filter replace('', '') %}b: {{ v }}{% endfilter %}", lambda v: {"a": f"b: {v}"}),
        ("a: {{ v | tojson }}\nb: '{{ v }}'", lambda v: {"a": v, "b": v}),
        (
            "a: {% if true %}{{ v }}{% else %}x{% endif %}\nb: {{ [v, {v: v}] }}",
            lambda v: {"a": v, "b": [v, {v: v}]},
        ),
    ],
)
def test_any_text_stays_one_value(template: str, shape: Any, v: str) -> None:
    assert value_of(template, v=v) == shape(v)


@pytest.mark.parametrize("indicator", ["<<: {{ x }}", "'<<': {{ x }}", "{{ '<<' }}: {{ x }}"])
def test_only_the_author_merges(indicator: str) -> None:
    merges = indicator.startswith("<<")
    assert value_of(indicator, x={"a": 1}) == ({"a": 1} if merges else {"<<": {"a": 1}})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{{ 3 }}", 3),
        ("{{ number }}", 3),
        ("{{ ratio }}", 1.5),
        ("{{ yes }}", True),
        ("{{ nothing }}", None),
        ("{{ empty }}", ""),
        ("{{ '3' }}", "3"),
        ("{{ 'no' }}", "no"),
        ("{{ number ~ '' }}", "3"),
        ("{{ items }}", ["a", "b"]),
        ("{{ mapping }}", VALUES["mapping"]),
        ("{{ mapping['items'] }}", 7),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ items | map('upper') | list }}", ["A", "B"]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ {} }}", {}),
        ("[{{ number }}, {{ yes }}]", [3, True]),
        ("'{{ number }}'", "3"),
        ('"{{ yes }} {{ nothing }} {{ ratio }}"', "true null 1.5"),
        ("{{ number }}{{ number }}", "33"),
        ("{{ number }}G", "3G"),
        ("{{ number }}\n  {{ number }}", "3 3"),
        ("|-\n  {{ yes }}", "true"),
        ("{{ mapping | tojson }}", VALUES["mapping"]),
        ("{{ mapping | tojson(indent=2) }}", VALUES["mapping"]),
        ("{{ '3' | tojson }}", "3"),
        ("{{ number | tojson }}", 3),
        ("'{{ items | tojson }}'", '["a", "b"]'),
        ("x {{ 'é' | tojson }}", 'x "é"'),
        ("|-\n  {{ items | tojson }}", '["a", "b"]'),
        ("{{ items | tojson | upper }}", '["A", "B"]'),
        ("{% if yes %}{{ number }}{% endif %}", 3),
        ("{{ number if yes else name }}", 3),
        ("&x {{ number }}\nb: *x", 3),
        ("{% raw %}'{{ not }} {% jinja %}'{% endraw %}", "{{ not }} {% jinja %}"),
        ("'{{ '{{var}}' }}'", "{{var}}"),
        ("{# comment #}x", "x"),
    ],
)
def test_the_type_of_a_value(expression: str, value: Any) -> None:
    found = value_of(f"a: {expression}\n")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (
            "a:\n{% for x in items %}\n - n: {{ x }}\n   i: {{ loop.index }}\n{% endfor %}",
            {"a": [{"n": "a", "i": 1}, {"n": "b", "i": 2}]},
        ),
        ("{% if yes %}\na: 1\n{% else %}\nb: 1\n{% endif %}", {"a": 1}),
        ("{% for k, v in mapping | dictsort %}{{ k }}: {{ v }}\n{% endfor %}", VALUES["mapping"]),
        ("{% for x in [] %}a: 1{% else %}b: 1{% endfor %}", {"b": 1}),
        ("a: [{% for x in items %}{{ x }}, {% endfor %}]", {"a": ["a", "b"]}),
        ("{% with z = 1 %}a: {{ z }}{% endwith %}", {"a": 1}),
        ("{% block b %}a: {{ number }}{% endblock %}", {"a": 3}),
        (
            "{% set n = namespace(x=0) %}{% for i in items %}{% set n.x = n.x + 1 %}{% endfor %}a: {{ n.x }}",
            {"a": 2},
        ),
        ("a: 1{#- c -#}\n\nb: 2".replace("-#}", "#}"), {"a": 1, "b": 2}),
        ("{%- set x = 1 -%}\n\n  a: {{ x }}\n", {"a": 1}),
        ("a: >\n  x\n\n  {{- number -}}\n\n  y", {"a": "x3y"}),
        # What a loop calls itself with is structure too.
        (
            "a: [{% for x in tree recursive %}{n: {{ x.name }}, c: [{{ loop(x.children) }}]}, {% endfor %}]",
            {"a": [{"n": "a", "c": [{"n": "b", "c": []}]}, {"n": "c", "c": []}]},
        ),
        # Captured text is a value, and follows the rules of text.
        (
            "{% macro m(x) %}{{ x }}{% endmacro %}a: {{ m(true) }}{{ m(none) }}\nb: {{ m(1) }}",
            {"a": "truenull", "b": "1"},
        ),
        ("{% set s %}\nx: 1\n{% endset %}\na: {{ s }}", {"a": "\nx: 1\n"}),
        ("a: {% filter upper %}b: {{ name }}\nc: {% endfilter %}", {"a": "B: ORDERS\nC: "}),
        (
            "{% macro m() %}{{ caller(1) }}{% endmacro %}a: {% call(x) m() %}b: {{ x }}{% endcall %}",
            {"a": "b: 1"},
        ),
        ("{% macro m() %}a: 1{% endmacro %}x: |\n  {{ m() }}", {"x": "a: 1"}),
        ("{% block b %}a: {{ number }}\n{% endblock %}b: {{ self.b() }}", {"a": 3, "b": "a: 3\n"}),
        ("{% filter upper %}{% block b %}a{{ name }}{% endblock %}{% endfilter %}", "AORDERS"),
        ("a: {{ number ~ yes ~ nothing ~ ratio ~ 'x' }}", {"a": "3truenull1.5x"}),
        ("a: {{ [number, yes, name] | join('-') }}", {"a": "3-true-orders"}),
    ],
)
def test_what_makes_structure(template: str, value: Any) -> None:
    assert value_of(template) == value


def test_loops_make_documents() -> None:
    assert read("{% for x in items %}\n---\na: {{ x }}\n{% endfor %}") == ([{"a": "a"}, {"a": "b"}], [])


def test_crlf_lines() -> None:
    text = "{% if yes %}\r\na: {{ evil }}\r\n{% endif %}\r\nb: |\r\n  x\r\n  y {{ number }}\r\n"
    assert value_of(text) == {"a": VALUES["evil"], "b": "x\ny 3\n"}


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "place", "words"),
    [
        ("a: 1\nb: x {{ items }}", "2:6", "a list cannot be used inside a string; use '| tojson'"),
        ("a: '{{ mapping }}'", "1:5", "a mapping cannot be used inside a string"),
        ("a: |\n  x\n  y {{ items }}\n", "3:5", "a list cannot be used inside a string"),
        (
            "{% macro m(x) %}\n-{{ x }}{% endmacro %}\na: {{ m(items) }}",
            "2:2",
            "a list cannot be used inside a string",
        ),
        ("{{ number }}: 1", "1:1", "mapping keys must be strings"),
        ("a: 1\n{{ items }}: 1", "2:1", "mapping keys must be strings"),
        ("{{ mapping | tojson }}: 1", "1:1", "mapping keys must be strings"),
        ("a: {{ {1: 2} }}", "1:4", "mapping keys must be strings"),
        ("a: {{ {1: 2} | tojson }}", "1:4", "mapping keys must be strings"),
        ("a: {{ mapping.items }}", "1:4", "a function; access a key of that name with x['name']"),
        ("a: {{ mapping.items() }}", "1:4", "a dict_items, which is not data; try '| list'"),
        ("a: {{ items | map('upper') }}", "1:4", "a generator, which is not data; try '| list'"),
        ("a: {{ name.encode() }}", "1:4", "a bytes, which is not data"),
        ("a: {{ range }}", "1:4", "a function"),
        ("a: {{ namespace(x=1) }}", "1:4", "a Namespace, which is not data"),
        ("a: {{ 10 ** 40 }}", "1:4", "more than 40 digits"),
        ("a: {{ number / 1e-320 }}", "1:4", "not finite"),
        ("a: {{ 'nan' | float | abs }}", "1:4", ""),
        ("a: {{ '\\ud800' }}", "1:4", "an unpaired surrogate"),
        ("a: {{ '\\ue001' }}", "1:4", "U+E000 to U+E009"),
        ("a: 1\nb: {{ v }}", "2:4", "U+E000 to U+E009"),
        ("a: {{ [v] }}", "1:4", "U+E000 to U+E009"),
        ("a: {{ {v: 1} }}", "1:4", "U+E000 to U+E009"),
        ("a: {{ v | tojson }}", "1:4", "U+E000 to U+E009"),
        ("{% macro m() %}\n{{ v }}{% endmacro %}a: {{ m() }}", "2:1", "U+E000 to U+E009"),
        ("a: {{ 1 }}\nb: c\ue000", "2:5", "U+E000 to U+E009"),
        ('a: {{ 1 }}\nb: "\\ue0000\\uE001"', "2:5", "U+E000 to U+E009"),
        ('a: {{ 1 }}\nb: "\\U0000e000"', "2:5", "U+E000 to U+E009"),
        ('a: {{ 1 }}\nb: "\\u{% if yes %}e0000{% endif %}\\ue{{ 1 }}"', "2:5", "U+E000 to U+E009"),
        ("a: {{ 1 }}\nb: \ue007", "2:4", "U+E000 to U+E009"),
        ("a: {{ '\\ue004' ~ 1 }}", "1:4", "U+E000 to U+E009"),
        # Text that would be another each time.
        ("a: {{ items | map('upper') ~ '' }}", "1:4", "a generator, which is not data"),
        ("a: {{ range ~ '' }}", "1:4", "a function"),
        ("a: {{ (range | string)[10:] }}", "1:4", "an object's memory address"),
        ("a: {{ items | map('upper') | string | upper }}", "1:4", "an object's memory address"),
        ("a: {{ ('%s' % name.upper) | length }}", "1:4", "an object's memory address"),
        ("a: {{ '{}'.format(name.upper) | reverse }}", "1:4", "an object's memory address"),
        ("a: {{ ['%s'] | map('format', name.upper) | list | length }}", "1:4", "an object's memory address"),
        ("a: {{ (mapping.keys() - ['a']) | list }}", "1:4", "returns an unordered set"),
        ("a: {{ 1 }}\nb: !{{ name }} x", "2:5", "while scanning a tag"),
        ("a: &{{ name }} 1", "1:5", "while scanning an anchor"),
        ("a: {{ 1 }}\nb: \0", "2:4", "'\\x00' is not allowed"),
    ],
)
def test_refused(template: str, place: str, words: str) -> None:
    problem = problem_of(template, v="\ue0000\ue001")
    assert problem.startswith(f"{place}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("template", "place", "words"),
    [
        # undefined names
        ("a: 1\nb: {{ nam }}", "2:4", "'nam' is undefined"),
        ("a: 1\nb: x{{ name }}-{{ nam }}", "2:16", "'nam' is undefined"),
        ("a: {{ [nam] }}", "1:4", "'nam' is undefined"),
        ("a: {{ mapping.b }}", "1:4", "has no attribute 'b'"),
        ("# c\n\na: {{ mapping.b.c }}", "3:4", "has no attribute 'b'"),
        ("a: {{ items[7] }}", "1:4", "has no element 7"),
        ("a: {{ name ~ nam }}", "1:4", "'nam' is undefined"),
        ("a: {{ 'x' if number == 4 }}", "1:4", "no else section"),
        ("a: {{ nam | upper }}", "1:4", "'nam' is undefined"),
        ("\n{% if nam %}\na: 1\n{% endif %}", "2:1", "'nam' is undefined"),
        ("a: 1\n{% for x in nam %}\n{% endfor %}", "2:1", "'nam' is undefined"),
        ("{% for x in items %}\na: 1\nb: {{ x }}{{ nam }}\n{% endfor %}", "3:11", "'nam' is undefined"),
        ("{% macro m() %}\n\n  {{ nam }}\n{% endmacro %}\na: {{ m() }}", "3:3", "'nam' is undefined"),
        ("{% macro m(x) %}\n  {{ x.y }}\n{% endmacro %}\na: {{ m(1) }}", "2:3", "has no attribute 'y'"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}\na: {{ m() }}", "1:17", "parameter 'x' was not provided"),
        ("{% set s %}\n{{ nam }}\n{% endset %}\na: {{ s }}", "2:1", "'nam' is undefined"),
        ("a: 1\n\n{{\n  nam\n}}", "3:1", "'nam' is undefined"),
        ("{%- if yes -%}\n\n\na: {{ nam }}\n{%- endif -%}", "4:4", "'nam' is undefined"),
        ("{#\n\n#}a: {{ nam }}", "3:6", "'nam' is undefined"),
        ("{% raw %}\n{{ x }}\n{% endraw %}\na: {{ nam }}", "4:4", "'nam' is undefined"),
        # What is undefined can be handed on: where it came up is told, not where that was noticed.
        (
            "\n[{% for x in tree recursive %}\n{{ loop(x.childen) }}{% endfor %}]",
            "3:1",
            "no attribute 'childen'",
        ),
        # other errors at run time
        ("a: 1\nb: {{ 1 // 0 }}", "2:4", "division"),
        ("a: 1\nb: {{ name + 1 }}", "2:4", "TypeError"),
        ("a: 1\nb: {{ name() }}", "2:4", "not callable"),
        ("a: 1\nb: {{ 'x' | round }}", "2:4", "TypeError"),
        ("a: 1\nb: {{ items | join(1, 2, 3) }}", "2:4", "TypeError"),
        ("a: 1\n{% set x, y = [1] %}", "2:1", "ValueError"),
        ("a: 1\n{% for x in 3 %}\n{% endfor %}", "2:1", "not iterable"),
        ("a: 1\n{% for x in range(10 ** 9) %}\n{% endfor %}", "2:1", "OverflowError"),
        ("{% macro m() %}\n{{ m() }}{% endmacro %}\na: {{ m() }}", "2:1", "recursion or nesting too deep"),
        ("a: {{ 1 }}\nb: {{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "1:4", "nesting too deep"),
        ("{% for x in items %}" * 30 + "{% endfor %}" * 30, "1:1", "too many statically nested blocks"),
        ("a: 1\nb: {% include 'x' %}", "2:4", ""),
        # syntax
        ("a: 1\nb: {{ 1 +", "2:4", "unexpected 'end of template'"),
        ("a: 1\nb: {{ 1 + }}", "2:4", "unexpected 'end of print statement'"),
        ("a: 1\nb: {{ name | nosuch }}", "2:4", "unknown filter 'nosuch'"),
        ("a: 1\nb: {{ name is nosuch }}", "2:4", "unknown test 'nosuch'"),
        ("a: 1\n\n{% nosuch %}", "3:1", "unknown tag 'nosuch'"),
        ("a: 1\n{% endif %}\n", "2:1", "unknown tag 'endif'"),
        ("a: 1\n{% if yes %}\nb: 1\n\n", "2:1", "missing '{% endif %}' for this 'if'"),
        ("a: 1\nb: {{ name }}\nc: {{ name }", "3:4", "unexpected '}'"),
        ("a: {# x", "1:4", "Missing end of comment tag"),
        ("a: 1\nb: {{ $ }}", "2:4", "unexpected char '$'"),
        ("a: 1\nb: {{ random }}", "2:4", "'random' is undefined"),
    ],
)
def test_errors_of_templates(template: str, place: str, words: str) -> None:
    problem = problem_of(template)
    assert problem.startswith(f"{place}: ")
    assert words in problem


def test_a_deep_value_is_refused() -> None:
    loop = "{% for i in range(COUNT) %}{% set n.x = [n.x] %}{% endfor %}"
    deeper = f"{{% set n = namespace(x=1) %}}{loop}\na: {{{{ n.x }}}}"
    assert value_of(deeper.replace("COUNT", str(MAX_DEPTH - 1)))
    for count in (MAX_DEPTH, 5000):
        assert problem_of(deeper.replace("COUNT", str(count))).startswith("2:4: ")


# --- the sandbox ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    """
    ''.__class__
    ''['__class__']
    '' | attr('__class__')
    ''['__cla' ~ 'ss__']
    ''.__class__.__mro__[1].__subclasses__()
    [].__class__.__base__.__subclasses__()
    dict.mro()
    dict.__subclasses__()
    range.__init__
    namespace.__init__.__globals__
    self.__init__.__globals__
    self._TemplateReference__context
    self.__dict__
    lipsum.__globals__
    cycler.__init__.__globals__
    joiner.__init__
    request.application
    config
    environment
    context
    __builtins__
    __import__('os')
    open('/etc/passwd')
    now()
    utcnow()
    time()
    [1, 2] | random
    [1, 2] | shuffle
    '{0.__class__}'.format(1)
    '{0.__class__.__mro__}'.format('')
    '{x.__class__}'.format_map({'x': 1})
    '{0[__class__]}'.format({})
    ('{0.__cla' ~ 'ss__}').format(1)
    ('{0.__class__}' | attr('format'))(1)
    ('{x.__class__}' | attr('format_map'))({'x': 1})
    '{0.__class__}'.format.__call__(1)
    ['{0.__class__}'.format][0](1)
    dict(f='{0.__class__}'.format).f(1)
    ''.join.__self__
    ('{0.__class__.__mro__}' | attr('format'))('')
    ('{x.__class__}' | attr('format_map'))(dict(x=1))
    (['{0.__class__}'] | map(attribute='format') | first)(1)
    ('{0.__class__}'['format'])(1)
    ['{0.__class__}'.format] | map('attr', '__self__') | list
    dict(f='{0.__class__}'.format)['f'](1)
    namespace(f='{0.__init__.__globals__}'.format).f(range)
    '{0.__init__.__globals__}'.format(secret)
    '{0._environment}'.format(range)
    '%(a)s' % dict.__class__
    secret.__globals__
    secret.__self__
    secret.__func__.__globals__
    dli_var.__globals__
    dli_var.__code__
    ('' | attr('__class__') | attr('__mro__'))[1]
    '' | attr('__cla' ~ 'ss__')
    ''['\x5f\x5fclass\x5f\x5f']
    'x' | map(attribute='__class__') | list
    [''] | map('attr', '\x5f\x5fclass\x5f\x5f') | list | first | attr('mro')
    (range | attr('__init__')).__globals__
    ('x' | list).__class__
    (1).real.__class__
    (1).to_bytes.__self__
    dict.fromkeys.__self__
    dict.__init_subclass__
    namespace.mro()
    undefined_name.__class__
    (1 if false).__class__
    [2, 1] | sort(attribute='__class__')
    [2, 1] | min(attribute='__class__')
    [1] | unique(attribute='__class__') | list
    {'a': 1} | dictsort(by='__class__')
    self.b
    (items | map('upper')).gi_frame
    (items | map('upper')).gi_code
    (items | select).gi_frame.f_globals
    super.__self__
    varargs.__class__
    ['x'] | map(attribute='__class__') | list
    ['x'] | sum(attribute='__class__')
    ['x'] | groupby('__class__')
    ['x'] | map('attr', '__class__') | list
    items.append(1)
    items.sort()
    items.clear()
    mapping.update({'a': 1})
    mapping.pop('a')
    mapping.setdefault('z', 1)
    (1).__class__
    none.__class__
    yes.__class__
    caller()
    loop
    super()
    """.strip().splitlines(),
)
def test_the_sandbox_has_no_way_out(expression: str) -> None:
    documents, problems = read(f"a: 1\nb: {{{{ {expression} }}}}\n")
    assert not documents
    assert problems[0].startswith("2:4: ")


@pytest.mark.parametrize(
    "call", ["update(mapping, items=8)", "pop(mapping, 'a')", "clear(mapping)", "setdefault(mapping, 'b', 8)"]
)
def test_no_file_changes_the_values_of_others(call: str) -> None:
    assert problem_of(f"a: {{{{ dict.{call} }}}}").startswith("1:4: access to attribute ")
    assert problem_of(f"a: {{{{ (dict | attr('{call.partition('(')[0]}'))({call.partition('(')[2]} }}}}")
    assert value_of("a: {{ mapping }}") == {"a": VALUES["mapping"]}
    assert value_of("a: {{ dict.fromkeys(['b'], 8) }}") == {"a": {"b": 8}}


@pytest.mark.parametrize("filter_", ["selectattr", "rejectattr"])
def test_a_filter_sees_no_attribute_either(filter_: str) -> None:
    _, problems = read(f"a: {{{{ ['x'] | {filter_}('__class__') | list }}}}")
    assert not problems or problems[0].startswith("1:4: ")
    assert "class" not in str(
        read(f"a: {{{{ ['x'] | {filter_}('__class__.__name__', 'eq', 'str') | list }}}}")[0]
    )


@pytest.mark.parametrize(
    "statement",
    ["include 'f'", "include '/etc/passwd'", "extends '../f'", "import 'os' as os", "from 'x' import y"],
)
def test_no_file_is_read(statement: str) -> None:
    assert problem_of(f"a: 1\n{{% {statement} %}}\n").startswith("2:1: ")


def test_values_cannot_be_changed_for_the_next_file() -> None:
    values = {"items": ["a"], "mapping": {"a": 1}}
    engine = Engine(Path("no-such-folder"), values, ())
    engine.render("f", "{% set items = [1] %}{% set mapping = 2 %}{{ items }}{{ mapping }}")
    rendered = engine.render("g", "[{{ items }}, {{ mapping }}]")
    assert isinstance(rendered, RenderedText)
    assert parse(rendered)[0][0].value == [["a"], {"a": 1}]
    assert values == {"items": ["a"], "mapping": {"a": 1}}


def test_the_same_template_gives_the_same_text() -> None:
    text = "a: {{ mapping }}\nb: {{ items | unique | list }}\nc: {{ mapping | dictsort }}"
    assert value_of(text) == value_of(text)


# --- the author's place -----------------------------------------------------------------------------------

BEFORE = """\
{# A comment
   of two lines #}
{%- set names = ["a", "b", "c"] -%}
{% macro jar(name) -%}
  obs://b/{{ name }}.py
{%- endmacro %}

{% for name in names %}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: {{ name }}, labels: {team: "{{ name }}"}}
spec:
  file: {{ jar(name) }}
  queue: q
  {% if name == "b" -%}
  args: ["{{ name }}",
    "x"]
  {%- else %}
  className: |-
    com.example.{{ name }}
    .Main
  {%- endif %}
{% endfor %}
---
"""
BATCH = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: z}
spec:
  file: {{ jar("z") }}
  queue: {{ "q" }}
"""
AFTER = "\n{% if false %}\nx\n{% endif %}\n---\n{% raw %}\n{% endraw %}\n"

# `§` stands where the error is, `¶` in front of a line of which only the line is told.
MISTAKES = [
    BATCH + "  §numExecutor: {{ 3 }}\n",
    BATCH + "  numExecutors: §\"{{ '3' }}\"\n",
    BATCH + '  numExecutors: §"{{ 3 }}0"\n',
    BATCH + "  numExecutors: §{{ 'x' }}\n",
    BATCH + "  numExecutors: §x{{ 3 }}\n",
    BATCH + "{% if true %}\n  numExecutors: §{{ 3.5 }}\n{% endif %}\n",
    BATCH + "  {% if true %}numExecutors: §three{% endif %}\n",
    BATCH + "  args:\n{% for n in [1, 2] %}\n    - a\n    - §{{ n }}\n{% endfor %}\n",
    BATCH + '  args: ["{{ 1 }}", §{{ 2 }}, "3"]\n',
    BATCH + "  args:\n    {%- for n in [1] %}\n    - '{{ n }}'\n    - §{{ n }}\n    {%- endfor %}\n",
    BATCH + "  conf:\n    a: |\n      {{ 1 }}\n      {{ 2 }}\n    b: §{{ [1] }}\n",
    BATCH + "  conf: {a: {{ 1 }}, b: §{x: {{ 1 }}}}\n",
    BATCH + "  {{ 'driverCores' }}: 1\n  §driver_core: 1\n",
    BATCH + "  §{{ 'driverCore' }}: 1\n",
    BATCH + "  driverCores: 1\n  §{{ 'driverCores' }}: 2\n",
    BATCH + "{#\n\n#}  conf: {a: §{{ nothing }}}\n".replace("nothing", "none"),
    BATCH + "dependsOn:\n{% for n in names %}\n- §{{ n }}x{{ n }}\n{% endfor %}\n",
    BATCH + "lifecycle: {onChange: §{{ 'blok' }}}\n",
    BATCH + 'lifecycle:\n  {{ "rerun" }}: §"2024-{{ "02" }}-30T00:00:00Z"\n',
    BATCH + "lifecycle:\n  §{{ 'state' }}s: present\n",
    BATCH.replace("metadata: {name: z}", "metadata: {name: §{{ 7 }}}"),
    BATCH.replace("metadata: {name: z}", "metadata:\n  name: {% if true %}\n    §{{ 7 }}\n    {% endif %}"),
    BATCH.replace("{name: z}", "{name: §{{ names[1] }}}"),
    BATCH.replace("kind: ", "kind: §{{ 'x' }}"),
    BATCH.replace("apiVersion: deployer/v1", "apiVersion: §deployer/{{ 'v2' }}"),
    BATCH.replace("apiVersion: deployer/v1\n", "").replace("kind", "¶kind"),
    BATCH.replace('{{ "q" }}', '§{{ ["q"] }}'),
    BATCH.replace('{{ "q" }}', '{{ "q" }}-§{{ ["q"] }}'),
    BATCH + "  args:\n    - §[\n  conf: 1\n",
    BATCH + "  args: [{{ 1 }},\n    {{ 2 }}\n¶  conf: 1\n  x: {{ 3 }}\n",
    BATCH + "  x: §{{ nosuch }}\n",
    BATCH + "¶ bad: {{ 1 }}\n",
    BATCH
    + "  {% for n in [1] -%}\n  numExecutors: {{ n }}: {{ n }}\n  {% endfor %}\n".replace("  num", "¶  num"),
    "{{ {'kind': 'x'} }}".replace("{{", "§{{", 1),
    "§- {{ 1 }}\n- {{ 2 }}\n",
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_where_the_author_made_it(bare: Workspace, mistake: str) -> None:
    marked = BEFORE + mistake + AFTER
    place = re.search("[§¶]", marked)
    assert place
    line, column = (
        marked.count("\n", 0, place.start()) + 1,
        place.start() - marked.rfind("\n", 0, place.start()),
    )
    bare.write("jobs/a.yaml", marked.replace(place[0], ""))
    ran = bare.run("validate")
    reported = re.findall(r"^jobs/a\.yaml:(\d+):(\d+): error: ", ran.err, re.MULTILINE)
    assert ran.code == 4
    assert {int(found) for found, _ in reported} == {line}, ran.err
    assert place[0] == "¶" or {int(found) for _, found in reported} == {column}, ran.err


def test_the_templates_around_the_mistakes_are_sound(bare: Workspace) -> None:
    bare.write("jobs/a.yaml", BEFORE + BATCH + AFTER)
    ran = bare.run("validate")
    assert (ran.code, ran.err) == (0, "")
    assert "4 jobs" in ran.out


def test_a_long_line_of_expressions_takes_no_time() -> None:
    text = "a: [{% for i in range(20000) %}{{ i }}, {% endfor %}]"
    assert value_of(text)["a"] == list(range(20000))


ATOMS = """
{{ name }};{{ evil }};{{ items }};{{ nosuch }};{{ mapping }};{{ s }};{{ m() }};{{ caller() }};{{ loop(tree) }}
;{{ self.b() }};{{ x | tojson }};{{- 1 -}};{# #};{{;{%;[;];, ;';";|;>;& ;*;#;---;a: ;b: ;\ue000;{};\n;\n  ; ;
"""
BLOCKS = """
{% if yes %}@{% else %}@{% endif %}
{%- if yes -%} @ {%- elif 1 -%}@{%- endif -%}
{% for x in items %}@{% endfor %}
{% for x in tree recursive %}@{{ loop(x.children) }}@{% else %}@{% endfor %}
{% set s %}@{% endset %}
{% set s = 1 %}@
{% macro m() %}@{% endmacro %}@
{% call m() %}@{% endcall %}
{% filter upper %}@{% endfilter %}
{% with x = 1 %}@{% endwith %}
{% block b scoped %}@{% endblock %}
{% raw %}@{% endraw %}
{% autoescape true %}@{% endautoescape %}
"""
TEMPLATES = st.recursive(
    st.sampled_from(ATOMS.split(";")),
    lambda inner: st.lists(inner | st.sampled_from(BLOCKS.strip().split("\n")), max_size=4).map(
        lambda parts: functools.reduce(lambda text, part: text.replace("@", part, 1), parts, "@@@").replace(
            "@", ""
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(TEMPLATES)
def test_no_template_raises(text: str) -> None:
    documents, problems = read(text)
    assert "\ue000" not in str(documents)
    assert all(1 <= int(problem.split(":")[0]) <= text.count("\n") + 1 for problem in problems), problems


# --- all problems of a file, and what may have been meant -------------------------------------------------


def test_every_undefined_name_is_told() -> None:
    documents, problems = read(
        "a: {{ nam }}\nb: {{ mapping.aa }} {{ [1] }}{{ range }}\n"
        "{% set s %}{{ itms }}{% endset %}\n{% for x in items %}{{ x }}{{ nam }}{% endfor %}"
    )
    assert not documents
    assert problems == [
        "1:4: 'nam' is undefined; did you mean 'name'?",
        "2:4: 'dict object' has no attribute 'aa'; did you mean 'a'?",
        "2:30: the expression returns a function; access a key of that name with x['name']",
        "3:12: 'itms' is undefined; did you mean 'items'?",
        "4:28: 'nam' is undefined; did you mean 'name'?",
    ]


def test_no_more_problems_than_a_person_reads() -> None:
    _, problems = read("\n".join(f"a{number}: {{{{ nosuch }}}}" for number in range(500)))
    assert len(problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nmae }}", "; did you mean 'name'?"),
        ("{% set colour = 1 %}{{ color }}", "; did you mean 'colour'?"),
        ("{{ secrets('A') }}", "; did you mean 'secret'?"),
        ("{{ mapping.itemz }}", "; did you mean 'items'?"),
        ("{{ mapping['itemz'] }}", "; did you mean 'items'?"),
        ("{{ mapping.q }}", "; known: a, items"),
        ("{% if nmae %}{% endif %}", "; did you mean 'name'?"),
        ("{{ nmae | upper }}", "; did you mean 'name'?"),
    ],
)
def test_the_nearest_name_is_told(template: str, words: str) -> None:
    assert problem_of(template).endswith(words)


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("# {{ nam }}", True),
        ("  # old: {% if nam %}x{% endif %}", True),
        ("a: x # {{ nam }}", True),
        ("a: 'it''s' # {{ nam | upper }}", True),
        ("a: don't # {{ nam }}", True),
        ("# {{ 1 + }}", True),
        ("# {% include 'x' %}", True),
        ("a: '# {{ nam }}'", False),
        ('a: "x # {{ nam }}"', False),
        ("a: x#{{ nam }}", False),
        ("{# c #}a: {{ nam }}", False),
        ("a: {{ nam }} # x", False),
    ],
)
def test_in_a_comment_the_error_tells_that_jinja_reads_it(template: str, hint: bool) -> None:
    problem = problem_of(template)
    assert problem.endswith("use {# ... #} to comment out a template") is hint
    assert ("Jinja also evaluates YAML comments" in problem) is hint


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ nam }}", Code.UNDEFINED),
        ("{{ nam + 1 }}", Code.UNDEFINED),
        ("{{ none | required }}", Code.UNDEFINED),
        ("{{ 1 + }}", Code.TEMPLATE_SYNTAX),
        ("{% nosuch %}", Code.TEMPLATE_SYNTAX),
        ("{% block b %}{% endblock %}{% block b %}{% endblock %}", Code.TEMPLATE_SYNTAX),
        ("{% print 1 %}", Code.TEMPLATE_SYNTAX),
        ("{{ 1 // 0 }}", Code.TEMPLATE_ERROR),
        ("{{ ''.__class__ }}", Code.TEMPLATE_ERROR),
        ("{{ range }}", Code.NOT_DATA),
        ("{% set s %}{{ [1] }}{% endset %}", Code.NOT_DATA),
        ("{% include 'x' %}", Code.INCLUDE),
        ("{{ '\ue000' }}", Code.RESERVED_CHARACTER),
        ("{{ '\\ue000' }}", Code.RESERVED_CHARACTER),
        ("{{ range(10 ** 6) }}", Code.TEMPLATE_LIMIT),
        ("{{ 'x' * 10 ** 9 }}", Code.TEMPLATE_LIMIT),
        ("{{ (10 ** 30) ** 400 }}", Code.TEMPLATE_LIMIT),
        ("{{ 'x' | center(10 ** 7) }}", Code.TEMPLATE_LIMIT),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", Code.TEMPLATE_LIMIT),
        ("{{ secret('A') }}", Code.SECRET_NAME),
    ],
)
def test_codes(template: str, code: Code) -> None:
    rendered = ENGINE.render("f", template)
    assert isinstance(rendered, tuple)
    assert [problem.code for problem in rendered] == [code]


def test_what_is_required() -> None:
    assert value_of("[{{ name | required }}, {{ 0 | required }}, {{ [] | required('x') }}]") == [
        "orders",
        0,
        [],
    ]
    _, problems = read(
        "a: {{ nmae | required }}\nb: {{ mapping.q | required('say which') }}\n"
        "c: {{ nothing | required }}\n{% set d = '' | required %}e: {{ d }}{{ d ~ 1 }}"
    )
    assert problems == [
        "1:4: 'nmae' is undefined; did you mean 'name'?",
        "2:4: say which",
        "3:4: a required value is null",
        "4:1: a required value is empty",
    ]


# --- filters and functions of our own ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{{ mapping | to_yaml }}", VALUES["mapping"]),
        ("{{ 'no' | to_yaml }}", "no"),
        ("{{ evil | to_yaml }}", VALUES["evil"]),
        ("'{{ items | to_yaml }}'", "- a\n- b"),
        ("|-\n  x:\n  {{ mapping | to_yaml }}", "x:\na:\n  b:\n  - 1\n  - x\nitems: 7"),
        ("x{{ ['1', 'no', '1.0', 'a: b'] | to_yaml }}", "x- '1'\n- 'no'\n- '1.0'\n- 'a: b'"),
        ("{{ (items | to_yaml).split('\\n') }}", ["- a", "- b"]),
        ("{{ 'aé' | b64encode }}", "YcOp"),
        ("{{ 3 | b64encode }}", "Mw=="),
        ("{{ 'a' | sha256 }}", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("{{ 'a b/é?' | urlencode }}", "a%20b/%C3%A9%3F"),
        ("{{ {'q': 'a b'} | urlencode }}", "q=a+b"),
        ("{{ dli_var('topic') }}", "{{topic}}"),
        ('"a-{{ dli_var("a.b-c_1") }}"', "a-{{a.b-c_1}}"),
    ],
)
def test_filters_of_our_own(expression: str, value: Any) -> None:
    assert value_of(f"a: {expression}\n") == {"a": value}


@pytest.mark.parametrize(
    "expression",
    [
        "items | b64encode",
        "items | sha256",
        "range | to_yaml",
        "dli_var('1')",
        "dli_var('a b')",
        "dli_var(1)",
    ],
)
def test_filters_of_our_own_refuse(expression: str) -> None:
    assert problem_of(f"a: 1\nb: {{{{ {expression} }}}}").startswith("2:4: ")


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ db.host ~ x }}", "db.host x"),
        ("{{ db['host'] }}{{ x }}{{ db.host }}", "db.host x"),
        ("{{ y[0].w }}", "y.0.w"),
        ("{{ 'x' ~ 3 }}", ""),
        ("{{ db.values() | join(x) }}", "db x"),
        ("{{ range(x | length) }}{{ secret('S') }}{{ dli_var('v') }}", "x"),
        # A name of the template's own is no value, even if there is a value of that name.
        ("{% for r in regions %}{{ r.name }}{{ x }}{% endfor %}", "x"),
        ("{% for k, x in db.items() %}{{ x }}{{ loop.index }}{% endfor %}", ""),
        ("{% set x = db %}{{ x.host }}", ""),
        ("{% if x %}{% set q = x %}{% else %}{% set q = y %}{% endif %}{{ q ~ x }}", "x"),
        ("{% set q = namespace(v=x) %}{% set q.v = y %}{{ q.v | string }}", ""),
        ("{% set s %}{{ x }}-{{ db.host }}{% endset %}{{ s }}", ""),
        ("{% macro m(a) %}{{ a }}{{ x }}{% endmacro %}{{ m(db.host) }}", "db.host"),
        ("{% macro x() %}{{ caller() }}{% endmacro %}{% call x() %}{{ db.host }}{% endcall %}", ""),
        ("{% macro m(a) %}{{ caller() }}{% endmacro %}{% call m(x) %}{{ db.host }}{% endcall %}", "x"),
        ("{% filter replace('a', y) %}{{ x }}{% endfilter %}", "y"),
        ("{% with x = y %}{{ x }}{% endwith %}{{ each.b }}", "each.b"),
    ],
)
def test_the_names_that_stand_in_an_expression(template: str, names: str) -> None:
    values = {"x": "a", "y": [{"w": 1}], "db": {"host": "h"}, "regions": [{"name": "n"}]}
    engine = Engine(Path("no-such-folder"), values, {"S"})
    rendered = engine.render("f", template, {"each": {"b": 1}})
    assert isinstance(rendered, RenderedText)
    assert rendered.names(rendered.text) == tuple(names.split())
