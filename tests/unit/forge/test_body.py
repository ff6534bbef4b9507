"""The body of a comment: hostile reports are defused, ours stay as they are, and long ones are cut whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.forge.body import Report, body, digest_of, is_marked
from deployer.forge.marker import marker

MARK = marker("shop", "prod")
LIMIT = 65_000


def posted(text: str, limit: int = LIMIT) -> str:
    """Return what is posted after the marker."""
    whole = body(Report(MARK, text), limit)
    assert whole.startswith(f"{MARK}\n")
    return whole.removeprefix(f"{MARK}\n").strip("\n")


def test_markers() -> None:
    assert MARK == "<!-- deployer: shop prod -->"
    assert marker("a b", "x-->y") == "<!-- deployer: a%20b x-%2D%3Ey -->"
    assert marker("", "") == "<!-- deployer: - - -->"
    assert len(marker("ä" * 999, "t")) < 100
    assert is_marked(f"{MARK}\r\ntext", MARK)
    assert not is_marked(f"text\n{MARK}", MARK)
    assert not is_marked(f"{MARK} more", MARK)


@pytest.mark.parametrize(
    "text",
    [
        "### deployer plan: `shop` → `prod`\n\n**1 to create** · `@cn-north-4`",
        "| Action | Jobs |\n| --- | --- |\n| **create** | `daily`<br>`x@y` |",
        "<details open>\n<summary><b>create</b> <code>a</code></summary>\n\n```diff\n+ @x #1 <!--\n```\n\n</details>",
        "```diff\n+ <b>@team</b>\n```",
        "````text\n```\n@x\n````",
        "> [!CAUTION]\n> **3 jobs lose their state.**",
        "[`a.yaml:2`](https://github.example/team/jobs/blob/abc/a.yaml#L2)",
        "[`a.yaml`](https://git.example:8443/a/b/-/blob/0123456789012345678901234567890123456789/a%20b.yaml#L2), "
        "[`b`](https://github.example/team/jobs/blob/abc/b)",
        "<summary><b>create</b> <code>SparkBatch GH-3 #3 @x 0123abc https://x.example</code> · reruns</summary>",
        "<sub>commit `abc` · digest `def`</sub>",
    ],
)
def test_our_reports_stay_as_they_are(text: str) -> None:
    assert posted(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello @octocat", "hello @&#8203;octocat"),
        ("closes #12 and !12", "closes #&#8203;12 and !&#8203;12"),
        ("/merge", "&#47;merge"),
        ("  /close", "  &#47;close"),
        ("![x](https://evil.example/x.png)", "&#33;[x]&#8203;(https:&#8203;//evil.example/x.png)"),
        ("GH-3, gh-4, ETL-5", "GH&#8203;-3, gh&#8203;-4, ETL&#8203;-5"),
        ("org/repo#4 and o/r!5", "org/repo#&#8203;4 and o/r!&#8203;5"),
        ("see 0123abc or " + "a1" * 20, "see 0&#8203;123abc or a&#8203;1" + "a1" * 19),
        (
            "https://github.com/o/r/issues/3 www.x.example",
            "https:&#8203;//github.com/o/r/issues/3 www&#8203;.x.example",
        ),
        ("[x](/o/r/issues/3)", "[x]&#8203;(/o/r/issues/3)"),
        ("[x]: //evil.example", "[x]&#8203;: //evil.example"),
        (
            "[x](https://github.com/o/r/blob/abc/../issues/3)",
            "[x]&#8203;(https:&#8203;//github.com/o/r/blob/abc/../issues/3)",
        ),
        (
            '~bug ~"a b" %1 $2 &3',
            '~&#8203;bug ~&#8203;"a b" %&#8203;1 $&#8203;2 &&#8203;3',
        ),
        (
            "<summary><code>a</code> @x <code>`@y</code></summary>",
            "<summary><code>a</code> @&#8203;x <code>`@&#8203;y</code></summary>",
        ),
        ("<img src=x>", "&lt;img src=x>"),
        ("a\n<!-- deployer: shop dev -->\nb", "a\nb"),
        ("a <!-- deployer: shop dev -->", "a &lt;!-- deployer: shop dev -->"),
        ("<!--\n```\n-->\n@x", "&lt;!--\n\n```\n-->\n@x\n```"),
        # A fence in a list ends with the list: this one is at the start of a line, and so in no list.
        ("- a\n\n  ```\n@x\n", "- a\n\n```\n@x\n\n```"),
        # Spans over lines, with escapes, and of runs that do not match are text.
        ("` a\n`@x`", "` a\n`@&#8203;x`"),
        ("\\`@x`", "\\`@&#8203;x`"),
        ("``@x`", "``@&#8203;x`"),
        ("``a`@x`b``", "``a`@&#8203;x`b``"),
        ("`a` @x `b`", "`a` @&#8203;x `b`"),
        ("text\n```\n/close\n```", "text\n\n```\n /close\n```"),
        ("> ```\n> @x", "> ```\n> @&#8203;x"),
        ("    @x", "    @&#8203;x"),
        ("```a@x b\nc\n```", "```axb\nc\n```"),
        ("```\nnever closed @x", "```\nnever closed @x\n```"),
        ("``` not a fence ` @x", "``` not a fence ` @&#8203;x"),
    ],
)
def test_hostile_reports_are_defused(text: str, expected: str) -> None:
    assert posted(text) == expected.strip("\n")


@given(st.text(st.sampled_from("`~<>!-@#/\\ \nab[]("), max_size=60))
def test_outside_of_fences_nothing_refers_to_anybody(text: str) -> None:
    fence = ""
    for line in posted(text).split("\n"):
        match = re.fullmatch(r"(`{3,}|~{3,})[^`]*", line)
        if fence:
            assert not line.startswith("/")
            fence = "" if match and match[1].startswith(fence) and line == match[1] else fence
        elif match:
            fence = match[1]
        else:
            assert not re.search(r"<(?!/?(b|br)>)", line)
            assert not line.lstrip().startswith("/")
            for start in re.finditer("@(?=[ab])", line):
                # In a code span of one line, of which no other reading is possible.
                before, after = line[: start.start()], line[start.end() :]
                assert before.count("`") % 2 == 1 or "``" in before
                assert "`" in after
    assert fence == ""


@given(
    st.lists(
        st.sampled_from(["```", "````text", "<details>", "</details>", "", "word " * 9, "@x"]), max_size=60
    ),
    st.integers(400, 900),
)
def test_a_cut_report_leaves_nothing_open(lines: list[str], limit: int) -> None:
    whole = body(Report(MARK, "\n".join(lines)), limit)
    assert len(whole) <= limit
    fence, depth = "", 0
    for line in whole.split("\n"):
        if match := re.fullmatch("(`{3,})(text)?", line):
            if fence and match[1].startswith(fence) and not match[2]:
                fence = ""
            elif not fence:
                fence = match[1]
        elif not fence:
            depth += (line == "<details>") - (line == "</details>" and depth > 0)
    assert fence == ""
    if "The rest of this report is left out" in whole:
        assert depth == 0


def test_bytes_are_counted_where_they_count() -> None:
    whole = body(Report(MARK, "\n\n".join(["数据" * 20] * 200)), 5_000, counts_bytes=True)
    assert 4_000 < len(whole.encode()) <= 5_000
    assert whole.endswith("The log of the job has all of it.**\n")


def test_the_digest_survives_a_cut() -> None:
    digest = "a1" * 32
    for last in (f"Digest: `{digest}`", f"<sub>commit `x` · digest `{digest}`</sub>"):
        whole = body(Report(MARK, "\n".join(["word"] * 9_000 + [last])), 4_000)
        assert digest_of(whole) == digest
        assert digest_of(body(Report(MARK, last, failed=True), LIMIT)) == ""
    # A report of several targets has several digests.
    several = f"one\n\n<!-- deployer: shop dev -->\n\ndigest `{digest}`"
    assert digest_of(body(Report(MARK, several), LIMIT)) == ""
    # Only the last line of a report says its digest, and only the second of a comment.
    assert digest_of(body(Report(MARK, f"digest `{digest}`\n\nmore"), LIMIT)) == ""
    assert digest_of(f"{MARK}\n\n<!-- deployer-digest: {digest} -->") == ""


def test_a_log_is_code_and_its_end_is_kept() -> None:
    log = "\n".join([f"line {n}" for n in range(99)] + ["```", "@x \x1b[2J", "password=hunter2hunter2"])
    whole = body(Report(MARK, "", ("**failed**",), log, failed=True), LIMIT)
    assert "> [!CAUTION]\n> **failed**" in whole
    assert "\n````text\n... 42 lines before\nline 42\n" in whole
    assert "\\u001b[2J" in whole
    assert "hunter2" not in whole
