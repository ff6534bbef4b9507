"""Mistakes as authors make them in templated manifests: each is told where its author would point.

In a case, `@@` stands before what the author would point at; it is taken out before the file is written. The
places were put down by hand, from what the author meant. What `deployer` says had no part in it.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deployer.cli import run
from testing.workspace import Workspace

MARK = "@@"

PROJECT = """apiVersion: deployer/v1
kind: Project
metadata: {name: shop}
defaultTarget: test
values: [values.yaml]
secrets: {DB_PASSWORD: {}}
targets:
  test: {emulator: true}
"""
VALUES = """queue: general
executors: 4
many: several
regions: [north, south]
sizes: {small: 2, large: 8}
db: {host: db-1, port: 5432}
empty: ""
nothing: null
inject: "x\\nqueue: prod"
jars: [a.jar, b.jar]
"""

# What the cases have in common, so that they show their mistake and what is around it.
BATCH = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: NAME}"
FLINK = "apiVersion: deployer/v1\nkind: FlinkJar\nmetadata: {name: NAME}"
MRS = "apiVersion: deployer/v1\nkind: MrsJob\nmetadata: {name: NAME}"
GOOD = BATCH.replace("}", "-good}") + "\nspec:\n  file: good.py\n  queue: {{ queue }}\n  numExecutors: 4"


class Case(NamedTuple):
    name: str
    code: str
    words: str
    text: str
    crlf: bool = False
    exactly: bool = True
    """Whether the column is told too; YAML's parser notices some mistakes further on in their line."""

    def files(self) -> dict[str, str]:
        """The files of the case with their text, in which the mark still stands."""
        first, *others = self.text.lstrip("\n").split("=== ")
        texts = {f"{self.name}.yaml": first}
        for other in others:
            name, text = other.split("\n", 1)
            texts[name] = text
        made = {name: self._whole(text) for name, text in texts.items()}
        return {name: text.replace("\n", "\r\n") for name, text in made.items()} if self.crlf else made

    def _whole(self, text: str) -> str:
        for word, meant in (("GOOD", GOOD), ("BATCH", BATCH), ("FLINK", FLINK), ("MRS", MRS)):
            text = text.replace(f"{word}\n", f"{meant}\n")
        return text.replace("NAME", self.name)

    def cut(self, place: str) -> str:
        """A place as exact as that of this case."""
        return place if self.exactly else place.rpartition(":")[0]

    def place(self) -> str:
        """What the author would point at."""
        for file, text in self.files().items():
            before, mark, _ = text.partition(MARK)
            if mark:
                line = f"{file}:{before.count(chr(10)) + 1}"
                return f"{line}:{len(before) - before.rfind(chr(10))}" if self.exactly else line
        raise AssertionError(f"{self.name} has no mark")


