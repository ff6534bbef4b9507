"""The sandbox process that renders templates: its limits, and that other templates still render."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.documents.parse import PlainText, YamlText, parse
from deployer.errors import Code, DeployerError, Problem
from deployer.model import Location
from deployer.templates import protocol, worker
from deployer.templates.engine import Engine
from deployer.templates.process import start_ahead
from deployer.templates.rendered import RenderedText
from deployer.templates.sandbox import MAX_STOPS, Sandbox, Task

VALUES: dict[str, Any] = {"queue": "q", "list": [1, "é\ud800", None, 1.5, 10**39], "mapping": {"a": {}}}
SOUND = "a: {{ queue }}"
ENDLESS = (
    "a: 1\n{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
# One instruction of Python's, which nothing interrupts.
UNINTERRUPTED = "a: {{ ([[1]] * 100000) | sum(start=[]) | length }}"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def render(
    *texts: str | Task, folder: Path = Path(), patience: float = 30.0
) -> list[YamlText | tuple[Problem, ...]]:
    tasks = [
        text if isinstance(text, Task) else Task(f"{number}.yaml", text) for number, text in enumerate(texts)
    ]
    with Sandbox(folder, VALUES, frozenset({"PASSWORD"}), wall_seconds=patience) as sandbox:
        return list(sandbox.render(tasks))


def value_of(rendered: YamlText | tuple[Problem, ...]) -> Any:
    assert not isinstance(rendered, tuple), rendered
    (document,), problems = parse(rendered)
    assert not problems
    return document.value


def problem_of(rendered: YamlText | tuple[Problem, ...]) -> Problem:
    assert isinstance(rendered, tuple)
    (problem,) = rendered
    return problem


def processes() -> list[int]:
    """The processes that this one has started and not yet seen the end of."""
    return [
        int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()
    ]


# --- what is rendered ------------------------------------------------------------------------------------


@linux
def test_text_without_a_template_starts_no_process() -> None:
    before = processes()
    with Sandbox(Path(), VALUES, frozenset()) as sandbox:
        text = "a: '{ { x } }'\r\nb: x}}\n"
        (rendered,) = sandbox.render([Task("f", text, None, ("way",))])
        assert rendered == PlainText("f", text, ("way",))
        assert processes() == before


@linux
def test_no_process_is_left() -> None:
    before = processes()
    render(SOUND, UNINTERRUPTED, SOUND)
    assert processes() == before


def test_all_come_in_their_order() -> None:
    texts = [f"a: {{{{ {number} }}}}" if number % 3 else f"a: {number}" for number in range(200)]
    assert [value_of(result)["a"] for result in render(*texts)] == list(range(200))


def test_values_and_results_come_through() -> None:
    values = {key: value for key, value in VALUES.items() if key != "list"}
    text = "v: {{ mapping }}\nn: {{ list[2:] }}\nt: {{ list | tojson }}\n"
    assert render(text)[0] == render(text)[0]
    assert isinstance(render(text)[0], tuple)  # an unpaired surrogate
    assert value_of(render("v: {{ mapping }}\nn: {{ list[2:] }}\nq: '{{ mapping | tojson }}'")[0]) == {
        "v": values["mapping"],
        "n": [None, 1.5, 10**39],
        "q": '{"a": {}}',
    }


def test_the_result_is_that_of_the_engine(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("b: {{ queue ~ secret('PASSWORD') }}\n")
    text = "{% include 'b.yaml' %}\na: x{{ mapping }}\n---\nc: {{ each.x | to_yaml }} # {{ queue }}"
    each = {"each": {"x": "é"}}
    expected = Engine(tmp_path, VALUES, {"PASSWORD"}).render("f", text, each)
    (rendered,) = render(Task("f", text, each), folder=tmp_path)
    assert isinstance(rendered, RenderedText)
    assert isinstance(expected, RenderedText)
    assert rendered.text == expected.text
    assert rendered.names(rendered.text) == expected.names(expected.text)
    assert list(map(str, parse(rendered))) == list(map(str, parse(expected)))


def test_the_way_to_a_task_is_the_last_of_all(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("b: {{ [1] }}x\nc: {{ nosuch }}\n")
    sound, wrong = render(
        Task("a", "a: {{ 1 }}\n{% set nosuch = 1 %}{% include 'b.yaml' %}", None, ("the instance x",)),
        Task("a", "a: {{ 1 }}\n{% include 'b.yaml' %}", None, ("the instance y",)),
        folder=tmp_path,
    )
    assert not isinstance(sound, tuple)
    assert sound.location(0, 4) == ("a", 1, 5, ("the instance x",))
    assert parse(sound)[1][0].location == ("b.yaml", 1, 4, ("included at a:2:21", "the instance x"))
    assert problem_of(wrong).location == ("b.yaml", 2, 4, ("included at a:2:1", "the instance y"))


def test_two_at_a_time() -> None:
    with Sandbox(Path(), VALUES, frozenset()) as sandbox:
        first = sandbox.render(Task("f", f"a: {{{{ {number} }}}}") for number in range(100))
        assert value_of(next(first)) == {"a": 0}
        assert [value_of(result) for result in sandbox.render([Task("g", "b: {{ 1 }}")])] == [{"b": 1}]
        assert [value_of(result)["a"] for result in first] == list(range(1, 100))


def test_long_texts_do_not_block_each_other() -> None:
    long = "# " + "x" * 400_000 + "\na: {{ queue }}"
    assert [value_of(result) for result in render(*[long] * 6)] == [{"a": "q"}] * 6


# --- what takes too much ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: {{ range(10 ** 12) }}", 2, "Range too big"),
        ("a: 1\nb: {{ 10 ** (10 ** 8) }}", 2, "the result exceeds 3,000 digits"),
        ("a: 1\nb: {{ 'x' * 10 ** 9 }}", 2, "the result exceeds 2,097,152 characters"),
        ("a: 1\nb: {{ '%1000000000d' % 1 }}", 2, "template memory limit exceeded"),
        ("a: 1\nb: {{ '{:1000000000}'.format(1) }}", 2, "template memory limit exceeded"),
        ("a: 1\nb: {{ 'x' | center(10 ** 9) }}", 2, "template memory limit exceeded"),
        ("a: 1\nb: {{ 'x'.ljust(10 ** 10) }}", 2, "template memory limit exceeded"),
        (ENDLESS, 2, "the template exceeded 1 s"),
        (
            "{% set n = namespace(x='x') %}\n{% for i in range(99) %}\n{% set n.x = n.x + n.x %}{% endfor %}",
            3,
            "memory",
        ),
        (
            "{% set n = namespace(x=3) %}\n{% for i in range(99) %}\n{% set n.x = n.x * n.x %}{% endfor %}",
            3,
            "the result exceeds 3,000 digits",
        ),
        ("a: 1\n{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}", 3, "recursion or nesting too deep"),
        ("a: 1\nb: {{ " + "(" * 100_000 + " }}", 2, ""),
        ("a: " + "{% if 1 %}" * 3000, 1, "nesting too deep"),
        (
            "{% for i in range(99999) %}\n{% for j in range(99) %}xxxxxxxx{% endfor %}{% endfor %}",
            2,
            "the result exceeds 2,097,152 characters",
        ),
        pytest.param(
            "a:\n{% for i in range(99999) %}\n  - {{ range(999) | list }}{% endfor %}",
            3,
            "the template exceeded 1 s",
            marks=pytest.mark.slow,
        ),
        pytest.param(UNINTERRUPTED, 1, "the template exceeded 1 s of CPU time", marks=pytest.mark.slow),
    ],
)
def test_bombs(text: str, line: int, words: str) -> None:
    before, bomb, after = render(SOUND, text, SOUND)
    assert value_of(before) == value_of(after) == {"a": "q"}
    problem = problem_of(bomb)
    assert problem.location.file == "1.yaml"
    assert problem.location.line == line
    assert words in problem.message


@pytest.mark.slow
@pytest.mark.parametrize("bomb", [ENDLESS, UNINTERRUPTED])
def test_after_some_no_more_is_rendered(bomb: str) -> None:
    results = render(SOUND, *[bomb] * (MAX_STOPS + 1), SOUND, "a: plain")
    assert value_of(results[0]) == {"a": "q"}
    assert ["CPU time" in problem_of(result).message for result in results[1:-2]] == [
        *[True] * MAX_STOPS,
        False,
    ]
    assert problem_of(results[-2]).message.startswith("not rendered: ")
    assert problem_of(results[-2]).code == Code.TEMPLATE_LIMIT
    assert value_of(results[-1]) == {"a": "plain"}


def test_cheap_mistakes_stop_nothing() -> None:
    results = render(*["{{ range(10 ** 12) }}"] * 10, SOUND)
    assert value_of(results[-1]) == {"a": "q"}


@linux
def test_a_process_that_hangs_is_ended() -> None:
    with Sandbox(Path(), VALUES, frozenset(), wall_seconds=0.2) as sandbox:
        before = processes()
        results = sandbox.render(Task("f", SOUND, {"number": number}) for number in range(40))
        assert value_of(next(results)) == {"a": "q"}
        (pid,) = set(processes()) - set(before)
        os.kill(pid, signal.SIGSTOP)
        rest = list(results)
        stopped = [result for result in rest if isinstance(result, tuple)]
        assert len(rest) == 39
        assert [result[0].message for result in stopped] in (
            [],
            ["the template renderer timed out"],
        )


@linux
def test_a_process_that_is_killed_is_an_error_of_one_file() -> None:
    before = processes()
    with Sandbox(Path(), VALUES, frozenset()) as sandbox:
        results = sandbox.render(
            [Task("a", SOUND), Task("b", "a: {{ range(99999) | map('string') | join }}"), Task("c", SOUND)]
        )
        assert value_of(next(results)) == {"a": "q"}
        (pid,) = set(processes()) - set(before)
        os.kill(pid, signal.SIGKILL)
        *_, last = results
        assert value_of(last) == {"a": "q"}


def test_a_process_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(DeployerError, match="cannot start the template renderer: No such file"):
        render(SOUND)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DeployerError, match="cannot start the template renderer"):
        render(SOUND)


# --- what it can get at ----------------------------------------------------------------------------------


@linux
def test_it_has_no_environment_and_few_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HW_AUTH_TOKEN", "a-sentinel")
    before = processes()
    with Sandbox(Path(), VALUES, frozenset()) as sandbox:
        assert [value_of(result) for result in sandbox.render([Task("f", SOUND)])] == [{"a": "q"}]
        (pid,) = set(processes()) - set(before)
        proc = Path(f"/proc/{pid}")
        assert "sentinel" not in (proc / "environ").read_text() + (proc / "cmdline").read_text()
        assert os.getsid(pid) == pid
        limits = (proc / "limits").read_text()
        for name, limit in (
            ("core file size", 0),
            ("file size", 0),
            ("address space", 2**29),
            ("open files", 16),
        ):
            assert f"Max {name}".ljust(26) + str(limit) in limits
        assert {str(link.readlink()).split(":")[0] for link in (proc / "fd").iterdir()} <= {
            "pipe",
            "/dev/null",
        }


INTERRUPTED = """
import sys, threading, time
from pathlib import Path
from deployer.templates.sandbox import Sandbox, Task
tasks = [Task("f", "{{ 1 }}"), Task("f", sys.argv[1])]
try:
    with Sandbox(Path(), {}, frozenset()) as sandbox:
        results = sandbox.render(tasks)
        next(results)
        children = [it.read_text() for it in Path("/proc/self/task").glob("*/children")]
        print("".join(children), flush=True)
        next(results)
