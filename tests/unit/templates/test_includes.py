"""Templates of several files: which includes are found or refused, and positions in included files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.documents.parse import parse
from deployer.errors import Code
from deployer.templates.engine import Engine
from deployer.templates.rendered import RenderedText

FILES: dict[str, str | bytes] = {
    "lib/macros.j2": "{% macro jar(name) %}obs://{{ bucket }}/{{ name }}.jar{% endmacro %}\n"
    "{% macro wrong(x) %}\n  {{ x.y }}{% endmacro %}\n"
    "{% set version = 3 %}{% set _hidden = 1 %}\nignored: {{ bucket }}\n",
    "lib/spec.yaml": "spec:\n  queue: {{ bucket }}\n{% include './args.yaml' %}\n"
    "  size: {{ size | default(1) }}\n",
    "lib/args.yaml": "  args:\n  - {{ bucket }}\n  - {{ first | default('none') }}",
    "base.yaml": "kind: {{ kind }}\n{% block spec %}\nspec:\n  a: {{ bucket }}\n{% endblock %}\nlast: x\n",
    "middle.yaml": "{% extends './base.yaml' %}\n{% block spec %}\n{{ super() }}  b: 2\n{% endblock %}\n",
    "wrong/undefined.yaml": "x: 1\ny: {{ nosuch }}\nz: {{ bukket }}\n",
    "wrong/list.yaml": "x: 1\ny: a {{ [1] }}\n",
    "wrong/raises.yaml": "x: 1\n\n  {{ 1 // 0 }}\n",
    "wrong/syntax.yaml": "x: 1\n{% if %}\n",
    "wrong/yaml.yaml": "x: 1\n y: 2\n",
    "wrong/twice.yaml": "bucket: {{ bucket }}\nbucket: 2\n",
    "wrong/reserved.yaml": "x: 1\ny: \ue004\n",
    "wrong/self.yaml": "x: 1\n{% include 'wrong/self.yaml' %}\n",
    "wrong/imports.j2": "{% import './imports.j2' as me %}",
    "wrong/deep.yaml": "\n{% include 'wrong/undefined.yaml' %}",
    "wrong/latin.yaml": b"x: \xe4",
    ".env": "TOKEN=1",
    ".git/config": "token = 1",
    "sub/.hidden/x.yaml": "x: 1",
    "folder/x.yaml": "x: 1",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("project")
    (folder.parent / "outside.yaml").write_text("x: 1")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "out.yaml").symlink_to(folder.parent / "outside.yaml")
    (folder / "out").symlink_to(folder.parent)
    (folder / "git.yaml").symlink_to(".git/config")
    (folder / "gone.yaml").symlink_to("nothing-there")
    (folder / "large.yaml").write_bytes(b"#" * (2 * 2**20 + 1))
    values = {"bucket": "b", "kind": "K", "evil": "x\nqueue: evil\n---\n- '\"", "items": [1, 2]}
    return Engine(folder, values, {"PASSWORD"})


def read(engine: Engine, text: str, **each: Any) -> tuple[list[Any], list[str]]:
    """The documents, and the problems with the way to each."""
    rendered = engine.render("main.yaml", text, each)
    documents, problems = parse(rendered) if isinstance(rendered, RenderedText) else ([], rendered)
    words = [
        " < ".join([f"{problem.location}: {problem.message}", *problem.location.via]) for problem in problems
    ]
    return [document.value for document in documents], words


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (
            "a: 1\n{% include 'lib/spec.yaml' %}",
            {"spec": {"queue": "b", "args": ["b", "none"], "size": 1}, "a": 1},
        ),
        (
            "{% set first = 'f' %}{% for size in [5] %}{% include 'lib/spec.yaml' %}{% endfor %}",
            {"spec": {"queue": "b", "args": ["b", "f"], "size": 5}},
        ),
        (
            "{% set first = 'f' %}{% include 'lib/spec.yaml' without context %}",
            {"spec": {"queue": "b", "args": ["b", "none"], "size": 1}},
        ),
        ("{% for n in items %}\n---\n{% include './folder/x.yaml' %}\n{% endfor %}", [{"x": 1}, {"x": 1}]),
        ("{% include ['nosuch', 'folder/x.yaml'] %}", {"x": 1}),
        (
            "a: 2\n{% include 'nosuch' ignore missing %}\n{% include ['no', 'such'] ignore missing %}",
            {"a": 2},
        ),
        ("{% set name = 'x' %}{% include 'folder/' ~ name ~ '.yaml' %}", {"x": 1}),
        (
            "{% import 'lib/macros.j2' as lib %}{a: {{ lib.jar('n') }}, b: {{ lib.version }}}",
            {"a": "obs://b/n.jar", "b": 3},
        ),
        (
            "{% from 'lib/macros.j2' import jar, version as v %}{a: {{ jar('n') }}, b: {{ v }}}",
            {"a": "obs://b/n.jar", "b": 3},
        ),
        (
            "{% from 'lib/macros.j2' import jar with context %}{% set bucket = 'c' %}{{ jar('n') }}",
            "obs://b/n.jar",
        ),
        (
            "{% set bucket = 'c' %}{% from 'lib/macros.j2' import jar with context %}{{ jar('n') }}",
            "obs://c/n.jar",
        ),
        (
            "{% extends 'base.yaml' %}{% block spec %}spec: {{ bucket }}\n{% endblock %}",
            {"kind": "K", "spec": "b", "last": "x"},
        ),
        ("{% extends 'base.yaml' %}", {"kind": "K", "spec": {"a": "b"}, "last": "x"}),
        ("{% extends 'middle.yaml' %}", {"kind": "K", "spec": {"a": "b", "b": 2}, "last": "x"}),
        (
            "{% extends 'middle.yaml' %}{% block spec %}{{ super() }}  c: {{ evil }}\n{% endblock %}",
            {"kind": "K", "spec": {"a": "b", "b": 2, "c": "x\nqueue: evil\n---\n- '\""}, "last": "x"},
        ),
        (
            "{% if kind %}{% extends 'base.yaml' %}{% endif %}x: 1",
            {"kind": "K", "spec": {"a": "b"}, "last": "x"},
        ),
        # Captured, an include is a value.
        ("{% set s %}{% include 'lib/args.yaml' %}{% endset %}a: {{ s }}", {"a": "  args:\n  - b\n  - none"}),
        (
            "a: {% filter upper %}{% include 'lib/args.yaml' %}{% endfilter %}",
            {"a": "  ARGS:\n  - B\n  - NONE"},
        ),
        (
            "{% macro m(first) %}{% include 'lib/args.yaml' %}{% endmacro %}a: {{ m(evil) }}",
            {"a": "  args:\n  - b\n  - x\nqueue: evil\n---\n- '\""},
        ),
        (
            "{% set s %}{% include 'lib/args.yaml' without context %}{% endset %}a: {{ s }}",
            {"a": "  args:\n  - b\n  - none"},
        ),
        (
            "{% macro m() %}{{ caller() }}{% endmacro %}"
            "a: {% call m() %}{% include 'folder/x.yaml' %}{% endcall %}",
            {"a": "x: 1"},
        ),
        (
            "{% set s %}{% include 'base.yaml' %}{% endset %}a: {{ s }}",
            {"a": "kind: K\n\nspec:\n  a: b\n\nlast: x\n"},
        ),
    ],
)
def test_files_are_put_together(engine: Engine, template: str, value: Any) -> None:
    documents, problems = read(engine, template)
    assert not problems
    assert documents == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize(
    ("template", "problems"),
    [
        (
            "a: 1\n  {% include 'wrong/undefined.yaml' %}\nb: {{ nosuch }}",
            [
                "main.yaml:3:4: 'nosuch' is undefined",
                "wrong/undefined.yaml:2:4: 'nosuch' is undefined < included at main.yaml:2:3",
                "wrong/undefined.yaml:3:4: 'bukket' is undefined; did you mean 'bucket'?"
                " < included at main.yaml:2:3",
            ],
        ),
        (
            "a: {% include 'wrong/deep.yaml' %}",
            [
                f"wrong/undefined.yaml:{place}: '{name}' is undefined"
                " < included at wrong/deep.yaml:2:1 < included at main.yaml:1:4"
                for place, name in (("2:4", "nosuch"), ("3:4", "bukket"))
            ],
        ),
        (
            "\n{% include 'wrong/list.yaml' %}",
            ["wrong/list.yaml:2:6: a list cannot < included at main.yaml:2:1"],
        ),
        (
            "{% set s %}\n{% include 'wrong/list.yaml' %}{% endset %}a: {{ s }}",
            ["wrong/list.yaml:2:6: a list cannot < included at main.yaml:2:1"],
        ),
        (
            "{% macro m() %}\n{% include 'wrong/list.yaml' %}{% endmacro %}\na: {{ m() }}",
            ["wrong/list.yaml:2:6: a list cannot < included at main.yaml:2:1 < called at main.yaml:3:4"],
        ),
        (
            "a:\n{% include 'wrong/raises.yaml' %}",
            ["wrong/raises.yaml:3:3: ZeroDivision < included at main.yaml:2:1"],
        ),
        (
            "a: 1\n{% include 'wrong/syntax.yaml' %}",
            ["wrong/syntax.yaml:2:1: Expected an < included at main.yaml:2:1"],
        ),
        (
            "a: 1\n{% extends 'wrong/syntax.yaml' %}",
            ["wrong/syntax.yaml:2:1: Expected an < extended at main.yaml:2:1"],
        ),
        (
            "a: 1\n{% import 'wrong/syntax.yaml' as x %}",
            ["wrong/syntax.yaml:2:1: Expected an < imported at main.yaml:2:1"],
        ),
        (
            "{% include 'wrong/yaml.yaml' %}",
            ["wrong/yaml.yaml:2:3: mapping values are < included at main.yaml:1:1"],
        ),
        (
            "bucket: 1\n{% include 'wrong/twice.yaml' %}",
            [
                f"wrong/twice.yaml:{line}:1: duplicate key 'bucket', first defined at main.yaml:1:1"
                " < included at main.yaml:2:1"
                for line in (1, 2)
            ],
        ),
        (
            "\n{% include 'wrong/reserved.yaml' %}",
            ["wrong/reserved.yaml:2:4: characters < included at main.yaml:2:1"],
        ),
        (
            "{% import 'lib/macros.j2' as lib %}\na: {{ lib.wrong(1) }}",
            ["lib/macros.j2:3:3: 'int object' has no attribute 'y' < called at main.yaml:2:4"],
        ),
        (
            "{% from 'lib/macros.j2' import wrong %}\na:\n  b: {{ wrong(1) }}",
            ["lib/macros.j2:3:3: 'int object' has no attribute 'y' < called at main.yaml:3:6"],
        ),
        (
            "{% import 'lib/macros.j2' as lib %}\na: {{ lib.jam() }}",
            ["main.yaml:2:4: 'lib/macros.j2' does not define 'jam'; did you mean 'jar'?"],
        ),
        (
            "{% from 'lib/macros.j2' import verion %}\na: {{ verion }}",
            ["main.yaml:1:1: 'lib/macros.j2' does not define 'verion'; did you mean 'version'?"],
        ),
        (
            "\n{% extends 'base.yaml' %}{% block spec %}\na: {{ nosuch }}\n{% endblock %}",
            ["main.yaml:3:4: 'nosuch' is undefined"],
        ),
        (
            "\n{% extends 'middle.yaml' %}{% block spec %}{{ super() }}\n  a: 1\n{% endblock %}",
            ["main.yaml:3:3: duplicate key 'a', first defined at base.yaml:4:3"],
        ),
        ("{% include 'wrong/self.yaml' %}", ["wrong/self.yaml:"]),
        ("{% import 'wrong/imports.j2' as x %}", ["wrong/imports.j2:1:1: recursion or nesting too deep"]),
    ],
)
def test_the_place_and_the_way_to_it(engine: Engine, template: str, problems: list[str]) -> None:
    _, found = read(engine, template)
    assert len(found) == len(problems), found
    for words, expected in zip(found, problems, strict=True):
        begin, *ways = expected.split(" < ")
        assert words.startswith(begin)
        assert not ways or words.endswith(" < ".join(["", *ways]).lstrip())


def test_a_document_of_an_include_has_its_place_there(engine: Engine) -> None:
    rendered = engine.render("main.yaml", "a: 1\n---\n{% include 'lib/spec.yaml' %}\nb: {{ items }}")
    assert isinstance(rendered, RenderedText)
    (_, document), _ = parse(rendered)
    way = "included at main.yaml:3:1"
    assert document.location(("spec", "queue")) == ("lib/spec.yaml", 2, 10, (way,))
    assert document.location(("spec", "args", 1)) == (
        "lib/args.yaml",
        3,
        5,
        ("included at lib/spec.yaml:3:1", way),
    )
    assert document.location(("spec", "size")) == ("lib/spec.yaml", 4, 9, (way,))
    assert document.location(("b",)) == ("main.yaml", 4, 4, ())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../outside.yaml", "is outside the project folder"),
        ("./../outside.yaml", "is outside the project folder"),
        ("folder/../../outside.yaml", "is outside the project folder"),
        ("/etc/passwd", "is outside the project folder"),
        ("out.yaml", "is outside the project folder"),
        ("out/outside.yaml", "is outside the project folder"),
        (".env", "refers to a hidden file"),
        (".git/config", "refers to a hidden file"),
        ("folder/../.git/config", "refers to a hidden file"),
        ("git.yaml", "refers to a hidden file"),
        ("sub/.hidden/x.yaml", "refers to a hidden file"),
        ("folder", "cannot read file: not a file"),
        ("", "cannot read file: not a file"),
        ("large.yaml", "larger than 2 MiB"),
        ("wrong/latin.yaml", "wrong/latin.yaml:1:4: not UTF-8"),
        ("folder/y.yaml", "file 'folder/y.yaml' not found; known: folder/x.yaml"),
        ("lib/zzzz.yaml", "file 'lib/zzzz.yaml' not found; known: lib/"),
        ("./bass.yaml", "file './bass.yaml' not found; did you mean './base.yaml'?"),
        ("out/inside.yaml", "is outside the project folder"),
        (".git/confog", "refers to a hidden file"),
        ("nosuch/x.yaml", "file 'nosuch/x.yaml' not found"),
        ("gone.yaml", "file 'gone.yaml' not found"),
        ("a\\0b", "' not found"),
        ("x" * 5000, "File name too long"),
    ],
)
@pytest.mark.parametrize(
    "tag", ["include {} ignore missing", "include {}", "import {} as x", "from {} import x", "extends {}"]
)
def test_no_other_file_is_read(engine: Engine, tag: str, name: str, words: str) -> None:
    missing = "' not found" in words
    rendered = engine.render("main.yaml", "a: 1\n {% " + tag.format(f"'{name}'") + " %}")
    if missing and "ignore missing" in tag:
        assert isinstance(rendered, RenderedText)
        return
    assert isinstance(rendered, tuple)
    (problem,) = rendered
    assert problem.location == ("main.yaml", 2, 2, ())
    assert problem.code == Code.INCLUDE
    assert words in problem.message
    assert "config" not in problem.message or "config" in name


@pytest.mark.parametrize(
    "name", ["1", "[]", "none", "{'a': 1}", "[1]", "nosuch", "secret('PASSWORD')", "[secret('PASSWORD')]"]
)
def test_what_is_no_name_of_a_file(engine: Engine, name: str) -> None:
    _, problems = read(engine, f"a: 1\n{{% include {name} %}}")
    assert problems
    assert problems[0].startswith("main.yaml:2:1: ")


def test_an_import_is_the_same_for_each_file(engine: Engine) -> None:
    text = (
        "{% from 'lib/macros.j2' import version %}{% set n = namespace(x=version) %}"
        "{% set n.x = n.x + 1 %}{{ n.x }}"
    )
    assert [read(engine, text)[0] for _ in range(2)] == [[4], [4]]


def test_each_is_seen_by_what_is_included(engine: Engine) -> None:
    assert read(engine, "{% include 'lib/args.yaml' %}", first="f") == ([{"args": ["b", "f"]}], [])


def test_a_name_of_a_file_is_no_code(engine: Engine, tmp_path: Path) -> None:
    name = "{1.__class__}{__import__('os').mkdir('x')}\"'\\.j2"
    (tmp_path / name).write_text("{% macro m() %}x{% endmacro %}")
    strange = Engine(tmp_path, {"name": name}, ())
    for text in (
        "{% from name import nosuch %}{{ nosuch }}",
        "{% from name import m %}{{ 'x' if m() == 'y' }}",
    ):
        rendered = strange.render(name, text)
        assert isinstance(rendered, tuple)
        assert "class '" not in rendered[0].message
    assert [path.name for path in tmp_path.iterdir()] == [name]


ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(0xE000, 0xE00A))))
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(v=ANY_TEXT | st.text("ab:-?[]{}&*!|>'\"%@`#,<~ \n\t\r\\=\0"))
@pytest.mark.parametrize(
    ("template", "shape"),
    [
        ("{% include 'lib/args.yaml' %}", lambda v: {"args": ["b", v]}),
        (
            "{% set s %}{% include 'lib/args.yaml' %}{% endset %}a: {{ s }}",
            lambda v: {"a": f"  args:\n  - b\n  - {v}"},
        ),
        ("{% from 'lib/macros.j2' import jar %}a: {{ jar(first) }}", lambda v: {"a": f"obs://b/{v}.jar"}),
        (
            "{% extends 'base.yaml' %}{% block spec %}{{ super() }}  b: {{ first }}\n{% endblock %}",
            lambda v: {"kind": "K", "spec": {"a": "b", "b": v}, "last": "x"},
        ),
        ("a: {{ [first] | to_yaml }}\nb: {{ first | tojson }}", lambda v: {"a": [v], "b": v}),
        (
            "a: {{ first | replace('', '') | trim(chars='') }}\nb: [{{ [first] | join('') }}]",
            lambda v: {"a": v, "b": [v]},
        ),
    ],
)
def test_any_text_stays_one_value(engine: Engine, template: str, shape: Any, v: str) -> None:
    assert read(engine, template, first=v) == ([shape(v)], [])


def test_every_tag_that_is_no_file_tells_its_own_line(engine: Engine) -> None:
    text = (
        "".join(f"{{% include 'nosuch{number}' ignore missing %}}\n" for number in range(50)) + "{{ nosuch }}"
    )
    _, problems = read(engine, text)
    assert re.match(r"main.yaml:51:1: ", problems[0])
