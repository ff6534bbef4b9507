"""Deploys every example request of the vendor's pages with the real command.

The bodies are the pages', in the order in which they stand there. Where a page has one broken it is
repaired: `arg` is `arguments`, the SQL of the Hive example has its quotes escaped, the SparkScript example is
of its own type. Page 003 is about listing and has none.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployer.emulator import Emulator
from deployer.kinds import KINDS
from testing.workspace import SHARED, Clock, Workspace, manifest, needs_shared

KEYS = {"fs.obs.access.key": "xxx", "fs.obs.secret.key": "yyy"}
OBS = {"fs.obs.endpoint": "obs endpoint", **KEYS}
PYTHON_ARGUMENTS = [
    *("--master", "yarn", "--deploy-mode", "cluster", "--py-files", "obs://obs-test/a.py"),
    *("--conf", "spark.yarn.appMasterEnv.PYTHONPATH=/tmp:$PYTHONPATH"),
    *("--conf", "spark.yarn.appMasterEnv.aaa=aaaa", "--conf", "spark.executorEnv.aaa=executoraaa"),
    *("--properties-file", "obs://obs-test/test-spark.conf", "obs://obs-test/pi.py", "100000"),
]
OPTIONS = ["op-key1", "op-value1", "op-key2", "op-value2"]
HIVE_SQL = (
    "DROP TABLE IF EXISTS src_wordcount;create external table src_wordcount(line string) row format "
    'delimited fields terminated by "\n" stored as textfile location "obs://obs-test/input/";'
    'insert into src_wordcount values("v1")'
)
SPARK_SQL = "create table student_info3 (id string,name string,gender string,age int,addr string);"


@dataclass(frozen=True)
class Example:
    """A request body of a page, and the kind that it makes."""

    page: str
    kind: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.page}-{self.body.get('job_type', self.kind)}"

    @property
    def sent(self) -> dict[str, Any]:
        """The body with a name, which we ask for and two of the pages leave out."""
        return {KINDS[self.kind].name_field: f"page-{self.page}"} | self.body

    @property
    def manifest(self) -> dict[str, Any]:
        spec = self.sent
        name = spec.pop(KINDS[self.kind].name_field)
        return manifest(self.kind, name, spec | ({"cluster_id": "c-1"} if self.kind == "MrsJob" else {}))


def mrs(job_type: str, name: str, arguments: list[str], properties: dict[str, str]) -> Example:
    body = {"job_name": name, "job_type": job_type, "arguments": arguments, "properties": properties}
    return Example("001", "MrsJob", body)


EXAMPLES = [
    Example(
        "000",
        "SparkBatch",
        {
            "file": "spark-examples_2.11-2.1.0.luxor.jar",
            "className": "org.apache.spark.examples.SparkPi",
            "sc_type": "A",
            "cluster_name": "test",
            "jars": ["test1.jar"],
            "resources": [{"name": "test2.jar", "type": "jar"}],
        },
    ),
    mrs(
        "MapReduce",
        "MapReduceTest",
        [
            "obs://obs-test/program/hadoop-mapreduce-examples-x.x.x.jar",
            "wordcount",
            "obs://obs-test/input/",
            "obs://obs-test/job/mapreduce/output",
        ],
        OBS,
    ),
    mrs("SparkSubmit", "SparkSubmitTest", PYTHON_ARGUMENTS, KEYS),
    mrs("SparkPython", "SparkPythonTest", PYTHON_ARGUMENTS, KEYS),
    mrs("HiveScript", "HiveScriptTest", ["obs://obs-test/sql/test_script.sql"], OBS),
    mrs("HiveSql", "HiveSqlTest", [HIVE_SQL], OBS),
    mrs("DistCp", "DistCpTest", ["obs://obs-test/DistcpJob/", "/user/test/sparksql/"], OBS),
    mrs("SparkScript", "SparkScriptTest", [*OPTIONS, "obs://obs-test/sql/test_script.sql"], KEYS),
    mrs("SparkSql", "SparkSqlTest", [*OPTIONS, SPARK_SQL], KEYS),
    mrs(
        "Flink",
        "flinkTest",
        [
            *("run", "-d", "-ynm", "testExcutorejobhdfsbatch", "-m", "yarn-cluster"),
            "hdfs://test/examples/batch/WordCount.jar",
        ],
        OBS,
    ),
    Example(
        "002",
        "SparkSession",
        {
            "kind": "spark",
            "cluster_name": "test_cluster",
            "sc_type": "A",
            "jars": ["group.tesddws/gsjdbc4.jar"],
            "resources": [{"name": "group.tesddws/gsjdbc3.jar", "type": "jar"}],
            "groups": [
                {"name": "group.tesddws", "resources": [{"name": "gsjdbc2.jar", "type": "jar"}]},
            ],
        },
    ),
    Example(
        "004",
        "FlinkJar",
        {
            "name": "test",
            "desc": "job for test",
            "queue_name": "testQueue",
            "manager_cu_number": 1,
            "cu_number": 2,
            "parallel_number": 1,
            "tm_cus": 1,
            "tm_slot_num": 1,
            "log_enabled": True,
            "obs_bucket": "bucketName",
            "smn_topic": "topic",
            "main_class": "org.apache.flink.examples.streaming.JavaQueueStream",
            "restart_when_exception": False,
            "entrypoint": "javaQueueStream.jar",
            "entrypoint_args": "-windowSize 2000 -rate3",
            "dependency_jars": ["myGroup/test.jar", "myGroup/test1.jar"],
            "dependency_files": ["myGroup/test.csv", "myGroup/test1.csv"],
        },
    ),
]


class Recorder(ThreadingHTTPServer):
    """Passes every call on to the emulator, and keeps the bodies of those that create something."""

    daemon_threads = True

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.upstream = emulator.url.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bodies: list[Any] = []


class Passing(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "POST" and not self.path.endswith("/run"):
            self.server.bodies.append(json.loads(body))
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=10)
        upstream.request(self.command, self.path, body, {**dict(self.headers), "Connection": "close"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response_only(answer.status)
        for name in ("Date", "Content-Type"):
            self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def recorder(workspace: Workspace, emulator: Emulator) -> Iterator[Recorder]:
    """Stands between the command and the emulator."""
    with Recorder(emulator) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        workspace.url = server.url
        workspace.write_project()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_sent_as_the_page_has_it_and_then_unchanged(
    example: Example, workspace: Workspace, recorder: Recorder, clock: Clock
) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    workspace.write("job.yaml", example.manifest)
    assert workspace.run("validate").code == 0
    applied = workspace.apply()
    assert applied.code == 0, applied
    assert recorder.bodies == [example.sent]
    for seconds in (0, 10, 1000):
        clock.forward(seconds)
        plan = workspace.plan()
        assert (plan["changes"], plan["warnings"], plan["errors"]) == ([], [], [])


def test_every_job_type_of_mrs_has_its_example() -> None:
    (job_type,) = [row for row in KINDS["MrsJob"].rows if row.name == "job_type"]
    types = [example.body["job_type"] for example in EXAMPLES if example.kind == "MrsJob"]
    assert sorted(types) == sorted(job_type.limits["enum"])


# A code block below a list item that calls itself the sample of a request, of one type of job or not.
SAMPLE = re.compile(
    r"^-\s+(?:([A-Za-z]+)作业)?请求(?:样例|示例)[^\n]*\s*```\n(.*?)```", re.DOTALL | re.MULTILINE
)
URL = re.compile(r"^ *POST .*$", re.MULTILINE)
SQL = re.compile(r'(?<=")(DROP TABLE .*)(?="$)', re.MULTILINE)


def request_examples(page: str) -> Iterator[Any]:
    """The bodies in a page's text, repaired."""
    for job_type, block in SAMPLE.findall(page):
        block = URL.sub("", block).replace('"arg" :', '"arguments" :')
        body = json.loads(SQL.sub(lambda sql: sql[0].replace('"', r"\""), block))
        yield body | ({"job_type": job_type} if job_type else {})


@needs_shared
def test_no_example_of_a_page_is_forgotten() -> None:
    pages = sorted((SHARED / "vendor-pages").iterdir())
    found = [(file.name[:3], body) for file in pages for body in request_examples(file.read_text("utf-8"))]
    assert found == [(example.page, example.body) for example in EXAMPLES]
