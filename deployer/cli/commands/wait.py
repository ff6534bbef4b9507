"""`deployer wait`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployer.cli import planner, session, shared_state
from deployer.cli.examples import examples
from deployer.cli.options import Options, project_command
from deployer.cli.param_options import members, param_option, report_not_told
from deployer.errors import Exit, UsageError
from deployer.kinds import KINDS
from deployer.kinds.kind import Nature
from deployer.model import Change, Result, State, Until
from deployer.project.target import seconds
from deployer.report import text
from deployer.report.terminal import out

EXAMPLES = examples(
    ("Wait until one job has succeeded", "deployer wait spark/daily-orders.yaml --until succeeded"),
    (
        "Wait for one team, at most one hour",
        "deployer wait --select label.team=orders --timeout 1h",
    ),
)


@click.command("wait", epilog=EXAMPLES)
@click.option(
    "--until",
    type=click.Choice(["running", "succeeded"]),
    help="State to wait for (default: running for Flink jobs, succeeded for others).",
)
@click.option(
    "--timeout", metavar="TIME", help="Maximum time, such as 90s, 30m or 2h (default: lifecycle.timeout)."
)
@param_option
@project_command
def command(options: Options, until: str | None, timeout: str | None, *, params: Sequence[str]) -> Exit:
    """Wait until the selected jobs are running or have succeeded. Read-only."""
    from deployer.apply.watch import WaitRequest, watch

    if timeout is not None:
        _check(timeout)
    loaded = session.without_ordering(session.load(options))
    session.require_valid(loaded)
    results: list[Result] = []
    with session.connected(loaded) as client:
        plan, _ = planner.plan(
            client, loaded, known=shared_state.known(loaded), members=members(loaded, params)
        )
        awaited = []
        for change in plan.changes:
            state = change.job.lifecycle.state
            if state in {State.ABSENT, State.STOPPED}:
                session.note(f"{change.job.identity}: skipped (its manifest sets state: {state})")
                continue
            effective_timeout = timeout or change.job.lifecycle.timeout
            awaited.append(
                WaitRequest(
                    change.job,
                    change.live,
                    _until(change, until),
                    seconds(effective_timeout),
                    effective_timeout,
                )
            )
        planner.report_errors(plan)
        report_not_told(plan)
        report = session.note
        for result in watch(client, awaited, loaded.target.polling.interval, report):
            results.append(result.result)
            out(text.wait_result(result, plan.places))
    results += [Result.FAILED] * len(plan.errors)
    return _exit_code(results)


def _check(timeout: str) -> None:
    try:
        seconds(timeout)
    except ValueError:
        raise UsageError(f"--timeout {timeout}: expected a duration such as 90s, 30m or 2h") from None


def _until(change: Change, until: str | None) -> Until:
    if until:
        return Until(until)
    nature = KINDS[change.job.kind].nature
    return Until.RUNNING if nature is Nature.DEFINITION else Until.SUCCEEDED


def _exit_code(results: list[Result]) -> Exit:
    if Result.TIMED_OUT in results:
        return Exit.PARTLY
    if Result.FAILED in results:
        return Exit.PARTLY if Result.DONE in results else Exit.ERROR
    return Exit.DONE
