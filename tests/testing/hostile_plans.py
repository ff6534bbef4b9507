"""Plans of names and values that mean something to a renderer of Markdown or HTML, a terminal or a forge."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from deployer.model import (
    Action,
    Cause,
    Change,
    FieldChange,
    Identity,
    Impact,
    Job,
    LiveJob,
    Note,
    Orphan,
    Phase,
    Plan,
    Scope,
    SecretStatus,
    Source,
)

# A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)

PIECES = (
    *("`", "``", "```", "~~~", "|", "\\", "</details>", "</code>", "</summary>", "-->", "--", "<!--", "<"),
    *(
        "<!-- deployer: shop prod -->",
        "@team",
        "[x](https://evil.example)",
        "https://evil.example",
        "![",
        "](x)",
    ),
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=y>",
        "\n",
        "\n\n",
        "\r",
        "# ",
        "> ",
        "* ",
        "\t",
        " ",
        "&lt;",
    ),
    *(
        "\u202e",
        "\u200b",
        "\x1b[31m",
        "/close",
        "#1",
        "GH-3",
        "org/repo#4",
        "0123abcd",
        "www.evil.example",
        "!5 ~bug %1 $2 &3",
        ":tada:",
        "$x$",
        "${{ x }}",
        "<br>",
        "a",
        "1",
        "é",
        "\ud800",
    ),
)
nasty = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
values = st.none() | st.integers(0, 9) | nasty | st.lists(nasty, max_size=2)
identities = st.builds(Identity, st.sampled_from(["SparkBatch", "FlinkJar"]), nasty, nasty)
sources = st.builds(Source, nasty, st.integers(0, 9))
runs = st.builds(LiveJob, nasty, identities, nasty, st.sampled_from(Phase), st.just(0), st.none())
fields = st.builds(FieldChange, nasty.map("/{}".format), values, values, st.booleans(), nasty)
changes = st.builds(
    Change,
    st.sampled_from(Action),
    st.builds(Job, identities, sources, st.just({})),
    nasty,
    st.sampled_from(Impact),
    st.lists(fields, max_size=3).map(tuple),
    st.none() | runs,
    cause=st.none() | st.sampled_from(Cause),
    not_compared=st.lists(nasty, max_size=1).map(tuple),
    live_only=st.lists(fields, max_size=1).map(tuple),
)
notes = st.lists(st.builds(Note, identities, sources, nasty), max_size=7).map(tuple)
plans = st.builds(
    Plan,
    nasty,
    st.lists(changes, max_size=3).map(tuple),
    notes,
    notes,
    st.just("5f" * 32),
    st.lists(st.builds(Orphan, runs, nasty, nasty, nasty), max_size=2).map(tuple),
    st.integers(0, 3),
    st.lists(st.builds(SecretStatus, nasty, nasty, nasty), max_size=2).map(tuple),
    st.none() | st.builds(Scope, nasty, nasty, nasty, project_id=nasty),
)
