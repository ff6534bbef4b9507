"""The projects that are measured: the same jobs, written in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PARALLELISM = 16
PROJECT = "48cc2c48765f481480c7db940d6409d1"

_SPARK = """apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: job-{id}
  labels: {{team: t{team}, tier: "{tier}"}}
spec:
  file: obs://{{{{ env }}}}-bucket/jars/job-{id}.jar
  className: com.example.Job{number}
  queue: "{{{{ queue }}}}"
  args: ["--date", "2024-07-04", "--table", "{{{{ env }}}}.t{number}", "--n", "{number}"]
  driverMemory: 2G
  driverCores: 1
  executorMemory: 4G
  executorCores: 2
  numExecutors: {executors}
  spark_version: "3.3.1"
  execution_agency_urn: spark_jobs
  conf:
    spark.sql.shuffle.partitions: {partitions}
    spark.app.owner: owner{owner}
    spark.x: true
"""
_SESSION = """apiVersion: deployer/v1
kind: SparkSession
metadata: {{name: session-{id}}}
spec:
  kind: spark
  queue: "{{{{ queue }}}}"
  driverMemory: 2G
  executorMemory: 4G
  numExecutors: 2
"""
_FLINK = """apiVersion: deployer/v1
kind: FlinkJar
metadata: {{name: stream-{id}}}
spec:
  queue_name: "{{{{ queue }}}}"
  entrypoint: obs://{{{{ env }}}}-bucket/flink/job-{id}.jar
  main_class: com.example.Stream
  parallel_number: 2
  cu_number: 4
  checkpoint_enabled: true
  checkpoint_path: obs://{{{{ env }}}}-bucket/cp/{number}
  resume_checkpoint: true
"""
_MRS = """apiVersion: deployer/v1
kind: MrsJob
metadata: {{name: mrs-{id}}}
spec:
  cluster_id: main
  job_type: SparkSubmit
  arguments: ["--class", "com.example.A", "obs://{{{{ env }}}}-bucket/a{number}.jar", "{number}"]
"""
_CONDITION = """{% if env == 'prod' %}
  driverMemory: 2G
{% else %}
  driverMemory: 1G
{% endif %}
"""
_LOOP = """    {% for key in ['a', 'b', 'c'] %}
    spark.k.{{ key }}: {{ loop.index }}
    {% endfor %}
"""
_PROJECT_FILE = """apiVersion: deployer/v1
kind: Project
metadata: {{name: bench}}
values: [values/common.yaml]
defaultTarget: served
targets:
  served:
    region: cn-north-4
    projectId: {project}
    auth: {{method: token}}
    endpoints: {{dli: "{url}", mrs: "{url}"}}
    clusters: {{main: 0f9c2c48-7658-4f48-8148-0c7db940d640}}
    rate: {{requestsPerSecond: 1000000, concurrent: 64}}
    polling: {{consistencyDelay: 0s}}
"""


def _manifest(template: str, number: int) -> str:
    return template.format(
        id=f"{number:05d}",
        number=number,
        team=number % 7,
        tier=number % 3,
        executors=1 + number % 8,
        partitions=64 + number % 5,
        owner=number % 20,
    )


def _files(jobs: int) -> Iterator[tuple[str, str]]:
    for number in range(jobs):
        yield f"j{number:05d}.yaml", _manifest(_SPARK, number)


def _mixed(jobs: int) -> Iterator[tuple[str, str]]:
    templates = (_SPARK, _SESSION, _FLINK, _MRS)
    for number in range(jobs):
        yield f"j{number:05d}.yaml", _manifest(templates[number % 4], number)


def _statements(jobs: int) -> Iterator[tuple[str, str]]:
    for name, text in _files(jobs):
        yield name, text.replace("  driverMemory: 2G\n", _CONDITION) + _LOOP


def _documents(jobs: int) -> Iterator[tuple[str, str]]:
    yield "all.yaml", "---\n".join(text for _, text in _files(jobs))


def _for_each(jobs: int) -> Iterator[tuple[str, str]]:
    text = _manifest(_SPARK, 0).replace("job-00000", "job-{{ each }}")
    yield "all.yaml", f"forEach: [{', '.join(map(str, range(jobs)))}]\n{text}"


@dataclass(frozen=True, slots=True)
class Shape:
    """A way to write jobs. `files` yields names and texts; `sizes` are its numbers of jobs, empty: those chosen."""

    title: str
    files: Callable[[int], Iterator[tuple[str, str]]]
    sizes: tuple[int, ...] = ()


SHAPES: Mapping[str, Shape] = {
    "files": Shape("one file a job", _files),
    "mixed": Shape("four kinds, one file a job", _mixed),
    "statements": Shape("files with for and if", _statements),
    "documents": Shape("documents of one file", _documents, (2000, 5000)),
    "foreach": Shape("forEach", _for_each, (2000,)),
}


def write(shape: Shape, jobs: int, folder: Path) -> None:
    """Write the manifests and values of a project."""
    (folder / "values").mkdir(parents=True)
    (folder / "values" / "common.yaml").write_text("queue: q\nenv: prod\n")
    for name, text in shape.files(jobs):
        (folder / name).write_text(text)
    write_project(folder, "http://127.0.0.1:9")


def write_project(folder: Path, url: str) -> None:
    """Write the project file, whose target is served at `url`."""
    (folder / "deployer.yaml").write_text(_PROJECT_FILE.format(url=url, project=PROJECT))
