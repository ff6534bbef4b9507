"""The page of a plan in a real browser: Chromium, as Debian has it. `make test-browser` runs this.

Skipped where Chromium or Playwright is not installed. Screenshots are in build/browser.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.model import Action, Change, FieldChange, Impact, Job, Plan
from deployer.report import html
from testing.review_plans import DIGEST, ORIGIN, SCOPE, job, many, mixed, restart
from testing.workspace import ROOT

sync_api = pytest.importorskip("playwright.sync_api", reason="run 'make test-browser' to install Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
    # Playwright leaves the socket of its own loop to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
SHOTS = ROOT / "build" / "browser"
NARROW, HALF, WIDE = 400, 500, 1280
LONG = {"team": "a-team-with-a-name-that-does-not-end" * 5, "x" * 200: "y"}


def labelled(plan: Plan) -> Plan:
    """The plan with labels of jobs that no window has room for."""
    changes = (
        replace(change, job=replace(change.job, labels=LONG)) for change in plan.changes if change.fields
    )
    return replace(plan, changes=tuple(changes))


FIXED = {
    "labels": labelled(mixed()),
    "one": Plan("prod", (restart(1),), digest=DIGEST, scope=SCOPE),
    "mixed": mixed(),
    "many": many(),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root in a container; it opens nothing but our page.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def opened(
    browser: Any, folder: Path, plan: Plan, *, width: int = WIDE, scheme: str = "light", script: bool = True
) -> Iterator[Any]:
    """Open the page of a plan; it must load nothing, and violate no policy."""
    file = folder / "plan.html"
    file.write_text(html.plan(plan, ORIGIN), encoding="utf-8")
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
        offline=True,
    )
    page = context.new_page()
    complaints: list[str] = []

    def refused(dialog: Any) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", refused)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    try:
        yield page
        assert requests == [file.as_uri()]
        assert complaints == []
    finally:
        context.close()


def shown(page: Any) -> list[str]:
    """The titles of the groups that are shown."""
    titles: list[str] = page.locator(".group:not([hidden]) .title").all_inner_texts()
    return titles


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("width", [NARROW, HALF, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(browser: Any, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with opened(browser, tmp_path, FIXED[name], width=width, scheme=scheme) as page:
        page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=name != "many")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")


def test_search_and_filters(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, mixed()) as page:
        status = page.locator("#shown")
        assert status.inner_text() == "10 jobs"
        page.keyboard.press("/")
        page.keyboard.type("shuffle.partitions 400")
        sync_api.expect(status).to_have_text("3 of 10 jobs")
        assert shown(page) == ["SparkBatch hourly-* in general"]
        page.keyboard.press("Escape")
        sync_api.expect(status).to_have_text("10 jobs")
        page.select_option("#action", "restart")
        assert shown(page) == ["FlinkJar clicks-10", "FlinkJar clicks-2"]
        page.select_option("#kind", "SparkBatch")
        assert shown(page) == []
        assert page.locator("#nothing").is_visible()
        page.keyboard.press("Escape")
        page.select_option("#drift", "1")
        assert shown(page) == ["FlinkJar clicks-by-page"]
        assert not page.locator(".part-creates").is_visible()


def test_labels(browser: Any, tmp_path: Path) -> None:
    labelled = Job(job("a").identity, job("a").source, {}, labels={"team": "orders"})
    plan = Plan("prod", (Change(Action.CREATE, labelled, "new"), restart(1)), digest=DIGEST, scope=SCOPE)
    with opened(browser, tmp_path, plan) as page:
        page.select_option("#label", label="team=orders")
        assert shown(page) == ["SparkBatch a in general"]


def test_keys_fold_and_walk(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, mixed()) as page:
        page.keyboard.press("c")
        assert page.locator(".group[open]").count() == 0
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        assert page.locator(".group[open] .title").all_inner_texts() == ["SparkBatch hourly-* in general"]
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.innerText").startswith("restart")
        page.keyboard.press("e")
        assert page.locator(".group[open]").count() == page.locator(".group").count()


def test_sides_and_theme(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, mixed()) as page:
        old, new = page.locator(".change .old").first, page.locator(".change .new").first
        assert old.bounding_box()["y"] < new.bounding_box()["y"]
        page.keyboard.press("s")
        assert old.bounding_box()["y"] == new.bounding_box()["y"]
        assert old.bounding_box()["x"] < new.bounding_box()["x"]
        assert page.locator("#sides").get_attribute("aria-pressed") == "true"
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"


def test_thousands_of_changes_can_be_searched(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, many()) as page:
        page.fill("#search", "hourly-1998")
        sync_api.expect(page.locator("#shown")).to_have_text("1 of 2000 jobs")
        assert shown(page) == ["SparkBatch hourly-1998 in general"]


def test_all_of_it_is_printed(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, mixed()) as page:
        page.keyboard.press("c")
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".group[open]").count() == page.locator(".group").count()
        assert not page.locator(".toolbar").is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf()[:5] == b"%PDF-"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator(".group[open]").count() == 0


def test_without_a_script_it_can_be_read(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, mixed(), script=False) as page:
        assert not page.locator(".toolbar").is_visible()
        assert page.get_by_text("job state is lost").is_visible()


def test_a_hostile_name_runs_nothing(browser: Any, tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"
    hostile = Job(job(name, file=name).identity, job(name, file=name).source, {}, labels={name: name})
    fields = (FieldChange(f"/{name}", name, f"{name}\nx"),)
    plan = Plan(name, (Change(Action.RESUBMIT, hostile, name, Impact.RERUNS, fields),), scope=SCOPE)
    with opened(browser, tmp_path, plan) as page:
        page.fill("#search", "onerror")
        assert shown(page) == [f"SparkBatch {name} in general"]


def test_the_policy_stops_another_script(browser: Any, tmp_path: Path) -> None:
    """If a script were ever to get into the page, it would not run."""
    file = tmp_path / "plan.html"
    made = html.plan(mixed(), ORIGIN)
    file.write_text(made.replace("<main>", "<script>document.title = 'run'</script><main>"), encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.title() != "run"
    page.close()
