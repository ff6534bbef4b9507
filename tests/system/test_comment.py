"""`deployer comment`: one comment or issue for each project and target, on stand-ins of GitHub, GitLab and Gitee."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.errors import Exit
from testing.forges import BOT, EVE, HANGS_UP, Entry, ForgeServer
from testing.workspace import SPECS, Ran, Workspace, manifest

FORGES = ("github", "gitlab", "gitee")
MARK = "<!-- deployer: tests test -->"
DIGEST = "d" * 64
REPORT = f"### deployer plan for `test`: changes\n\n```diff\n+ create\n```\n\nDigest: `{DIGEST}`\n"


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with ForgeServer() as served:
        yield served


@pytest.fixture(params=FORGES)
def forge(
    request: pytest.FixtureRequest, server: ForgeServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The name of each forge in turn, whose CI job runs."""
    name: str = request.param
    in_job(server, name, monkeypatch)
    workspace.write("plan.md", REPORT)
    return name


def in_job(
    server: ForgeServer,
    forge: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    number: int | None = 7,
    token: str = BOT,
) -> None:
    """Set the variables of a CI job, and no others."""
    for name in {key for each in FORGES for key in server.environment(each)}:
        monkeypatch.delenv(name, raising=False)
    for name in ("GITHUB_EVENT_PATH", "GH_TOKEN", "GITEA_ACTIONS", "FORGEJO_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in server.environment(forge, number=number, token=token).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def github(server: ForgeServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in a job of GitHub, with a report."""
    in_job(server, "github", monkeypatch)
    workspace.write("plan.md", REPORT)
    return workspace


def post(workspace: Workspace, *options: str) -> Ran:
    return workspace.run("comment", "--body-file", "plan.md", *options)


def shown(server: ForgeServer) -> list[Entry]:
    return [entry for entry in server.comments if not entry.hidden]


# --- the comment ------------------------------------------------------------------------------------------


def test_one_comment_is_updated_in_place(workspace: Workspace, server: ForgeServer, forge: str) -> None:
    added = post(workspace)
    assert (added.code, added.err) == (Exit.DONE, "")
    assert re.match(r"comment on (pull|merge) request 7 added", added.out)
    (comment,) = server.comments
    assert comment.body.startswith(f"{MARK}\n<!-- deployer-digest: {DIGEST} -->\n")
    assert REPORT.strip() in comment.body
    writes = len(server.writes())
    assert "unchanged" in post(workspace).out
    assert len(server.writes()) == writes
    workspace.write("plan.md", REPORT.replace("+ create", "- cancel"))
    assert " updated" in post(workspace).out
    assert server.comments == [comment]
    assert "- cancel" in comment.body


def test_the_newest_one_is_kept_and_older_ones_are_hidden(
    workspace: Workspace, server: ForgeServer, forge: str
) -> None:
    server.comments += [Entry(n, "bot", f"{MARK}\nold {n}") for n in (1, 2, 3)]
    ran = post(workspace)
    assert (ran.code, ran.out.endswith("; 2 older hidden\n")) == (Exit.DONE, True)
    assert [(entry.number, REPORT.strip() in entry.body) for entry in shown(server)] == [(3, True)]


def test_another_user_and_another_marker_are_left_alone(
    workspace: Workspace, server: ForgeServer, forge: str
) -> None:
    theirs = [
        Entry(1, "eve", f"{MARK}\nforged"),
        Entry(2, "bot", "<!-- deployer: tests prod -->\nanother target"),
        Entry(3, "bot", f"quoted:\n{MARK}\n"),
        Entry(4, "eve", f"{MARK}\nforged later"),
    ]
    before = [entry.body for entry in theirs]
    server.comments += theirs
    assert "added" in post(workspace).out
    assert [entry.body for entry in server.comments[:4]] == before
    assert (len(server.comments), [entry.hidden for entry in theirs]) == (5, [False] * 4)


def test_all_pages_are_read(workspace: Workspace, server: ForgeServer, forge: str) -> None:
    server.comments.append(Entry(1, "bot", f"{MARK}\nold"))
    server.comments += [Entry(n, "eve", "hello") for n in range(2, 302)]
    assert "updated" in post(workspace).out
    assert "+ create" in server.comments[0].body


def test_an_endless_list_ends(github: Workspace, server: ForgeServer) -> None:
    server.page = 1
    server.comments += [Entry(n, "eve", "hello") for n in range(50)]
    ran = post(github)
    assert (ran.code, "added" in ran.out) == (Exit.DONE, True)
    assert "only the first 2000 comments or issues were searched" in ran.err


def test_a_plan_that_failed_is_posted(workspace: Workspace, server: ForgeServer, forge: str) -> None:
    assert post(workspace).code == Exit.DONE
    workspace.write("plan.log", "a.yaml:1:1: error: @everyone is no field [E032]\n::error::x\n/close\n")
    ran = workspace.run("comment", "--exit-code", "4", "--log", "plan.log", "--body-file", "missing.md")
    assert (ran.code, "updated" in ran.out) == (Exit.DONE, True)
    (comment,) = server.comments
    assert "> **The plan failed with exit code 4, so it cannot be applied.**" in comment.body
    assert (
        "```text\na.yaml:1:1: error: @everyone is no field [E032]\n\\u003a:error::x\n /close\n```"
        in comment.body
    )
    assert DIGEST not in comment.body
    ran = workspace.run("comment", "--digest")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert "request 7 shows no plan: the last one failed" in ran.err


def test_an_invalid_project_can_be_posted(github: Workspace, server: ForgeServer) -> None:
    assert post(github).code == Exit.DONE
    file = github.folder / "deployer.yaml"
    file.write_text(file.read_text() + "unknown: 1\n")
    ran = github.run("comment", "-t", "test", "--exit-code", "4")
    assert (ran.code, len(server.comments)) == (Exit.DONE, 1)
    assert "exit code 4" in server.comments[0].body
    # Without a name that can be read, it takes the place of the only comment of its target.
    before = server.comments[0].body
    file.write_text("{")
    assert github.run("plan", "-t", "test", "--report", "markdown=plan.md").code == Exit.INVALID
    failed = ("comment", "-t", "test", "--exit-code", "4")
    assert github.run(*failed, "--body-file", "plan.md").code == Exit.DONE
    [comment] = server.comments
    assert comment.body.partition("\n")[0] == before.partition("\n")[0]
    assert ("No plan was made" in comment.body, "deployer-digest" in comment.body) == (True, False)
    assert github.run(*failed, "--dry-run").code == Exit.INVALID
    assert github.run("comment", "-t", "test", "--body-file", "plan.md").code == Exit.INVALID
    assert github.run("comment", "-t", "other", "--exit-code", "4").code == Exit.INVALID


def test_a_target_that_was_renamed_can_be_posted(github: Workspace, server: ForgeServer) -> None:
    assert post(github).code == Exit.DONE
    file = github.folder / "deployer.yaml"
    file.write_text(file.read_text().replace("test:", "renamed:"))
    ran = github.run("comment", "-t", "test", "--exit-code", "3")
    assert (ran.code, len(server.comments)) == (Exit.DONE, 1), ran
    assert "exit code 3" in server.comments[0].body


def test_of_several_projects_none_is_chosen(github: Workspace, server: ForgeServer) -> None:
    file = github.folder / "deployer.yaml"
    text = file.read_text()
    assert post(github).code == Exit.DONE
    file.write_text(re.sub("name: [a-z]+", "name: another", text, count=1))
    assert post(github).code == Exit.DONE
    file.write_text("{")
    bodies = [comment.body for comment in server.comments]
    assert len(bodies) == 2
    assert github.run("comment", "-t", "test", "--exit-code", "4").code == Exit.INVALID
    assert [comment.body for comment in server.comments] == bodies


def test_what_plan_writes(github: Workspace, server: ForgeServer) -> None:
    github.write("job.yaml", [manifest("SparkBatch", "daily", SPECS["SparkBatch"])])
    plan = github.run("plan", "--format", "markdown")
    github.write("plan.md", plan.out)
    assert post(github).code == Exit.DONE
    digest = github.plan()["digest"]
    assert f"<!-- deployer-digest: {digest} -->" in server.comments[0].body
    # Nothing of our own report is changed.
    assert plan.out.removeprefix(f"{MARK}\n").strip() in server.comments[0].body
    assert github.run("comment", "--digest").out == f"{digest}\n"
    assert github.apply("--expect", digest).code == Exit.DONE


# --- the digest of the reviewed plan ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_the_digest_of_the_merged_request(
    workspace: Workspace, server: ForgeServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    in_job(server, name, monkeypatch)
    workspace.write("plan.md", REPORT)
    post(workspace)
    in_job(server, name, monkeypatch, number=None)
    server.merged["a" * 40] = [7]
    ran = workspace.run("comment", "--digest")
    assert (ran.code, ran.out, ran.err) == (Exit.DONE, f"{DIGEST}\n", "")
    server.merged["a" * 40] = []
    ran = workspace.run("comment", "--digest")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert f"commit {'a' * 40} came with no merged" in ran.err
    server.merged["b" * 40] = [7, 8]
    ran = workspace.run("comment", "--digest", "--commit", "b" * 40)
    assert (ran.code, "(7, 8); name one with --number" in ran.err) == (Exit.ERROR, True)
    server.comments[0].author = "eve"
    ran = workspace.run("comment", "--digest", "--number", "7")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert "7 has no comment of this project and target from this user" in ran.err


# --- the issue --------------------------------------------------------------------------------------------


def test_one_issue_is_opened_updated_and_closed(
    workspace: Workspace, server: ForgeServer, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_job(server, forge, monkeypatch, number=None)
    server.issues.append(Entry(1, "eve", f"{MARK}\nforged", "Drift"))

    def issue(*options: str) -> str:
        ran = workspace.run("comment", "--issue", "Drift", *options)
        assert (ran.code, ran.err) == (Exit.DONE, "")
        return ran.out

    assert issue("--close") == "no issue is open\n"
    assert issue("--body-file", "plan.md").startswith("issue opened: https://")
    assert "unchanged" in issue("--body-file", "plan.md")
    workspace.write("plan.md", REPORT.replace("create", "delete"))
    assert "updated" in issue("--body-file", "plan.md")
    assert [(entry.title, entry.state) for entry in server.issues] == [("Drift", "open")] * 2
    assert "delete" in server.issues[1].body
    assert "closed" in issue("--close")
    assert [entry.state for entry in server.issues] == ["open", "closed"]
    assert "opened" in issue("--body-file", "plan.md")
    assert [entry.state for entry in server.issues] == ["open", "closed", "open"]


# --- errors -----------------------------------------------------------------------------------------------


def test_a_lost_response_does_not_post_twice(workspace: Workspace, server: ForgeServer, forge: str) -> None:
    # The list, and who the user or what the pull request is; then the create.
    server.faults += [lambda _: None, lambda _: None, HANGS_UP]
    ran = post(workspace)
    assert (ran.code, len(server.comments)) == (Exit.DONE, 1)


@pytest.mark.parametrize(
    ("name", "status", "body", "words"),
    [
        ("github", 403, {"message": "Resource not accessible by integration"}, "pull-requests: write"),
        ("github", 401, {"message": "Bad credentials"}, "the token is invalid or has expired"),
        (
            "gitlab",
            403,
            {"message": "403 Forbidden"},
            "the token needs the scope api, and its user the role Reporter",
        ),
        ("gitlab", 401, {"message": "401"}, "CI_JOB_TOKEN may not write comments"),
        ("gitlab", 404, {"message": "404 Not found"}, "check the project and the number"),
        ("gitee", 403, {"message": "forbidden"}, "pull_requests, notes and issues"),
        ("github", 302, {}, "redirects are not followed because requests carry a token"),
        ("gitee", 400, {"message": f"no {BOT} \x1b[2J\n::error::"}, "no *** \\u001b[2J\\n::error::"),
        ("github", 200, {"data": None, "errors": [{"type": "FORBIDDEN", "message": "no"}]}, "issues: write"),
        (
            "github",
            200,
            {"data": {"repository": None}},
            "no comments in team/jobs, or the token may not read it",
        ),
        ("gitlab", 200, [], "unexpected response to /user"),
        ("github", 429, {"message": "slow down"}, "it asked to retry after 3600 s"),
    ],
)
def test_errors_say_what_to_do(
    workspace: Workspace,
    server: ForgeServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    body: object,
    words: str,
) -> None:
    in_job(server, name, monkeypatch)
    workspace.write("plan.md", REPORT)
    headers = {"Retry-After": "3600"} if status == 429 else {"Location": "https://evil.example/"}
    server.says(status, body, headers if status in {302, 429} else {})
    ran = post(workspace)
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert words in ran.err
    assert BOT not in ran.err
    assert (len(ran.err.splitlines()), server.comments) == (1, [])


def test_somebody_elses_token_adds_its_own(
    github: Workspace, server: ForgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(github)
    monkeypatch.setenv("GITHUB_TOKEN", EVE)
    assert "added" in post(github).out
    assert [entry.author for entry in server.comments] == ["bot", "eve"]


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ((), {"GITHUB_TOKEN": ""}, "no token for GitHub: set GITHUB_TOKEN or GH_TOKEN, or name another"),
        (("--token-variable", "HW_SECRET_KEY"), {"HW_SECRET_KEY": "x"}, "is not sent to GitHub"),
        (("--token-variable", "DEPLOYER_SECRET_X"), {}, "is not sent to GitHub"),
        ((), {"GITHUB_API_URL": "http://api.example"}, "must use https because requests carry a token"),
        ((), {"GITHUB_REF": "refs/heads/main"}, "this job is about no pull request; give its number"),
        ((), {"GITHUB_ACTIONS": ""}, "name it with --forge"),
        ((), {"GITEA_ACTIONS": "true"}, "Gitea and Forgejo are not supported"),
        (("--repository", "../../x"), {}, "is not a repository; expected OWNER/NAME"),
        (("--repository", "a/.."), {}, "is not a repository; expected OWNER/NAME"),
        (("--commit", "main"), {}, "'main' is not a commit"),
        (("--close",), {}, "--close closes an issue: give --issue, too"),
        (("--digest",), {}, "--digest cannot be combined with --body-file"),
        (("--issue", " "), {}, "--issue: expected a title"),
        (("--issue", "x", "--close"), {}, "--close cannot be combined with --body-file or --log"),
        (("-t", "tset"), {}, "unknown target 'tset' in deployer.yaml; did you mean 'test'?"),
    ],
)
def test_usage_errors(
    github: Workspace,
    server: ForgeServer,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    environment: dict[str, str],
    words: str,
) -> None:
    monkeypatch.delenv("GH_TOKEN", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran = post(github, *options)
    assert (ran.code, ran.out, server.sent) == (Exit.USAGE, "", [])
    assert words in ran.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n  \x1b[2J", "plan.md:2:3: unexpected character U+001B"),
        ("a \u202e b", "plan.md:1:3: unexpected character U+202E"),
        (
            "<!-- deployer: tests prod -->\n",
            "plan.md:1:1: this is the report of tests prod, not of tests test",
        ),
        ("", "plan.md is empty"),
    ],
)
def test_reports_that_are_none(github: Workspace, server: ForgeServer, text: str, words: str) -> None:
    github.write("plan.md", text)
    ran = post(github)
    assert (ran.code, ran.out, server.sent) == (Exit.USAGE, "", [])
    assert words in ran.err


def test_files_that_are_none(github: Workspace, server: ForgeServer) -> None:
    file = github.folder / "plan.md"
    file.write_bytes(b"a\n\xff")
    assert "plan.md:2: not valid UTF-8" in post(github).err
    file.unlink()
    assert "cannot read plan.md: No such file" in post(github).err
    # An artifact could contain such a link, and the comment would show what it leads to.
    file.symlink_to("/proc/self/environ")
    ran = post(github)
    assert (ran.code, "is a symbolic link" in ran.err) == (Exit.USAGE, True)
    file.unlink()
    file.mkdir()
    assert post(github).code == Exit.USAGE
    assert server.sent == []


def test_the_token_is_never_posted(github: Workspace, server: ForgeServer) -> None:
    github.write("plan.md", f"the token is {BOT}\n")
    assert post(github).code == Exit.DONE
    assert BOT not in server.comments[0].body


def test_a_dry_run_sends_nothing(github: Workspace, server: ForgeServer) -> None:
    ran = post(github, "--dry-run")
    assert (ran.code, server.sent) == (Exit.DONE, [])
    assert ran.out.startswith(f"{MARK}\n")
    assert (
        f"would be posted to pull request 7 of team/jobs at {server.url}/graphql; nothing was sent" in ran.err
    )


def test_the_number_of_the_event_goes_first(
    github: Workspace, server: ForgeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    monkeypatch.setenv("GITHUB_REF", "refs/heads/main")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    for content, code in (
        ({"pull_request": {"number": 7}}, Exit.DONE),
        ({"pull_request": {"number": True}}, Exit.USAGE),
        ({"pull_request": "7"}, Exit.USAGE),
        ([], Exit.USAGE),
    ):
        event.write_text(json.dumps(content))
        assert post(github).code == code
    event.write_text("{")
    assert post(github).code == Exit.USAGE
    assert len(server.comments) == 1