except KeyboardInterrupt:
    sys.exit(130)
"""


@linux
def test_an_interrupt_leaves_no_process_and_no_traceback() -> None:
    command = [sys.executable, "-c", INTERRUPTED, ENDLESS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as ran:
        assert ran.stdout
        pid = int(ran.stdout.readline())
        os.killpg(ran.pid, signal.SIGINT)
        _, err = ran.communicate()
    assert (ran.returncode, err) == (130, "")
    assert not Path(f"/proc/{pid}").exists()


@linux
def test_it_ends_with_the_run() -> None:
    script = INTERRUPTED.replace("next(results)\nexcept", "import os; os._exit(0)\nexcept")
    ran = subprocess.run([sys.executable, "-c", script, ENDLESS], capture_output=True, text=True, check=True)
    with contextlib.suppress(ProcessLookupError):
        ended, _, _ = select.select([os.pidfd_open(int(ran.stdout))], [], [], 20)
        assert ended


# --- what passes between the two -------------------------------------------------------------------------


def test_a_served_task(tmp_path: Path) -> None:
    engine = Engine(tmp_path, VALUES, ())
    tasks, responses = io.BytesIO(), io.BytesIO()
    for text in (SOUND, "{{ nosuch }}", "{{ 1 }}" + "x" * 3000):
        protocol.write(tasks, protocol.encoded({"file": "f", "text": text, "each": None}))
    tasks.seek(0)
    worker.serve(engine, tasks, responses)
    responses.seek(0)
    assert protocol.read(responses) == protocol.READY
    rendered, problems, _ = [json.loads(protocol.read(responses) or b"") for _ in range(3)]
    assert value_of(RenderedText.from_json(rendered["rendered"], ())) == {"a": "q"}
    assert problems["problems"][0][2] == Code.UNDEFINED
    assert protocol.read(responses) is None


@pytest.mark.parametrize(
    "message",
    [b"", b"\0", b"\0\0\0\5abc", b"\xff\xff\xff\xff", protocol.READY],
    ids=["empty", "head", "body", "length", "text"],
)
def test_what_is_no_message(message: bytes) -> None:
    assert protocol.read(io.BytesIO(message), protocol.MAX_RESPONSE) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"text": 1, "ways": [["f", []]], "pieces": [], "slots": []},
        {"text": "", "ways": [["f", [1]]], "pieces": [], "slots": []},
        {"text": "", "ways": [["f"]], "pieces": [], "slots": []},
        {"text": "", "ways": [[1, []]], "pieces": [], "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": [[[0, 1, 1, 1]]], "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": [[[0, -1, 1, 1]]], "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": [[[0, 0, "1", 1]]], "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": [[[0]]], "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": 3, "slots": []},
        {"text": "", "ways": [["f", []]], "pieces": [], "slots": [[1, None, 7, 1, 1, []]]},
        {"text": "", "ways": [["f", []]], "pieces": [], "slots": [7]},
    ],
)
def test_what_is_no_rendered_text(data: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        RenderedText.from_json(data, ())


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [["f", 1, 1, []], "m"],
        [["f", "1", 1, []], "m", "E021"],
        [["f", 1, 1, [1]], "m", "E021"],
        [["f", 1, 1, []], "m", "E999"],
        [["f", 1, 1, []], 1, "E021"],
    ],
)
def test_what_is_no_problem(data: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        protocol.to_problem(data, ())


def test_a_problem_comes_through() -> None:
    problem = Problem(Location("f", 1, 2, ("a",)), "m\ud800", Code.UNDEFINED)
    assert protocol.to_problem(
        protocol.decoded(protocol.encoded(protocol.from_problem(problem))), ("b",)
    ) == Problem(Location("f", 1, 2, ("a", "b")), "m\ud800", Code.UNDEFINED)


@linux
def test_a_process_that_was_started_ahead_is_the_one_that_renders() -> None:
    before = processes()
    start_ahead()
    start_ahead()
    (pid,) = set(processes()) - set(before)
    assert [value_of(result) for result in render(SOUND, SOUND)] == [{"a": "q"}] * 2
    assert processes() == before
    assert not Path(f"/proc/{pid}").exists()


@linux
def test_a_process_that_was_started_ahead_for_nothing_ends() -> None:
    script = (
        "import os; from pathlib import Path; from deployer.templates.process import start_ahead; start_ahead();"
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True); os._exit(0)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    with contextlib.suppress(ProcessLookupError):
        ended, _, _ = select.select([os.pidfd_open(int(ran.stdout))], [], [], 20)
        assert ended
