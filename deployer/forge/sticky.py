"""One comment on a pull request, or one issue, for each marker: found again, updated in place, hidden or closed.

A comment is ours if the user of the token wrote it and it begins with the marker. A marker anywhere else, or in what
somebody else wrote, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deployer.errors import DeployerError, ResponseLost
from deployer.forge.body import is_marked
from deployer.forge.forge import Forge, Post
from deployer.forge.marker import is_of_target


@dataclass(frozen=True, slots=True)
class Posted:
    """What was done with a comment or an issue, in the past tense, and how many older ones were hidden."""

    done: str
    post: Post
    hidden: int = 0


def newest(forge: Forge, number: int, marker: str) -> Post | None:
    """Return our comment on a pull request; None if there is none."""
    ours = _marked(forge.comments(number), marker)
    return ours[-1] if ours else None


def markers_of(forge: Forge, number: int, target: str) -> set[str]:
    """Return the markers of our comments on a pull request that are about a target."""
    lines = (comment.body.lstrip().partition("\n")[0].rstrip() for comment in forge.comments(number))
    return {line for line in lines if is_of_target(line, target)}


def post_comment(forge: Forge, number: int, marker: str, body: str) -> Posted:
    """Add our comment, or update it; hide older ones. Raises ApiError and DeployerError."""
    ours = _marked(forge.comments(number), marker)
    if ours:
        *older, last = ours
        done = "unchanged" if _same(last.body, body) else "updated"
        if done == "updated":
            forge.edit_comment(number, last, body)
        for comment in older:
            forge.hide_comment(number, comment)
        return Posted(done, last, len(older))
    added = _created(lambda: forge.add_comment(number, body), lambda: _marked(forge.comments(number), marker))
    return Posted("added", added)


def post_issue(forge: Forge, marker: str, title: str, body: str) -> Posted:
    """Open our issue, or update the one that is open; close others with the same marker."""
    ours = _marked(forge.open_issues(), marker)
    if ours:
        first, *others = ours
        done = "unchanged" if _same(first.body, body) and first.title == title else "updated"
        if done == "updated":
            forge.edit_issue(first, title, body)
        for issue in others:
            forge.close_issue(issue)
        return Posted(done, first, len(others))
    opened = _created(lambda: forge.open_issue(title, body), lambda: _marked(forge.open_issues(), marker))
    return Posted("opened", opened)


def close_issue(forge: Forge, marker: str) -> Posted | None:
    """Close our open issues with this marker; None if there is none."""
    ours = _marked(forge.open_issues(), marker)
    for issue in ours:
        forge.close_issue(issue)
    return Posted("closed", ours[0], len(ours) - 1) if ours else None


def request_of(forge: Forge, commit: str) -> int:
    """Return the number of the pull request that was merged as `commit`. Raises DeployerError."""
    numbers = sorted({*forge.merged_as(commit)})
    if len(numbers) == 1:
        return numbers[0]
    if not numbers:
        raise DeployerError(f"commit {commit} came with no merged {forge.request}, so nothing was reviewed")
    shown = ", ".join(map(str, numbers))
    raise DeployerError(
        f"commit {commit} came with several merged {forge.request}s ({shown}); name one with --number"
    )


def _marked(posts: Iterable[Post], marker: str) -> list[Post]:
    return [post for post in posts if is_marked(post.body, marker)]


def _same(shown: str, body: str) -> bool:
    """Return whether a forge shows this body already; some change line ends and blanks at the end."""
    return shown.replace("\r\n", "\n").rstrip() == body.rstrip()


def _created(create: Callable[[], Post], found: Callable[[], list[Post]]) -> Post:
    """Create something, or find it if the response was lost: it must not be there twice."""
    try:
        return create()
    except ResponseLost:
        if there := found():
            return there[-1]
        raise
