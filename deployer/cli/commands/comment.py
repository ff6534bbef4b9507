"""`deployer comment`"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import Options, completed_by, project_command
from deployer.cli.project_names import project_and_target
from deployer.errors import DeployerError, Exit, InvalidInput, UsageError
from deployer.escape import printable
from deployer.report.terminal import err, out

if TYPE_CHECKING:
    from deployer.forge.body import Report
    from deployer.forge.forge import Forge
    from deployer.forge.sticky import Posted

# Codes of a command that has done its work: no changes, or changes that were asked for.
_FINE = {0, 2}
MAX_TITLE = 200

EXAMPLES = examples(
    (
        "Post a plan, made by plan --format markdown, on the pull request of this CI job",
        "deployer comment -t prod --body-file plan.md",
    ),
    (
        "Say that the plan failed, with the end of its log",
        "deployer comment -t prod --exit-code 4 --log plan.log",
    ),
    (
        "Open or update the issue about drift; with --close instead of --body-file, close it",
        'deployer comment -t prod --issue "Drift in prod" --body-file plan.md',
    ),
)


@click.command("comment", epilog=EXAMPLES)
@click.option(
    "--body-file",
    metavar="FILE",
    help="Markdown to post: the report of plan.",
    shell_complete=completed_by("files"),
)
@click.option(
    "--log",
    "log_file",
    metavar="FILE",
    help="Text whose end is posted as code: the messages of plan.",
    shell_complete=completed_by("files"),
)
@click.option(
    "--exit-code",
    type=click.IntRange(0, 255),
    metavar="N",
    default=0,
    help="Exit code of the command: except for 0 and 2, the comment says that it failed.",
)
@click.option(
    "--digest",
    "shows_digest",
    is_flag=True,
    help="Print the digest of the plan in the comment; post nothing.",
)
@click.option("--issue", metavar="TITLE", help="Open or update one issue instead of a comment.")
@click.option("--close", is_flag=True, help="Close the issue, if it is open.")
@click.option(
    "--forge",
    type=click.Choice(["github", "gitlab", "gitee"]),
    envvar="DEPLOYER_FORGE",
    help="Forge (default: that of the CI job).",
)
@click.option(
    "--repository",
    metavar="OWNER/NAME",
    envvar="DEPLOYER_REPOSITORY",
    help="Repository, or project of GitLab (default: that of the CI job).",
)
@click.option(
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    envvar="DEPLOYER_PULL_REQUEST",
    help="Number of the pull request (default: that of the CI job).",
)
@click.option(
    "--commit", metavar="COMMIT", help="With --digest: the merged commit (default: that of the CI job)."
)
@click.option("--token-variable", metavar="NAME", help="Environment variable with the token of the forge.")
@click.option("--dry-run", is_flag=True, help="Print what would be posted; send nothing.")
@project_command
def command(
    options: Options,
    *,
    body_file: str | None,
    log_file: str | None,
    exit_code: int,
    shows_digest: bool,
    issue: str | None,
    close: bool,
    forge: str | None,
    repository: str | None,
    number: int | None,
    commit: str | None,
    token_variable: str | None,
    dry_run: bool,
) -> Exit:
    """Post a report as the one comment of its project and target on a pull request, or as one issue.

    The comment is updated in place, and older ones are hidden. Only comments of the token's own user are touched.
    """
    _check_options(body_file, log_file, exit_code, shows_digest=shows_digest, issue=issue, close=close)
    from deployer.forge import body, where

    mark, nameless = _marker(options, may_be_nameless=exit_code not in _FINE and not issue and not dry_run)
    place = where.place_of(os.environ, forge=forge, repository=repository, number=number, commit=commit)
    kind = where.FORGES[place.forge]
    if not (shows_digest or issue) and place.number is None:
        raise UsageError(f"this job is about no {kind.request}; give its number with --number")
    text = ""
    if not (shows_digest or close):
        report = _report(mark, body_file, log_file, exit_code)
        text = body.body(report, kind.limit, counts_bytes=kind.counts_bytes)
    if dry_run:
        where_to = "an issue" if issue else f"{kind.request} {place.number}"
        err(f"would be posted to {where_to} of {place.repository} at {place.api}; nothing was sent")
        out(text or mark)
        return Exit.DONE
    token = where.token_of(os.environ, place.forge, token_variable)
    if text:
        from deployer.secrets.scrub import MASK, encoded_forms

        for form in encoded_forms(token):
            text = text.replace(form, MASK)
    with closing(kind(place, token, session.note)) as opened:
        if shows_digest:
            return _print_digest(opened, mark)
        if nameless:
            named = _only_marker(opened, options.target or "", nameless)
            mark, text = named, named + text.removeprefix(mark)
        done = _issue(opened, mark, issue, text) if issue else _comment(opened, mark, text)
    out(done)
    return Exit.DONE


def _check_options(
    body_file: str | None,
    log_file: str | None,
    exit_code: int,
    *,
    shows_digest: bool,
    issue: str | None,
    close: bool,
) -> None:
    """Raise UsageError for options that contradict each other."""
    has_body = bool(body_file or log_file)
    if issue is not None and (not issue.strip() or len(issue) > MAX_TITLE):
        raise UsageError(f"--issue: expected a title of 1 to {MAX_TITLE} characters")
    if close and issue is None:
        raise UsageError("--close closes an issue: give --issue, too")
    if shows_digest and (has_body or issue is not None):
        raise UsageError("--digest cannot be combined with --body-file, --log or --issue")
    if close and has_body:
        raise UsageError("--close cannot be combined with --body-file or --log")
    if not (shows_digest or close or has_body or exit_code not in _FINE):
        raise UsageError("nothing to post: give --body-file")


def _report(mark: str, body_file: str | None, log_file: str | None, exit_code: int) -> Report:
    from deployer.forge import body

    failed = exit_code not in _FINE
    text = ""
    if body_file and (Path(body_file).exists() or not failed):
        text = body.checked(body.read_text(body_file), body_file, mark)
    if not text and not failed and not log_file:
        raise UsageError(f"{body_file} is empty, so there is nothing to post")
    notices = (f"**The plan failed with exit code {exit_code}, so it cannot be applied.**",) if failed else ()
    if failed and not text:
        _, _, project, target, _ = mark.split(" ")
        text = f"### deployer plan: `{project}` → `{target}`"
    return body.Report(mark, text, notices, body.read_text(log_file) if log_file else "", failed)


def _marker(options: Options, *, may_be_nameless: bool) -> tuple[str, DeployerError | None]:
    """Return the marker of the project and target, or one without a project and why it has none."""
    from deployer.forge.marker import marker

    try:
        return marker(*project_and_target(options)), None
    except (InvalidInput, UsageError) as error:
        if not options.target or not may_be_nameless:
            raise
        # As in the report of such a plan. It takes the place of the comment of the plan before.
        return marker("", options.target), error


def _only_marker(forge: Forge, target: str, nameless: DeployerError) -> str:
    """Return the marker of our only comment about a target. Raises `nameless` without it, or if there are several."""
    from deployer.forge.sticky import markers_of

    number = forge.place.number
    markers = set() if number is None else markers_of(forge, number, target)
    if len(markers) != 1:
        raise nameless
    return markers.pop()


def _comment(forge: Forge, mark: str, text: str) -> str:
    from deployer.forge.sticky import post_comment

    number = forge.place.number
    if number is None:
        raise DeployerError(f"this job is about no {forge.request}")
    posted = post_comment(forge, number, mark, text)
    hidden = f"; {posted.hidden} older hidden" if posted.hidden else ""
    return f"comment on {forge.request} {number} {posted.done}{_url(posted)}{hidden}"


def _issue(forge: Forge, mark: str, title: str, text: str) -> str:
    from deployer.forge.sticky import close_issue, post_issue

    posted = post_issue(forge, mark, title, text) if text else close_issue(forge, mark)
    if posted is None:
        return "no issue is open"
    others = f"; {posted.hidden} others closed" if posted.hidden else ""
    return f"issue {posted.done}{_url(posted)}{others}"


def _url(posted: Posted) -> str:
    url = posted.post.url
    return f": {printable(url)}" if url.startswith(("https://", "http://")) else ""


def _print_digest(forge: Forge, mark: str) -> Exit:
    """Print the digest of the reviewed plan. Raises DeployerError if there is none."""
    from deployer.forge.body import digest_of
    from deployer.forge.sticky import newest, request_of

    number = forge.place.number
    if number is None:
        if not forge.place.commit:
            raise UsageError(f"this job is about no {forge.request} and no commit; give --number or --commit")
        number = request_of(forge, forge.place.commit)
    comment = newest(forge, number, mark)
    if comment is None:
        raise DeployerError(
            f"{forge.request} {number} has no comment of this project and target from this user"
        )
    digest = digest_of(comment.body)
    if not digest:
        raise DeployerError(f"the comment on {forge.request} {number} shows no plan: the last one failed")
    out(digest)
    return Exit.DONE
