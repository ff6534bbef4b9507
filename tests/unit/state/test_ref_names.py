"""The ref of a project and target: valid for git, and another one for each."""

from __future__ import annotations

import string
import subprocess
from urllib.parse import unquote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployer.state.chain import ref_name

# Projects have only some characters; the name of a target can be any key of a YAML mapping.
PROJECTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
TARGETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
KEPT = {*string.ascii_letters, *string.digits, *"_-%/"}


@settings(derandomize=True, deadline=None)
@given(projects=st.tuples(PROJECTS, PROJECTS), targets=st.tuples(TARGETS, TARGETS))
@example(projects=("a.lock", "a"), targets=("b.lock", "b"))
@example(projects=("a..b", "a.b"), targets=("..", "."))
@example(projects=("a", "a"), targets=("a/b", "a%2Fb"))
@example(projects=("a", "a"), targets=("@{", "@"))
@example(projects=("a", "a"), targets=("~", "^"))
def test_each_project_and_target_has_a_ref_of_its_own(
    projects: tuple[str, str], targets: tuple[str, str]
) -> None:
    pairs = [(project, target) for project in projects for target in targets]
    for branch in ("", "deployer-state"):
        names = {pair: ref_name(*pair, branch) for pair in pairs}
        assert len({*names.values()}) == len({*pairs})
        for pair, name in names.items():
            assert {*name} <= KEPT
            # Always two levels, so that none is the folder of another one.
            *above, project, target = name.split("/")
            assert above == (["refs", "heads", branch] if branch else ["refs", "deployer"])
            assert (unquote(project), unquote(target)) == pair


@settings(derandomize=True, deadline=None, max_examples=30)
@given(project=PROJECTS, target=TARGETS)
@example(project="a.lock", target="b.lock")
@example(project="-", target="-")
@example(project="a", target="@{-1}")
def test_git_takes_each(project: str, target: str) -> None:
    for branch in ("", "deployer-state"):
        subprocess.run(["git", "check-ref-format", ref_name(project, target, branch)], check=True)


def test_plain_names_stay_readable() -> None:
    assert ref_name("orders_v2", "prod-eu") == "refs/deployer/orders_v2/prod-eu"
    assert ref_name("orders", "prod", "deployer/x") == "refs/heads/deployer/x/orders/prod"
    assert ref_name("a.b", "eu/prod ä") == "refs/deployer/a%2Eb/eu%2Fprod%20%C3%A4"
