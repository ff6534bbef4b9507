"""Plans as reviewers see them: one with a bit of everything, and one of many creates."""

from __future__ import annotations

from datetime import UTC, datetime

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
    Source,
    Step,
)
from deployer.report.origin import Origin

CLUSTER = "0f9c2c48-7658-4f48-8148-0c7db940d640"
SCOPE = Scope(
    "shop",
    "prod",
    region="cn-north-4",
    project_id="48cc2c48765f481480c7db940d6409d1",
    protected=True,
    places={CLUSTER: "reports"},
)
ORIGIN = Origin(
    "1.2.3",
    "a" * 40,
    datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    f"https://github.com/acme/shop/blob/{'a' * 40}",
    "deploy",
)
NEW = "not deployed: the service lists no jobs of this kind; will submit a run"
DIGEST = "5f" * 32


def job(
    name: str, kind: str = "SparkBatch", place: str = "general", file: str = "spark.yaml", line: int = 3
) -> Job:
    return Job(Identity(kind, place, name), Source(file, line), {})


def live(of: Job, state: str, identifier: str, phase: Phase = Phase.ACTIVE) -> LiveJob:
    return LiveJob(identifier, of.identity, state, phase, 1_720_000_000_000, {})


def restart(number: int, *, keeps_state: bool = True) -> Change:
    stream = job(f"clicks-{number}", "FlinkJar", "", "flink/clicks.yaml", number)
    how = (
        "with a savepoint, update the definition and start it from that savepoint"
        if keeps_state
        else "without a savepoint, update the definition and start it without state: job state is lost"
    )
    fields = (
        FieldChange("/cu_number", 4, 6),
        FieldChange(
            "/entrypoint_args",
            "--window 60\n--topic clicks\n--sink a",
            "--window 90\n--topic clicks\n--sink a",
        ),
    )
    return Change(
        Action.RESTART,
        stream,
        f"manifest changed; the job is running (job_running); will stop it {how}",
        Impact.RESTART if keeps_state else Impact.STATE_LOST,
        fields,
        live(stream, "job_running", str(number)),
        (Step.STOP, Step.UPDATE, Step.START),
        cause=Cause.MANIFEST,
    )


def resubmit(number: int) -> Change:
    batch, run = job(f"hourly-{number}", file="hourly.yaml"), f"run-{number}"
    return Change(
        Action.RESUBMIT,
        batch,
        f"manifest changed; last run {run} has succeeded (success); will submit a new run",
        Impact.RERUNS,
        (FieldChange("/conf/spark.sql.shuffle.partitions", "200", "400"), FieldChange("/numExecutors", 2, 4)),
        live(batch, "success", run, Phase.SUCCEEDED),
        (Step.CREATE,),
        cause=Cause.MANIFEST,
    )


def create(number: int) -> Change:
    fields = (
        FieldChange("/file", None, "obs://shop/jobs/orders.jar"),
        FieldChange("/className", None, "com.example.Orders"),
        FieldChange("/args", None, ["--region", f"r{number}"]),
    )
    return Change(
        Action.CREATE, job(f"orders-{number}", line=20 * number), NEW, fields=fields, steps=(Step.CREATE,)
    )


def drift() -> Change:
    stream = job("clicks-by-page", "FlinkJar", "", "flink/page.yaml")
    return Change(
        Action.UPDATE,
        stream,
        "changed outside deployer; the job is running (job_running); will update it while it runs",
        Impact.IN_PLACE,
        (FieldChange("/restart_when_exception", False, True),),
        live(stream, "job_running", "7"),
        (Step.UPDATE,),
        cause=Cause.DRIFT,
    )


def mixed(unchanged: int = 500) -> Plan:
    """3 creates, 4 changes, 2 restarts, 1 blocked, 1 failed, 500 unchanged."""
    blocked, failed = (
        job("load", "MrsJob", CLUSTER, "mrs/load.yaml"),
        job("daily", "MrsJob", CLUSTER, "mrs/d.yaml"),
    )
    same = [job(f"same-{number}") for number in range(unchanged)]
    failure = "last run 0f9c has failed (dead); not submitted again because onFailure is keep"
    changes = (
        *map(create, (1, 2, 10)),
        *map(resubmit, (9, 10, 11)),
        drift(),
        restart(2),
        restart(10, keeps_state=False),
        Change(
            Action.BLOCKED,
            blocked,
            "manifest changed while run 1f is active (RUNNING); wait for it to end",
            fields=(FieldChange("/arguments/0", "obs://a/", "obs://b/"),),
            live=live(blocked, "RUNNING", "1f"),
            cause=Cause.MANIFEST,
        ),
        *(Change(Action.UNCHANGED, one, "last run has succeeded") for one in same),
    )
    return Plan(
        "prod",
        changes,
        tuple(Note(one.identity, one.source, failure) for one in same[:12]),
        (Note(failed.identity, failed.source, "HTTP 500: the jobs of the cluster cannot be listed"),),
        DIGEST,
        orphans=tuple(Orphan(live(job(name), "running", f"id-{name}")) for name in ("old-10", "old-2")),
        unmanaged=4,
        scope=SCOPE,
    )


def creates(number: int = 211) -> Plan:
    """Creates in several files, of which some of the fields differ."""
    changes = tuple(
        Change(
            Action.CREATE,
            job(f"clicks-{at}", file=f"jobs/clicks-{at % 7}.yaml", line=at + 1),
            NEW,
            fields=(
                FieldChange("/file", None, "obs://shop/jobs/clicks.jar"),
                FieldChange("/className", None, f"com.example.Job{at}"),
                FieldChange("/args", None, ["--date", "2024-07-04", "--job", str(at)]),
                FieldChange("/conf/spark.sql.shuffle.partitions", None, "200"),
            ),
            steps=(Step.CREATE,),
        )
        for at in range(number)
    )
    return Plan("prod", changes, digest=DIGEST, scope=SCOPE)


def many(number: int = 2000) -> Plan:
    """So many changes of all sorts, none like another."""
    sorts = (resubmit, create, restart)
    changes = []
    for at in range(number):
        change = sorts[at % len(sorts)](at)
        own = FieldChange("/desc", f"before {at}", f"after {at}")
        changes.append(
            Change(
                change.action,
                change.job,
                change.reason,
                change.impact,
                (*change.fields, own),
                change.live,
                change.steps,
                cause=change.cause,
            )
        )
    return Plan("prod", tuple(changes), digest=DIGEST, scope=SCOPE)
