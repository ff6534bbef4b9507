"""Execution of a plan: with the journal, until the end or an interrupt, and with the final counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, TypeVar

from deployer.cli import session
from deployer.cli.approval import Verb
from deployer.cli.interrupts import interruptible
from deployer.errors import DeployerError, Exit
from deployer.model import Action, Change, Identity, Job, Live, Outcome, Plan, Result, Step
from deployer.report import text
from deployer.report.terminal import bar, err, out

_T = TypeVar("_T")

if TYPE_CHECKING:
    from deployer.apply.context import ApplyContext
    from deployer.apply.scheduler import ApplyOptions
    from deployer.cli.locks import Held
    from deployer.cli.outcome_reports import Record
    from deployer.cloud.client import Client


def execute(
    held: Held, client: Client, plan: Plan, live: Live, options: ApplyOptions, verb: Verb, record: Record
) -> Exit:
    """Execute a plan under its lock, print and record the outcomes, and return the exit code of the command.

    The counts and the exit code are those of `record.plan`, of which a part may have been executed before.
    """
    printer = _OutcomePrinter()
    plan = replace(plan, changes=_in_order(plan.changes))
    whole, before = record.plan or plan, [*record.outcomes]
    blocked, errors = whole.summary[Action.BLOCKED], len(whole.errors)
    held.journal_of(client).plan_applied = whole.digest, len(whole.pending)
    ended = applied(held, client, plan, live, options, printer, record.outcomes.append)
    # Some may have been changed by the last look.
    ended = record.outcomes = [*before, *ended]
    # As in the counts of the plan: a cancel of several runs counts each of them.
    results = [outcome.result for outcome in ended for _ in range(outcome.change.runs)]
    not_started = sum(change.runs for change in whole.steps) - len(results)
    counts = text.outcomes(
        results, verb.name, verb.past, blocked=blocked, errors=errors, not_started=not_started
    )
    printer(counts)
    code = exit_code(ended, blocked=blocked, errors=errors)
    words = ""
    if held.lost:
        if not_started and code in {Exit.DONE, Exit.BLOCKED}:
            code = Exit.PARTLY if Result.DONE in results else Exit.ERROR
        words = f"{held.lost}; nothing was sent after that"
        err(text.note(words) if code is Exit.DONE else text.error(words))
    return record.ended(Exit.INTERRUPTED if held.stop_signal else code, words)


def _in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes in natural order of names, but each after those that it depends on: so they are reported."""
    from deployer.report.review import in_natural_order

    ordered = {change.job.identity: change for change in in_natural_order(changes)}
    sorter: TopologicalSorter[Identity] = TopologicalSorter()
    for identity in ordered:  # the order of those that are ready is that in which they were first named
        sorter.add(identity)
    for identity, change in ordered.items():
        needed = (dependency.identity for dependency in change.job.depends_on)
        sorter.add(identity, *(other for other in needed if other in ordered))
    return tuple(ordered[identity] for identity in sorter.static_order())


def applied(
    held: Held,
    client: Client,
    plan: Plan,
    live: Live,
    options: ApplyOptions,
    printer: Callable[[str], object] | None = None,
    record: Callable[[Outcome], object] = lambda _: None,
) -> list[Outcome]:
    """Execute a plan under its lock, print and `record` the outcomes, and return them."""
    from deployer.apply.context import ApplyContext
    from deployer.apply.scheduler import apply

    loaded, stop_signal = held.loaded, held.stop_signal
    ended: list[Outcome] = []
    printer = printer or _OutcomePrinter()
    jobs = planned_jobs(loaded, plan)
    journal = held.journal_of(client)
    with interruptible(stop_signal):
        context = ApplyContext(
            client,
            journal,
            held.secrets,
            session.owner(loaded),
            loaded.target.polling,
            stop_signal,
            report=session.note,
            creates_from=_creates_from(held, plan, live),
            lock_lost=lambda: held.lost,
            is_shared=held.is_shared,
            invocation=loaded.invocation,
        )
        total, began = len(plan.steps), time.monotonic()
        bar(0, total, 0)
        outcomes = apply(context, plan, live, jobs, options)
        try:
            for outcome in outcomes:
                ended.append(outcome)
                record(outcome)
                printer(text.outcome(outcome, plan.places, is_final=Step.CREATE not in outcome.change.steps))
                bar(len(ended), total, time.monotonic() - began)
            if not stop_signal:
                ended = _checked(context, ended, printer, plan.places)
        except KeyboardInterrupt:
            stop_signal.set()
            for outcome in unreported(outcomes):
                ended.append(outcome)
                record(outcome)
                printer(text.outcome(outcome, plan.places, is_final=Step.CREATE not in outcome.change.steps))
    return ended


