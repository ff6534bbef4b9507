"""The fast path of templates: what it fills is, to the last location, what the renderer makes of the whole text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents.parse import InvalidPlaceholder, YamlText, parse
from deployer.model import Location
from deployer.templates import protocol, worker
from deployer.templates.engine import Engine
from deployer.templates.hole_text import HoleText
from deployer.templates.holes import MAX_EXPRESSIONS, MAX_TAGS, Holes, Questions, groups
from deployer.templates.rendered import MAX_TEXT, PLACEHOLDER, RenderedText
from deployer.templates.sandbox import BATCH, Sandbox, Task

VALUES: dict[str, Any] = {
    "name": "orders",
    "evil": "x\"'\nqueue: prod\n--- # {{ 1 }} {a: [",
    "empty": "",
    "number": 3,
    "ratio": 1.5,
    "yes": True,
    "nothing": None,
    "items": ["a", "b", "é"],
    "mapping": {"a": {"b": [1, "x"]}, "items": 7},
    "half": "\ud800",
}
EACH = {"each": {"x": "é", "n": 7}}
# What folders have in place of those.
OVERLAYS: list[dict[str, Any]] = [
    {"name": "reports", "number": "4"},
    {"name": 5, "mapping": {"a": {"b": []}}},
]
ENGINE = Engine(Path(__file__).parent, VALUES, {"PASSWORD"}, OVERLAYS)

DATA = st.sampled_from(
    [
        *"ab:-,[]{}'\"\\#\t é",
        "a: ",
        "b: ",
        "- ",
        "  ",
        " # c",
        "---\n",
        "|\n  ",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "}}",
        "%}",
    ]
)
RARE_DATA = st.sampled_from(
    [
        "#}",
        "{{",
        "{%",
        "{#",
        "{{-",
        "\\ue001",
        "\ue003",
        "\ufeff",
        "\u2028",
        "\0",
        "😀",
        "&x ",
        "*x",
        "<<: ",
        "!!str ",
    ]
)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


EXPRESSIONS = lines(
    r"""
    name
    evil
    empty
    number
    ratio
    yes
    nothing
    items
    mapping
    items[0] ~ '-x'
    mapping | tojson
    mapping | to_yaml
    nosuch | default('d', true)
    items | length
    secret('PASSWORD')
    'p' ~ secret('PASSWORD')
    secret('PASSWORD') | sha256
    dli_var('x')
    mapping.a.b
    1, 2
    + 1
    'é' ~ "\t"
    'a\'b' ~ '\n'
    "it's #1"
    range(3)
    range(3) | list
    items | join('\\')
    not yes
    10 ** 39
    items | map('upper') | list
    '%d' % number
    number if yes else nosuch
    dict(a=1)
    mapping['a']
    each
    each.x
    [each.n, name]
    each.x ~ name
    """
)
RARE = [
    *lines(
        r"""
        nosuch
        mapping.nosuch
        secret('NONE')
        each.nosuch
        namespace(x=1)
        self
        super()
        loop
        caller()
        loop.index
        '}}'
        {'a': 1}
        {'a': {}}['a']
        (name
        name |
        name -
        1 +
        - name
        name | nosuch
        1 / 0
        half
        '{{'
        '%}'
        '#}'
        x = 1
        name # c
        dict.update(mapping, x=1)
        items.append(1)
        items | random
        '\ue000'
        name.__class__
        k
        k.x
        """
    ),
    *("", "'\t'", "'a\nb'", "\uff4eame"),
]
STATEMENTS = [
    ("{%\n if\nyes %}", "{%endif\t%}"),
    *(
        tuple(line.split(" ... "))
        for line in lines(
            """
        {% if yes %} ... {% endif %}
        {%if number > 3%} ... {% else %} ... {%endif%}
        {% if nothing %} ... {% elif name == 'x' %} ... {% else %} ... {% endif %}
        {%- if yes -%} ... {%- else -%} ... {%- endif -%}
        {% if yes -%} ... {%- endif %}
        {% set k = 'k' %} ... {{ k }}
        {%- set k=1, 2 %} ... {{ k }}
        {% for k in items %} ... {% endfor %}
        {%- for k in items %} ... {%- endfor %}
        {% for k in items -%} ... {% endfor -%}
        {% for k in [] %} ... {% else %} ... {% endfor %}
        {% for k in items %}{{ loop.index }} ... {{- k }}{% endfor %}
        {% for k in each.x %} ... {% endfor %}
        {# a 'comment: #} ... {#- x -#}
        {% import 'macros.yaml' as m %} ... {{ m.f(name) }}
        {% from "macros.yaml" import f as g, n without context %} ... {{ g(k=number) }} ... {{ n }}
        """
        )
    ),
]
RARE_STATEMENTS = [
    *(
        tuple(line.split(" ... "))
        for line in lines(
            """
            {%+ if yes %} ... {% endif %}
            {% if yes %} ... {% endif +%}
            {% set k %} ... {% endset %}{{ k }}
            {% set k | upper %} ... {% endset %}
            {% macro m() %} ... {% endmacro %}{{ m() }}
            {% raw %} ... {% endraw %}
            {# ... #}{{ name } #}
            {#+ c #} ... {# { #}
            {% filter upper %} ... {% endfilter %}
            {% for k in items recursive %} ... {{ loop([]) }}{% endfor %}
            {% block b %} ... {% endblock %}
            {% with k = 1 %} ... {% endwith %}
            {% include 'nosuch' ignore missing %} ... {{ name }}
            {% if nosuch %} ... {% endif %}
            {% if %} ... {{ name }}
            {% endif %} ... {{ name }}
            {% for k in items %} ... {{ name }}
            {% print name %} ... {{ name }}
            {% import './macros.yaml' as m %} ... {{ m.f(name) }}
            {% import 'macros' ~ '.yaml' as m with context %} ... {{ m.f(name) }}
            {% import '' ~ 'macros.yaml' as m %} ... {{ m.f(name) }}
            {% import name as m %} ... {{ m.f(name) }}
            {% from 'nosuch.yaml' import f %} ... {{ f(name) }}
            """
        )
    ),
]
TAGS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["{{ ", "{{", "{{- ", "{{\n"]),
    st.sampled_from(EXPRESSIONS),
    st.sampled_from([" }}", "}}", "-}}"]),
)
RARE_TAGS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["{{ ", "{{+ ", "{{"]),
    st.sampled_from([*EXPRESSIONS, *RARE]),
    st.sampled_from([" }}", " +}}", "}}"]),
)


def texts(data: Any, tags: Any, statements: Any) -> Any:
    """Texts of data and tags, and with statements around parts of them."""

    def around(inner: Any) -> Any:
        def woven(tags: tuple[str, ...], bodies: list[str]) -> str:
            return "".join(
                itertools.chain(*itertools.zip_longest(tags, bodies[: len(tags) - 1], fillvalue=""))
            )

        parts = inner | st.builds(woven, st.sampled_from(statements), st.lists(inner, min_size=3, max_size=3))
        return st.lists(parts, max_size=4).map("".join)

    plain = st.lists(data | tags, max_size=12).map("".join)
    return plain if statements is None else st.recursive(plain, around, max_leaves=6)


HOLES = texts(DATA, TAGS, None)
WITH_STATEMENTS = texts(DATA, TAGS, STATEMENTS)
ANYTHING = texts(DATA | RARE_DATA, TAGS | RARE_TAGS, [*STATEMENTS, *RARE_STATEMENTS])


def answer(questions: Questions) -> None:
    """Ask the renderer."""
    asked = [
        (group[0].each, group[0].overlay, [question.text for question in group])
        for group in groups(questions.unsent)
    ]
    response = worker.answers(ENGINE, protocol.decoded(protocol.encoded(asked)))
    for question, answered in zip(questions.unsent, protocol.decoded(response)["answers"], strict=True):
        question.close(answered)
    questions.unsent.clear()


def filled(text: str, each: Mapping[str, Any] | None = None) -> HoleText | None:
    questions = Questions()
    holes = questions.of(text, each)
    if holes is None:
        return None
    answer(questions)
    assert not holes.are_open()
    return holes.filled("f", ("way",))


def whole(text: str, each: Mapping[str, Any] | None = None, overlay: int = 0) -> RenderedText:
    rendered = ENGINE.render("f", text, each, overlay)
    assert isinstance(rendered, RenderedText), rendered
    return RenderedText.from_json(protocol.decoded(protocol.encoded(rendered.to_json())), ("way",))


def contents(text: YamlText, scalar: str) -> Any:
    try:
        return text.fill(scalar, plain=True), text.fill(f"-{scalar}", plain=True)
    except InvalidPlaceholder as error:
        return str(error), error.location, error.code


def agree(text: str, each: Mapping[str, Any] | None) -> bool:
    """Whether the fast path takes a text; it must then say the same as the renderer about all of it."""
    quick = filled(text, each)
    if quick is None:
        return False
    careful = whole(text, each)
    assert quick.text == careful.text
    lines = careful.text.split("\n")
    for number, line in enumerate([*lines, "", ""]):
        for column in range(len(line) + 3):
            assert quick.location(number, column) == careful.location(number, column), (number, column)
    for shown in PLACEHOLDER.finditer(careful.text):
        assert quick.names(shown[0]) == careful.names(shown[0])
        assert quick.origin(int(shown[1])) == careful.origin(int(shown[1]))
        assert contents(quick, shown[0]) == contents(careful, shown[0])
    assert quick.names(quick.text) == careful.names(careful.text)
    assert list(map(str, parse(quick))) == list(map(str, parse(careful)))
    return True


@settings(deadline=None, max_examples=300)
@given(st.one_of(HOLES, WITH_STATEMENTS, ANYTHING), st.sampled_from([None, EACH]))
def test_both_paths_agree(text: str, each: Mapping[str, Any] | None) -> None:
    agree(text, each)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*EXPRESSIONS, *RARE]), max_size=8), st.sampled_from([None, EACH]))
def test_expressions_do_not_affect_each_other(expressions: list[str], each: Mapping[str, Any] | None) -> None:
    """Those of many files are compiled together: each has the value that it has alone, also beside wrong ones."""
    questions = Questions()
    texts = [f"a: {{{{ {expression} }}}}" for expression in expressions]
    holes = [questions.of(text, each) for text in texts]
    answer(questions)
    for text, found in zip(texts, holes, strict=True):
        together = found and found.filled("f", ("way",))
        if together and not each:
            assert contents(together, "\ue0000\ue001") == contents(whole(text), "\ue0000\ue001")
        if not each:
            assert (together is None) == (filled(text) is None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(HOLES, WITH_STATEMENTS),
            st.sampled_from([None, EACH]),
            st.integers(0, len(OVERLAYS)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_files_of_folders_with_values_of_their_own_agree(
    files: list[tuple[str, Mapping[str, Any] | None, int]],
) -> None:
    """Each file sees the values of its own folder, in whatever order the files are read."""
    questions = Questions(OVERLAYS)
    found = [(questions.of(text, each, overlay), text, each, overlay) for text, each, overlay in files]
    answer(questions)
    for holes, text, each, overlay in found:
        quick = holes and holes.filled("f", ("way",))
        if quick:
            careful = whole(text, each, overlay)
            assert quick.text == careful.text
            for shown in PLACEHOLDER.finditer(careful.text):
                assert contents(quick, shown[0]) == contents(careful, shown[0])


def test_an_expression_is_asked_once_for_all_folders_that_do_not_change_it() -> None:
    questions = Questions(OVERLAYS)
    for overlay in (0, 1, 2, 1):
        questions.of("a: {{ name }}\nb: {{ number }}\nc: {{ ratio }}\n", None, overlay)
    assert [(question.text, question.overlay) for question in questions.unsent] == [
        ("{{ name }}", 0),
        ("{{ number }}", 0),
        ("{{ ratio }}", 0),
        ("{{ name }}", 1),
        ("{{ number }}", 1),
        ("{{ name }}", 2),
    ]


def test_what_a_file_imports_sees_the_values_of_its_folder() -> None:
    questions = Questions(OVERLAYS)
    text = '{% from "macros.yaml" import greeting %}a: {{ greeting() }}\n'
    for overlay in (0, 1, 2):
        questions.of(text, None, overlay)
    assert [question.overlay for question in questions.unsent] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"a: {{{{ {expression} }}}}\r\nb: x-{{{{{expression}}}}}"
            for expression in EXPRESSIONS
            if expression not in ("half", "+ 1")
        ),
        *(f"{tags[0]}x: 1\n{'y: 1'.join(tags[1:])}" for tags in STATEMENTS),
        "a: {{ name }}{{ name }}",
        "{{ name }}",
        "\n  {{- name -}}  \r\n: {{--1}}\n\n",
        "a: 1 # {# x\ny #}\n{#- #} b: {{ name }}",
        "{{ name }}: }} %} #} { }\n",
        "a: é{{ name }}é\n😀: {{ name }}",
        "{% if yes %}\n{% for k in items %}\n{{ k }}: {{ loop.index }}\n{% endfor %}\n{% endif %}",
        "{% set n = namespace(x=1) %}{% for k in items %}{% set n.x = n.x + 1 %}{% endfor %}a: {{ n.x }}",
        "{% if nothing %}a: 1{% endif %}",
    ],
)
def test_what_is_filled(text: str) -> None:
    assert agree(text, EACH)


@pytest.mark.parametrize(
    "text",
    [
        *(f"a: {{{{ {expression} }}}}" for expression in [*RARE, "half"]),
        *(f"a: {tags[0]}x{tags[1]}" for tags in RARE_STATEMENTS),
        *(
            "a: {{ name }}{{",
            "{{{ name }}",
            "a: {{ name }} # {% x",
            "a: {{ name }}\ue002",
            'a: {{ name }}"\\ue002"',
        ),
        *(
            "a: {{+ name }}",
            "a: {{ name +}}",
            "a: {{ name --}}",
            "a: {{--}}",
            "{{-}} \n{{ name }}",
        ),
        "{{ name }}" * (MAX_EXPRESSIONS + 1),
        "{% if yes %}" + "{{ name }}" * MAX_TAGS + "{% endif %}",
        "{% for k in range(9999) %}" + "x" * (MAX_TEXT // 9999 + 1) + "{% endfor %}",
    ],
)
def test_what_is_rendered_whole(text: str) -> None:
    assert filled(text) is None


# --- what is asked ---------------------------------------------------------------------------------------


def test_an_expression_is_asked_once() -> None:
    questions = Questions()
    for number in range(100):
        questions.of(f"a{number}: {{{{ name }}}}-{{{{ number }}}}", None)
        questions.of(f"{{% if yes %}}a: {number}\n{{% endif %}}{{{{ name }}}}", {"each": number})
    assert [question.text for question in questions.unsent] == [
        "{{ name }}",
        "{{ number }}",
        "{% if yes %}2;{% endif %}5:{{ name }}",
    ]


def test_what_uses_each_is_asked_for_each() -> None:
    questions = Questions()
    found = [questions.of("a: {{ name }}-{{ each }}", {"each": number}) for number in range(3)]
    assert [(question.text, question.each) for question in questions.unsent] == [
        ("{{ name }}", None),
        *(("{{ each }}", {"each": number}) for number in range(3)),
    ]
    answer(questions)
    texts = [holes and holes.filled("f", ()) for holes in found]
    assert [parse(text)[0][0].value for text in texts if text] == [
        {"a": f"orders-{number}"} for number in range(3)
    ]


def test_a_value_of_the_project_is_not_that_of_an_item() -> None:
    questions = Questions()
    texts = ["a: {{ name }}", "{% if yes %}a: {{ name }}{% endif %}"]
    of_all = [questions.of(text, None) for text in texts]
    of_one = [questions.of(text, {"name": "item"}) for text in texts]
    answer(questions)
    for found, name in ((of_all, "orders"), (of_one, "item")):
        filled_texts = [holes and holes.filled("f", ()) for holes in found]
        assert [parse(text)[0][0].value for text in filled_texts if text] == [{"a": name}] * 2


def test_a_wrong_expression_concerns_only_its_texts() -> None:
    questions = Questions()
    sound, wrong = questions.of("a: {{ name }}", None), questions.of("a: {{ name }}{{ nosuch }}", None)
    answer(questions)
    assert sound
    assert wrong
    assert sound.filled("f", ())
    assert wrong.filled("f", ()) is None


def test_documents_do_not_share_a_value() -> None:
    questions = Questions()
    found = [questions.of("a: {{ mapping }}", None) for _ in range(2)]
    answer(questions)
    first, second = [parse(text)[0][0].value for holes in found if holes and (text := holes.filled("f", ()))]
    first["a"]["a"]["b"].append(2)
    assert second == {"a": VALUES["mapping"]}


ANSWER: dict[str, Any] = {"text": "\ue0000\ue001", "slots": [[1, None, []]]}


WRONG_SLOTS: list[list[Any]] = [[1], [1, 1, []], [1, None, 1], [1, None, [1]], [1, None, [], 1]]


@pytest.mark.parametrize(
    "data",
    [
        *([], 1, "text", {}, {"text": "x"}, ANSWER | {"slots": 1}, ANSWER | {"slots": [1]}),
        *(ANSWER | {"slots": [slot]} for slot in WRONG_SLOTS),
    ],
)
def test_what_is_no_answer(data: Any) -> None:
    (question,) = holes_of("{{ name }}").questions
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        question.close(data)


@pytest.mark.parametrize(
    "answered", [{**ANSWER, "text": text} for text in ("", "x", "\ue0001\ue001", "\ue0000\ue001 ")]
)
def test_an_answer_to_something_else_fills_nothing(answered: Any) -> None:
    holes = holes_of("a: {{ name }}")
    holes.questions[0].close(answered)
    assert holes.filled("f", ()) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "x",
            "0",
            "0;x",
            "00;1:\ue0000\ue001x",
            "1:\ue0001\ue001",
            "1;",
            "0:\ue0000\ue001",
            "9;",
            "99999999999;",
            "1:",
        ),
        *("3:\ue0000\ue0013:\ue0000\ue001", "0;", ""),
    ],
)
def test_numbers_that_were_not_asked_fill_nothing(text: str) -> None:
    holes = holes_of("a: {% if yes %}b{{ name }}{% endif %}")
    holes.questions[0].close({**ANSWER, "text": text})
    assert holes.filled("f", ()) is None


def holes_of(text: str) -> Holes:
    holes = Questions().of(text, None)
    assert holes
    return holes


# --- in the sandbox --------------------------------------------------------------------------------------


def render(*texts: str, each: Mapping[str, Any] | None = None) -> list[Any]:
    values = {name: value for name, value in VALUES.items() if name != "half"}
    with Sandbox(Path(), values, frozenset()) as sandbox:
        return list(sandbox.render(Task(f"{number}.yaml", text, each) for number, text in enumerate(texts)))


def test_many_documents_in_one_file() -> None:
    documents = "---\n".join(
        f"a: {{{{ name }}}}\nb: {{{{ items[{n % 3}] }}}}\nc: x{n}{{{{ number }}}}\n" for n in range(5000)
    )
    (text,) = render(documents)
    assert isinstance(text, HoleText)
    found, problems = parse(text)
    assert (len(found), problems) == (5000, [])
    assert found[-1].value == {"a": "orders", "b": VALUES["items"][4999 % 3], "c": "x49993"}
    assert found[-1].location(("c",)) == Location("0.yaml", 4 * 4999 + 3, 4)


def test_the_rest_of_a_batch_is_filled_beside_mistakes() -> None:
    texts = [
        f"a: {{{{ {'nosuch' if number % 10 == 5 else 'name'} ~ {number} }}}}" for number in range(3 * BATCH)
    ]
    kinds = [type(result) for result in render(*texts)]
    assert kinds == [tuple if number % 10 == 5 else HoleText for number in range(3 * BATCH)]


@pytest.mark.slow
def test_after_a_costly_batch_texts_are_rendered_whole() -> None:
    slow = "a: {{ ([[1]] * 100000) | sum(start=[]) | length }}"
    before, refused, after, later = render("a: {{ name }}", slow, "a: {{ name }}", "a: {{ number }}")
    assert isinstance(refused, tuple)
    assert refused[0].location == Location("1.yaml", 1, 1)
    assert [type(result) for result in (before, after, later)] == [RenderedText] * 3