CASES = [
    # --- fields: unknown, missing, of a wrong type, with a wrong value
    Case(
        "typo-in-second-document",
        "E032",
        "numExecutor",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: {{ queue }}
  @@numExecutor: 4
""",
    ),
    Case(
        "typo-behind-a-condition",
        "E032",
        "driverMemry",
        """
BATCH
spec:
  file: a.py
  queue: {{ queue }}
  {% if executors > 2 %}
  executorMemory: 4G
  @@driverMemry: 4G
  {% else %}
  executorMemory: 2G
  {% endif %}
""",
    ),
    Case(
        "typo-in-lifecycle",
        "E032",
        "onchange",
        """
BATCH
spec: {file: a.py, queue: q}
lifecycle:
  timeout: 10m
  @@onchange: submit
""",
    ),
    Case(
        "typo-at-the-top",
        "E032",
        "dependOn",
        """
GOOD
---
BATCH
spec: {file: a.py, queue: q}
@@dependOn: [typo-at-the-top-good]
""",
    ),
    Case(
        "typo-in-flow-mapping",
        "E032",
        "onFailur",
        """
BATCH
spec: {file: a.py, queue: q, numExecutors: {{ executors }}}
lifecycle: {onChange: submit, @@onFailur: keep, timeout: 10m}
""",
    ),
    Case(
        "typo-in-metadata",
        "E032",
        "label",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: NAME
  @@label: {team: {{ queue }}}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "text-for-a-number",
        "E034",
        "numExecutors",
        """
{% set count = many %}
BATCH
spec:
  file: a.py
  queue: {{ queue }}
  numExecutors: @@{{ count }}
""",
    ),
    Case(
        "quoted-number",
        "E034",
        "executorCores",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: q
  executorCores: @@"{{ executors }}"
""",
    ),
    Case(
        "text-for-a-list",
        "E034",
        "args",
        """
BATCH
spec:
  file: a.py
  queue: q
  args: @@--date 2024-07-04
""",
    ),
    Case(
        "number-in-args",
        "E034",
        "args[3]",
        """
BATCH
spec:
  file: a.py
  queue: q
  args:
    - --jar
    - {{ jars[0] }}
    - --port
    - @@{{ db.port }}
""",
    ),
    Case(
        "number-in-args-of-a-loop",
        "E034",
        "spec.args[",
        """
BATCH
spec:
  file: a.py
  queue: q
  args:
  {%- for size in sizes.values() %}
    - --size
    - @@{{ size }}
  {%- endfor %}
""",
    ),
    Case(
        "no-as-a-truth",
        "E034",
        "checkpoint_enabled",
        """
FLINK
spec:
  queue_name: q
  entrypoint: obs://b/a.jar
  checkpoint_enabled: @@no
""",
    ),
    Case(
        "list-where-a-mapping-belongs",
        "E034",
        "conf",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: q
  conf:
    @@- spark.a: 1
    - spark.b: 2
""",
    ),
    Case(
        "a-mapping-by-forgotten-quotes",
        "E034",
        "file",
        """
BATCH
spec:
  file: @@{a: b}
  queue: q
""",
    ),
    Case(
        "missing-file",
        "E033",
        "file",
        """
GOOD
---
BATCH
@@spec:
  queue: {{ queue }}
""",
    ),
    Case(
        "neither-spelling",
        "E037",
        "cluster_name",
        """
GOOD
---
BATCH
@@spec:
  file: {{ queue }}.py
""",
    ),
    Case(
        "missing-name",
        "E033",
        "name",
        """
apiVersion: deployer/v1
kind: SparkBatch
@@metadata:
  labels: {team: {{ queue }}}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "missing-spec",
        "E033",
        "spec",
        """
GOOD
---
@@apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: NAME}
""",
    ),
    Case(
        "missing-kind",
        "E033",
        "kind",
        """
{# the job of every night #}
{% set team = "orders" %}

@@apiVersion: deployer/v1
metadata: {name: {{ team }}}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "missing-in-a-list-item",
        "E033",
        "groups[2]",
        """
BATCH
spec:
  file: a.py
  queue: q
  groups:
  {% for name in jars %}
    - name: {{ name }}
      resources:
        - {name: {{ name }}, type: jar}
  {% endfor %}
    - @@resources: []
""",
    ),
    Case(
        "bad-kind",
        "E031",
        "SparkBach",
        """
GOOD
---
apiVersion: deployer/v1
kind: @@SparkBach
metadata: {name: NAME}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "bad-kind-from-a-value",
        "E031",
        "Spark-general",
        """
apiVersion: deployer/v1
kind: @@Spark-{{ queue }}
metadata: {name: NAME}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "bad-api-version",
        "E035",
        "apiVersion",
        """
GOOD
---
apiVersion: @@deployer/v2
kind: SparkBatch
metadata: {name: NAME}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "bad-enum",
        "E035",
        "onChange",
        """
BATCH
spec: {file: a.py, queue: q}
lifecycle:
  onChange: {% if executors > 2 %}@@restart{% else %}block{% endif %}

""",
    ),
    Case(
        "bad-enum-of-a-job-type",
        "E035",
        "job_type",
        """
MRS
spec:
  cluster_id: c-1
  job_type: @@Mapreduce
  arguments: ["a.jar", "b"]
""",
    ),
    Case(
        "too-large-a-number",
        "E035",
        "max_retry_times",
        """
BATCH
spec:
  file: a.py
  queue: q
  auto_recovery: true
  max_retry_times: @@{{ 100 + executors }}
""",
    ),
    Case(
        "memory-without-a-unit",
        "E038",
        "driverMemory",
        """
BATCH
spec:
  file: a.py
  queue: q
  driverMemory: @@"{{ executors }}"
""",
    ),
    Case(
        "no-instant",
        "E035",
        "rerun",
        """
BATCH
spec: {file: a.py, queue: q}
lifecycle:
  rerun: @@2024-02-30T00:00:00Z
""",
    ),
    Case(
        "name-in-spec",
        "E036",
        "metadata.name",
        """
BATCH
spec:
  file: a.py
  queue: q
  @@name: {{ queue }}-job
""",
    ),
    # --- between fields
    Case(
        "both-spellings",
        "E037",
        "cluster_name",
        """
BATCH
spec:
  file: a.py
  queue: q
  @@cluster_name: {{ queue }}
""",
    ),
    Case(
        "jar-without-class",
        "E101",
        "className",
        """
GOOD
---
BATCH
spec:
  queue: q
  @@file: {{ jars[0] }}
""",
    ),
    Case(
        "distcp-of-one",
        "E119",
        "two arguments",
        """
MRS
spec:
  cluster_id: c-1
  job_type: DistCp
  @@arguments:
  {% for region in regions if region == "north" %}
    - obs://b/{{ region }}
  {% endfor %}
""",
    ),
    Case(
        "image-without-custom",
        "E102",
        "feature: custom",
        """
FLINK
spec:
  queue_name: q
  entrypoint: obs://b/a.jar
  {% if db.port %}
  @@image: registry/flink:1
  {% endif %}
""",
    ),
    # --- names of jobs
    Case(
        "same-job-twice",
        "E040",
        "same-job-twice-good",
        """
GOOD
---
BATCH
spec: {file: a.py, queue: q}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: @@NAME-good
spec: {file: a.py, queue: {{ queue }}}
""",
    ),
    Case(
        "unknown-dependency",
        "E041",
        "load-rwa",
        """
BATCH
spec: {file: a.py, queue: q}
dependsOn:
  - unknown-dependency-load-raw
  - @@load-rwa
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: NAME-load-raw}
spec: {file: a.py, queue: {{ queue }}}
""",
    ),
    Case(
        "unknown-dependency-of-a-loop",
        "E041",
        "stock-south",
        """
{% for region in ["north"] %}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: stock-{{ region }}}
spec: {file: a.py, queue: {{ queue }}}
{% endfor %}
---
BATCH
spec: {file: a.py, queue: q}
dependsOn: [stock-north, @@stock-south]
""",
    ),
    Case(
        "dependency-of-a-wrong-kind",
        "E041",
        "no MrsJob 'stock-east'",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: stock-east}
spec: {file: a.py, queue: {{ queue }}}
---
BATCH
spec: {file: a.py, queue: q}
dependsOn:
  - @@{kind: MrsJob, name: stock-east, until: succeeded}
""",
    ),
    Case(
        "bad-until",
        "E035",
        "until",
        """
BATCH
spec: {file: a.py, queue: q}
dependsOn:
  - {name: bad-until-good, until: @@finished}
---
GOOD
""",
    ),
    # --- YAML
    Case(
        "duplicate-key",
        "E012",
        "queue",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: q
  conf:
    a: b
  @@queue: {{ queue }}
""",
    ),
    Case(
        "duplicate-key-of-a-loop",
        "E012",
        "spark.size",
        """
BATCH
spec:
  file: a.py
  queue: q
  conf:
    {%- for size in sizes %}
    @@spark.size: {{ size }}
    {%- endfor %}
""",
    ),
    Case(
        "duplicate-key-by-a-template",
        "E012",
        "general",
        """
BATCH
spec:
  file: a.py
  queue: q
  conf:
    general: 1
    @@{{ queue }}: 2
""",
    ),
    Case(
        "wrong-indentation",
        "E010",
        "",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: q
   @@numExecutors: {{ executors }}
""",
        exactly=False,
    ),
    Case(
        "tab",
        "E010",
        "tab",
        """
GOOD
---
BATCH
spec:
  file: a.py
@@\tqueue: {{ queue }}
""",
    ),
    Case(
        "open-quote",
        "E010",
        "",
        """
GOOD
---
BATCH
spec:
  queue: {{ queue }}
  file: @@"a.py
  numExecutors: 4
""",
    ),
    Case(
        "open-bracket",
        "E010",
        "",
        """
BATCH
spec:
  queue: {{ queue }}
  args: ["a", "b"
  @@file: a.py
""",
    ),
    Case(
        "a-colon-too-many",
        "E010",
        "",
        """
BATCH
spec:
  queue: {{ queue }}
  file: obs@@: //b/a.py
""",
    ),
    Case(
        "unknown-alias",
        "E015",
        "common",
        """
BATCH
spec:
  file: a.py
  queue: q
  conf:
    <<: @@*common
""",
    ),
    Case(
        "alias-of-another-document",
        "E015",
        "conf",
        """
BATCH
spec: &conf {file: a.py, queue: q}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: {{ queue }}-alias}
spec: @@*conf
""",
    ),
    Case(
        "typo-under-an-anchor",
        "E032",
        "numExecutor",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: NAME}
spec:
  <<: &common {file: a.py, queue: q}
  @@numExecutor: {{ executors }}
""",
    ),
    Case(
        "tag-of-yaml",
        "E013",
        "!!str",
        """
BATCH
spec:
  file: a.py
  queue: q
  conf: {spark.a: @@!!str 1}
""",
    ),
    Case(
        "number-as-a-key",
        "E014",
        "text",
        """
BATCH
spec: {file: a.py, queue: q}
waive:
  @@{{ executors }}: a reason
""",
    ),
    Case(
        "no-mapping",
        "E030",
        "manifest",
        """
GOOD
---
@@- apiVersion: deployer/v1
- kind: SparkBatch
""",
    ),
    # --- Jinja
    Case(
        "undefined-name",
        "E021",
        "queu",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: @@{{ queu }}
""",
    ),
    Case(
        "undefined-name-in-text",
        "E021",
        "regoin",
        """
BATCH
spec:
  file: obs://{{ queue }}/{{ db.host }}/@@{{ regoin }}/a.py
  queue: q
""",
    ),
    Case(
        "undefined-attribute-in-block-scalar",
        "E021",
        "hots",
        """
MRS
spec:
  cluster_id: c-1
  job_type: HiveSql
  arguments:
    - |
      -- all of yesterday
      select *
      from {{ db.host }}.orders
      join @@{{ db.hots }}.lines
""",
    ),
    Case(
        "undefined-name-in-a-condition",
        "E021",
        "exectors",
        """
BATCH
spec:
  file: a.py
  queue: q
  @@{% if exectors > 2 %}
  numExecutors: 2
  {% endif %}
""",
    ),
    Case(
        "undefined-name-in-elif",
        "E021",
        "exectors",
        """
BATCH
spec:
  file: a.py
  queue: q
  {% if executors > 20 -%}
  numExecutors: 20
  @@{%- elif exectors > 2 %}
  numExecutors: 2
  {% endif %}
""",
    ),
    Case(
        "undefined-name-in-a-loop",
        "E021",
        "reigons",
        """
GOOD
@@{%- for region in reigons %}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: {{ region }}}
spec: {file: a.py, queue: q}
{%- endfor %}
""",
    ),
    Case(
        "undefined-name-in-a-macro",
        "E021",
        "sise",
        """
{% macro conf(size) -%}
spark.size: {{ size }}
spark.half: @@{{ sise // 2 }}
{%- endmacro %}
BATCH
spec:
  file: a.py
  queue: q
  args: ["{{ conf(4) }}"]
""",
    ),
    Case(
        "undefined-after-whitespace-control",
        "E021",
        "nosuch",
        """
{#- the first
    comment has three
    lines -#}

{%- set a = 1 -%}


BATCH
spec:
  file: a.py
  queue: q
  {%- if a %}
  numExecutors: 3
  {%- endif %}

  conf:
    a: {{ a }}
    b: @@{{- nosuch -}}
""",
    ),
    Case(
        "undefined-with-crlf",
        "E021",
        "nosuch",
        """
{# one
   two #}
{% for region in regions %}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: crlf-{{ region }}}
spec:
  file: a.py
  queue: @@{{ nosuch }}
{% endfor %}
""",
        crlf=True,
    ),
    Case(
        "typo-with-crlf",
        "E032",
        "numExecutor",
        """
{#- one
   two -#}
GOOD
---
BATCH
spec:
  file: {{ jars[0]
           | replace(".jar", ".py") }}
  queue: q
  @@numExecutor: 4
""",
        crlf=True,
    ),
    Case(
        "undefined-in-a-comment",
        "E021",
        "{# ... #}",
        """
BATCH
spec:
  file: a.py
  # queue: @@{{ qeue }}
  queue: q
""",
    ),
    Case(
        "undefined-after-a-raw-block",
        "E021",
        "nosuch",
        """
BATCH
spec:
  file: a.py
  queue: q
  args:
    {% raw %}
    - "{{ day }}"
    - "{% if %}"
    {% endraw %}
    - @@{{ nosuch }}
""",
    ),
    Case(
        "undefined-in-a-set-block",
        "E021",
        "tabel",
        """
{% set sql %}
select *
from @@{{ tabel }}
{% endset %}
MRS
spec:
  cluster_id: c-1
  job_type: HiveSql
  arguments: ["{{ sql }}"]
""",
    ),
    Case(
        "undefined-in-a-filter-block",
        "E021",
        "nosuch",
        """
BATCH
spec:
  file: a.py
  queue: q
  args:
    - {% filter upper %}a-
      @@{{ nosuch }}
      {% endfilter %}

""",
    ),
    Case(
        "filter-typo",
        "E020",
        "did you mean 'upper'",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: @@{{ queue | uper }}
""",
    ),
    Case(
        "filter-typo-on-a-line-of-several",
        "E020",
        "did you mean 'join'",
        """
BATCH
spec:
  file: {{ queue }}/{{ db.host }}.py
  queue: q
  args: ["{{ queue }}", "@@{{ jars | jion(',') }}"]
""",
    ),
    Case(
        "open-block",
        "E020",
        "endif",
        """
GOOD
---
BATCH
spec:
  file: a.py
  @@{% if executors %}
  queue: q
""",
    ),
    Case(
        "open-expression",
        "E020",
        "",
        """
BATCH
spec:
  file: a.py
  queue: @@{{ queue }
  numExecutors: 4
""",
    ),
    Case(
        "wrong-end",
        "E020",
        "endfor",
        """
BATCH
spec:
  file: a.py
  {% if executors %}
  queue: q
  @@{% endfor %}
""",
    ),
    Case(
        "unknown-tag",
        "E020",
        "fro",
        """
GOOD
@@{% fro x in regions %}
---
{% endfor %}
""",
    ),
    Case(
        "an-equals-sign-too-few",
        "E020",
        "",
        """
BATCH
spec:
  file: a.py
  queue: q
  @@{% if queue = "general" %}
  numExecutors: 4
  {% endif %}
""",
    ),
    Case(
        "text-plus-number",
        "E022",
        "",
        """
BATCH
spec:
  file: a.py
  queue: q
  numExecutors: @@{{ many + 1 }}
""",
    ),
    Case(
        "list-in-text",
        "E023",
        "list",
        """
BATCH
spec:
  file: a.py
  queue: q
  args: ["--jars", "@@{{ jars }}"]
""",
    ),
    Case(
        "required",
        "E021",
        "say which host",
        """
BATCH
spec:
  file: a.py
  queue: q
  conf:
    spark.host: {{ db.host | required("say which host") }}
    spark.other: @@{{ empty | required("say which host") }}
""",
    ),
    Case(
        "secret-that-is-not-listed",
        "E027",
        "DB_PASWORD",
        """
BATCH
spec:
  file: a.py
  queue: q
  args: ["--user", "me", "--password", "@@{{ secret('DB_PASWORD') }}"]
""",
    ),
    Case(
        "secret-in-a-name",
        "E026",
        "secret",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: @@job-{{ secret("DB_PASSWORD") }}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "secret-that-is-compared",
        "E026",
        "",
        """
BATCH
spec:
  file: a.py
  queue: q
  @@{% if secret("DB_PASSWORD") == "x" %}
  numExecutors: 4
  {% endif %}
""",
    ),
    # --- other files
    Case(
        "typo-in-an-include",
        "E032",
        "numExecutor",
        """
BATCH
spec:
  queue: q
{% include "_typo.yaml" %}
=== _typo.yaml
  file: a.py
  {% if executors %}
  @@numExecutor: {{ executors }}
  {% endif %}
""",
    ),
    Case(
        "typo-after-an-include",
        "E032",
        "nmuExecutors",
        """
BATCH
spec:
{% include "_sound.yaml" %}
  @@nmuExecutors: {{ executors }}
=== _sound.yaml
  # three
  # lines
  file: a.py
  queue: q
""",
    ),
    Case(
        "undefined-in-an-include-of-an-include",
        "E021",
        "nosuch",
        """
BATCH
spec:
{% include "_outer.yaml" %}
=== _outer.yaml
  queue: q
{% include "./_inner.yaml" %}
=== _inner.yaml
  # {{ queue }}
  file: @@{{ nosuch }}
""",
    ),
    Case(
        "no-such-include",
        "E024",
        "_sond.yaml",
        """
BATCH
spec:
  numExecutors: 4
@@{% include "_sond.yaml" %}
""",
    ),
    Case(
        "syntax-in-an-include",
        "E020",
        "",
        """
GOOD
---
BATCH
spec:
{% include "_syntax.yaml" %}
=== _syntax.yaml
  queue: q
  file: @@{{ jars[0 }}
""",
    ),
    Case(
        "undefined-in-an-imported-macro",
        "E021",
        "nosuch",
        """
{% import "_macros.yaml" as macros %}
BATCH
spec:
  file: {{ macros.file("a") }}
  queue: q
=== _macros.yaml
{% macro other(x) %}{{ x }}{% endmacro %}

{%- macro file(name) -%}
obs://b/@@{{ nosuch }}/{{ name }}.py
{%- endmacro %}
""",
    ),
    Case(
        "no-such-macro",
        "E021",
        "fiel",
        """
{% import "_sound-macros.yaml" as macros %}
BATCH
spec:
  file: @@{{ macros.fiel("a") }}
  queue: q
=== _sound-macros.yaml
{% macro file(name) %}obs://b/{{ name }}.py{% endmacro %}
""",
    ),
    Case(
        "macro-with-a-wrong-type",
        "E034",
        "numExecutors",
        """
{% from "_count.yaml" import count %}
BATCH
spec:
  file: a.py
  queue: q
  numExecutors: @@{{ count(executors) }}
=== _count.yaml
{% macro count(n) %}{{ n * 2 }}{% endmacro %}
""",
    ),
    # --- forEach
    Case(
        "typo-in-instances",
        "E032",
        "numExecutor",
        """
forEach: {{ regions }}
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each }}"}
spec:
  file: a.py
  queue: q
  @@numExecutor: 4
""",
    ),
    Case(
        "one-instance-is-wrong",
        "E034",
        "numExecutors",
        """
apiVersion: deployer/v1
kind: SparkBatch
# the list stands in the middle
forEach:
  - {name: a, count: 4}
  - {name: b, count: many}
metadata: {name: "NAME-{{ each.name }}"}
spec:
  file: a.py
  queue: q
  numExecutors: @@{{ each.count }}
""",
    ),
    Case(
        "same-name-in-instances",
        "E040",
        "each",
        """
forEach:
  region: {{ regions }}
  size: [small, large]
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: @@NAME-{{ each.region }}
spec: {file: a.py, queue: q, args: ["{{ each.size }}"]}
""",
    ),
    Case(
        "undefined-in-an-instance",
        "E021",
        "regoin",
        """
forEach:
  region: {{ regions }}
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each.region }}"}
spec:
  file: a.py
  queue: @@{{ each.regoin }}
""",
    ),
    Case(
        "for-each-of-a-text",
        "E044",
        "list",
        """
forEach: @@{{ queue }}
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each }}"}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "undefined-in-a-for-each",
        "E021",
        "regoins",
        """
apiVersion: deployer/v1
kind: SparkBatch
forEach: @@{{ regoins }}
metadata: {name: "NAME-{{ each }}"}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "for-each-with-two-documents",
        "E044",
        "one document",
        """
forEach: {{ regions[:1] }}
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each }}"}
spec: {file: a.py, queue: q}
---
@@apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-2-{{ each }}"}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "for-each-in-braces",
        "E044",
        "begin its line",
        """
GOOD
---
{apiVersion: deployer/v1, kind: SparkBatch, @@forEach: [1, 2],
 metadata: {name: NAME}, spec: {file: a.py, queue: {{ queue }}}}
""",
    ),
    Case(
        "wrong-value-after-a-folded-text",
        "E034",
        "numExecutors",
        """
BATCH
spec:
  file: >-
    obs://b/{{ queue }}/
    a.py
  queue: q
  args:
    - |+
      one {{ db.host }}

      two

  numExecutors: @@{{ inject }}
""",
    ),
    # --- less common layouts
    Case(
        "structure-from-tojson",
        "E034",
        "spark.a",
        """
GOOD
---
BATCH
spec:
  file: a.py
  queue: q
  conf: @@{{ {"spark.a": [1], "spark.b": 2} | tojson }}
""",
    ),
    Case(
        "key-in-structure-from-to-yaml",
        "E032",
        "nmuExecutors",
        """
BATCH
spec: @@{{ {"file": "a.py", "queue": queue, "nmuExecutors": 1} | to_yaml }}
""",
    ),
    Case(
        "typo-below-an-expression-of-several-lines",
        "E032",
        "nmuExecutors",
        """
BATCH
spec:
  queue: {{ {
      "a": "general",
      "b": "other",
    }["a"] }}
  file: a.py
  @@nmuExecutors: 4
""",
    ),
    Case(
        "typo-on-the-last-line-without-a-newline",
        "E032",
        "nmuExecutors",
        """
GOOD
---
BATCH
spec:
  queue: {{ queue }}
  file: a.py
  @@nmuExecutors: 4""",
    ),
    Case(
        "typo-behind-a-tag-on-its-line",
        "E032",
        "nmuExecutors",
        """
BATCH
spec:
  queue: q
  file: a.py
  {% if executors %}@@nmuExecutors: 4{% endif %}

""",
    ),
    Case(
        "wrong-type-in-the-second-of-a-line",
        "E034",
        "numExecutors",
        """
BATCH
spec: {file: "{{ db.host }}/{{ queue }}.py", queue: {{ queue }}, numExecutors: @@{{ many }}}
""",
    ),
    Case(
        "typo-below-whitespace-control-on-both-sides",
        "E032",
        "nmuExecutors",
        """
{%- set a -%}
  x

  y
{%- endset -%}
{#-


-#}
BATCH
spec:
  queue: {{ "q" }}

  {#- one -#}

  {%- if true -%}
  {% raw %}
  file: a.py
  {% endraw %}
  {%- endif %}
  @@nmuExecutors: 4
""",
    ),
    Case(
        "typo-below-a-call-block",
        "E032",
        "nmuExecutors",
        """
{% macro quoted() %}
"{{ caller() }}"
{% endmacro %}
BATCH
spec:
  queue: q
  file: {% call quoted() %}
    a
    {% endcall %}

  @@nmuExecutors: 4
""",
    ),
    Case(
        "undefined-in-a-call-block",
        "E021",
        "nosuch",
        """
{% macro quoted() %}'{{ caller() }}'{% endmacro %}
BATCH
spec:
  queue: q
  file: a.py
  args:
    - {% call quoted() -%}
        @@{{ nosuch }}
      {%- endcall %}

""",
    ),
    Case(
        "undefined-argument-of-a-macro",
        "E021",
        "nosuch",
        """
{% macro path(a, b="x") %}{{ a }}/{{ b }}{% endmacro %}
BATCH
spec:
  queue: q
  file: @@{{ path(nosuch) }}
""",
    ),
    Case(
        "undefined-in-a-set",
        "E021",
        "nosuch",
        """
GOOD
@@{% set half = nosuch.size // 2 %}
""",
    ),
    Case(
        "open-block-below-odd-separators",
        "E020",
        "{% endif %}",
        """
{# a\u2028b\x0cc\x85 #}
BATCH
spec:
  @@{% if executors %}
  file: {{ queue }}
  queue: {{ queue }}
""",
    ),
    Case(
        "open-set-block",
        "E020",
        "{% endset %}",
        """
{% set a = "=" %}
@@{% set sql | replace(old="a", new="b") %}
select 1
BATCH
spec: {file: a.py, queue: {{ queue }}}
""",
    ),
    Case(
        "open-block-in-an-include",
        "E020",
        "{% endfor %}",
        """
BATCH
spec:
{% include "_open.yaml" %}
=== _open.yaml
  queue: q
  @@{% for jar in jars %}
  file: {{ jar }}
""",
    ),
    Case(
        "open-comment-of-jinja",
        "E020",
        "comment",
        """
BATCH
spec:
  queue: q
  file: a.py
  @@{# numExecutors: 4
""",
    ),
    Case(
        "open-raw-block",
        "E020",
        "raw",
        """
BATCH
spec:
  queue: q
  file: a.py
  args:
  @@{% raw %}
    - "{{ day }}"
""",
    ),
    Case(
        "syntax-in-a-comment",
        "E020",
        "{# ... #}",
        """
BATCH
spec:
  queue: q
  # file: @@{{ the file }}
  file: a.py
""",
    ),
    Case(
        "open-quote-in-an-expression",
        "E020",
        "",
        """
GOOD
---
BATCH
spec:
  queue: q
  file: @@{{ "a.py }}
""",
    ),
    Case(
        "missing-end-of-an-inner-loop",
        "E020",
        "endfor",
        """
{% for region in regions %}
---
BATCH
spec:
  queue: q
  file: a.py
  args:
  @@{% for size in sizes %}
    - {{ size }}
{% endfor %}
""",
    ),
    Case(
        "filter-typo-in-a-condition",
        "E020",
        "'length'",
        """
BATCH
spec:
  queue: q
  file: a.py
  @@{% if regions | lenght > 1 %}
  numExecutors: 4
  {% endif %}
""",
    ),
    Case(
        "filter-typo-in-an-expression-of-several-lines",
        "E020",
        "'replace'",
        """
BATCH
spec:
  queue: q
  file: @@{{
    jars[0]
    | lower
    | replcae(".jar", ".py")
  }}
""",
    ),
    Case(
        "filter-typo-in-a-branch",
        "E020",
        "'upper'",
        """
BATCH
spec:
  queue: {{ queue }}
  file: a.py
  args: ["{{ queue }}", "@@{{ (queue | uper) if executors else '' }}"]
""",
    ),
    Case(
        "wrong-items-of-a-loop-in-brackets",
        "E034",
        "spec.args[",
        """
BATCH
spec:
  queue: q
  file: a.py
  args: [{% for name, size in sizes.items() %}--{{ name }}, @@{{ size }}, {% endfor %}]
""",
    ),
    Case(
        "no-list-below-a-condition",
        "E034",
        "args",
        """
BATCH
spec:
  queue: q
  file: a.py
  @@args:
  {% if executors > 100 %}
    - --large
  {% endif %}
""",
        exactly=False,
    ),
    Case(
        "cycle",
        "E043",
        "cycle-a -> cycle-b -> cycle-a",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: cycle-b}
spec: {file: a.py, queue: q}
dependsOn: [cycle-a]
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: cycle-a}
spec: {file: a.py, queue: q}
dependsOn: @@[cycle-b]
""",
    ),
    Case(
        "dependency-by-a-value",
        "E041",
        "general",
        """
BATCH
spec: {file: a.py, queue: q}
dependsOn:
  - @@"{{ queue }}-load"
""",
    ),
    Case(
        "dependency-with-a-typo-in-a-key",
        "E032",
        "untill",
        """
BATCH
spec: {file: a.py, queue: q}
dependsOn:
  - {name: NAME-good, @@untill: succeeded}
---
GOOD
""",
    ),
    Case(
        "waiver-of-no-rule",
        "E035",
        "class-name",
        """
BATCH
spec: {file: a.py, queue: {{ queue }}}
waive:
  @@class-name-for-jars: ours has a manifest
""",
    ),
    Case(
        "enabled-by-a-word",
        "E034",
        "enabled",
        """
BATCH
enabled: @@{{ "yes" if executors else "no" }}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "number-as-a-label",
        "E034",
        "cost",
        """
GOOD
---
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: NAME
  labels:
    team: {{ queue }}
    cost: @@{{ db.port }}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "empty-name",
        "E035",
        "name",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: @@"{{ empty }}"
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "nothing-for-a-name",
        "E034",
        "name",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: @@{{ nothing }}
spec: {file: a.py, queue: q}
""",
    ),
    Case(
        "typo-under-a-merged-anchor",
        "E034",
        "numExecutors",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: NAME, labels: &labels {team: orders}}
spec:
  <<: &common {file: a.py, queue: q,
    numExecutors: @@{{ many }}}
  conf: *labels
""",
    ),
    Case(
        "same-tag-twice",
        "E131",
        "tag",
        """
FLINK
spec:
  queue_name: q
  entrypoint: obs://b/a.jar
  @@tags:
  {% for team in ["a", "b"] %}
    - {key: team, value: {{ team }}}
  {% endfor %}
""",
    ),
    Case(
        "undefined-in-a-block-of-a-base",
        "E021",
        "nosuch",
        """
{% extends "_base.yaml" %}
{% block spec %}
  file: a.py
  queue: @@{{ nosuch }}
{% endblock %}
=== _base.yaml
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: based}
spec:
{% block spec %}{% endblock %}
""",
    ),
    Case(
        "typo-in-a-base",
        "E032",
        "dependOn",
        """
{% extends "_based.yaml" %}
{% block spec %}
  file: a.py
  queue: {{ queue }}
{% endblock %}
=== _based.yaml
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: based-too}
spec:
{% block spec %}{% endblock %}
@@dependOn: []
""",
    ),
    Case(
        "duplicate-across-an-include",
        "E012",
        "queue",
        """
BATCH
spec:
  file: a.py
  queue: q
{% include "_queue.yaml" %}
=== _queue.yaml
  # the queue of all
  @@queue: {{ queue }}
""",
    ),
    Case(
        "typo-in-an-include-with-crlf",
        "E032",
        "nmuExecutors",
        """
BATCH
spec:
{% include "_crlf.yaml" %}
=== _crlf.yaml
  {# one
     two #}
  file: a.py
  queue: {{ queue }}
  @@nmuExecutors: 4
""",
        crlf=True,
    ),
    Case(
        "include-in-a-loop",
        "E032",
        "nmuExecutors",
        """
{% for region in regions %}
---
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "include-{{ region }}"}
spec:
{% include "_in_loop.yaml" %}
{% endfor %}
=== _in_loop.yaml
  file: {{ region }}.py
  queue: {{ queue }}
  @@nmuExecutors: 4
""",
    ),
    Case(
        "undefined-in-the-middle-of-wide-letters",
        "E021",
        "nosuch",
        """
BATCH
spec:
  file: a.py
  queue: q
  args: ["日本語 é 😀", "@@{{ nosuch }}"]
""",
    ),
    Case(
        "bad-character",
        "E011",
        "\\x07",
        """
GOOD
---
BATCH
spec:
  file: a@@\a.py
  queue: {{ queue }}
""",
    ),
    Case(
        "reserved-character",
        "E018",
        "U+E000",
        """
GOOD
---
BATCH
spec:
  file: a@@\ue003.py
  queue: {{ queue }}
""",
    ),
    Case(
        "item-of-a-list-of-instances",
        "E021",
        "nmae",
        """
forEach:
  - {name: a}
  - {name: b}
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each.name }}"}
spec:
  file: |-
    @@{{ each.nmae }}
  queue: q
""",
    ),
    Case(
        "filter-typo-in-a-for-each",
        "E020",
        "'sort'",
        """
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: "NAME-{{ each }}"}
spec:
  file: a.py
  queue: q
forEach:
  # all of them
  @@{{ regions | srot }}
""",
    ),
]

# Each needs a project of its own: deployer.yaml, a values file or an option is to blame.
PROJECTS = [
    Case(
        "default-with-a-typo",
        "E032",
        "numExecutor",
        f"""
=== sound.yaml
GOOD
=== deployer.yaml
{PROJECT}defaults:
  SparkBatch:
    spec:
      queue: q
      @@numExecutor: 4
""",
    ),
    Case(
        "default-of-a-target",
        "E034",
        "numExecutors",
        f"""
=== sound.yaml
BATCH
spec: {{file: a.py, queue: q}}
=== deployer.yaml
{PROJECT.replace("{emulator: true}", "")}    emulator: true
    defaults:
      SparkBatch:
        spec:
          numExecutors: @@many
""",
    ),
    Case(
        "typo-in-a-target",
        "E032",
        "emulater",
        f"""
=== sound.yaml
GOOD
=== deployer.yaml
{PROJECT}  prod:
    region: cn-north-4
    @@emulater: true
""",
    ),
    Case(
        "duplicate-in-values",
        "E012",
        "queue",
        """
=== sound.yaml
GOOD
=== values.yaml
queue: q
executors: 2
@@queue: r
""",
    ),
    Case(
        "values-are-no-mapping",
        "E017",
        "mapping",
        """
=== sound.yaml
GOOD
=== values.yaml
@@- queue: q
""",
    ),
    Case(
        "template-in-values",
        "E010",
        "",
        """
=== sound.yaml
GOOD
=== values.yaml
executors: 2
queue: @@{% if x %}q{% endif %}
""",
        exactly=False,
    ),
]


Told = tuple[str, dict[str, Any]]


def errors(out: str) -> list[Told]:
    """Each error in the JSON of `validate`: its `file:line:column`, and all of it."""
    return [
        (f"{it['file']}:{it['line']}:{it['column']}", it)
        for it in json.loads(out)["findings"]
        if it["severity"] == "error"
    ]


def write(folder: Path, *cases: Case) -> None:
    texts = {"deployer.yaml": PROJECT, "values.yaml": VALUES}
    for case in cases:
        texts |= {file: text.replace(MARK, "") for file, text in case.files().items() if text.strip()}
    for file, text in texts.items():
        (folder / file).write_bytes(text.encode())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Told]]:
    """What one run says of all `CASES`, by file."""
    folder = tmp_path_factory.mktemp("lines")
    write(folder, *CASES)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["validate", "--format", "json", "-C", str(folder)]) == 4
    by_file: dict[str, list[Told]] = {}
    for place, it in errors(out.getvalue()):
        by_file.setdefault(it["file"], []).append((place, it))
    return by_file


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_mistake(case: Case, told: dict[str, list[Told]]) -> None:
    found = [it for file in case.files() for it in told.get(file, ())]
    assert {(case.cut(place), it["code"]) for place, it in found} == {(case.place(), case.code)}
    assert all(case.words in it["message"] for _, it in found)


def test_no_other_file_has_a_mistake(told: dict[str, list[Told]]) -> None:
    """Each case is told in its own files only."""
    assert told.keys() == {case.place().split(":")[0] for case in CASES}


@pytest.mark.parametrize("case", PROJECTS, ids=lambda case: case.name)
def test_a_mistake_of_the_project(case: Case, bare: Workspace) -> None:
    write(bare.folder, case)
    ran = bare.run("validate", "--format", "json")
    assert ran.code == 4
    ((place, it),) = errors(ran.out)
    assert (case.cut(place), it["code"]) == (case.place(), case.code)
    assert case.words in it["message"]