def planned_jobs(loaded: session.LoadedProject, plan: Plan) -> Mapping[Identity, Job]:
    """Return the jobs of a project by identity, with the runs of a plan, and those that they depend on."""
    jobs = {job.identity: job for job in loaded.jobs}
    found = {change.job.identity: change.job for change in plan.changes}
    for change in plan.changes:
        for dependency in change.job.depends_on:
            identity = dependency.identity
            if identity not in jobs and identity not in found:
                from deployer.parameters.keys import values_of
                from deployer.parameters.runs import with_values

                found[identity] = with_values(jobs[identity.of_job], values_of(identity.run))
    return jobs | found


def _creates_from(held: Held, plan: Plan, live: Live) -> float:
    """Return the monotonic time from which jobs may be created, and report if that is not yet.

    Each job is looked up once more just before it is created. A consistency delay after the plan's own look,
    the listing shows what another runner had created before.
    """
    if not any(Step.CREATE in change.steps for change in plan.steps):
        return 0.0
    creates_from = held.creates_from(live)
    remaining = creates_from - time.monotonic()
    if remaining > 0:
        words = (
            f"waiting {remaining:.0f} s before jobs are created: another run may have created them, and the"
        )
        session.note(f"{words} job list may lag behind (polling.consistencyDelay)")
    return creates_from


def _checked(
    context: ApplyContext, ended: list[Outcome], printer: Callable[[str], object], places: Mapping[str, str]
) -> list[Outcome]:
    """Return the outcomes after a last look at the created jobs; prints those that it has changed."""
    from deployer.apply.created import check_created

    outcomes = {outcome.change.job.identity: outcome for outcome in ended}
    for outcome in check_created(context, dict(outcomes)):
        outcomes[outcome.change.job.identity] = outcome
        printer(text.outcome(outcome, places))
    return [*outcomes.values()]


class _OutcomePrinter:
    """A printer of outcomes that falls back to stderr, so that other changes are not stopped."""

    def __init__(self) -> None:
        self._write: Callable[[str], object] = out

    def __call__(self, line: str) -> None:
        try:
            self._write(line)
        except DeployerError as error:
            err(text.error(str(error)))
            self._write = err
            err(line)


def unreported(outcomes: Generator[_T]) -> Iterator[_T]:
    """Yield the outcomes that an interrupt during printing left unreported."""
    with suppress(KeyboardInterrupt, StopIteration):
        outcome = outcomes.throw(KeyboardInterrupt)
        while True:
            yield outcome
            outcome = next(outcomes)


# The results of changes that were applied, but whose job is not as it should be.
_APPLIED = {Result.TIMED_OUT, Result.DIFFERS}


def exit_code(ended: list[Outcome], *, blocked: int, errors: int) -> Exit:
    """Return 7 before 8 before 5: outcome unknown, partially applied, blocked."""
    results = {outcome.result for outcome in ended}
    if Result.UNKNOWN in results:
        return Exit.UNKNOWN
    if errors or results & {Result.FAILED, Result.SKIPPED, *_APPLIED}:
        # A failed change with an id has had an effect: a draft, a stopped job.
        begun = [outcome for outcome in ended if outcome.result in _APPLIED or _has_begun(outcome)]
        return Exit.PARTLY if begun or Result.DONE in results else Exit.ERROR
    return Exit.BLOCKED if blocked or Result.REFUSED in results else Exit.DONE


def _has_begun(outcome: Outcome) -> bool:
    was_created = outcome.change.action is Action.CREATE and bool(outcome.id)
    return outcome.result is Result.FAILED and (outcome.begun or was_created)
