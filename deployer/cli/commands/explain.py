"""`deployer explain`"""

from __future__ import annotations

import click

from deployer.errors import Exit
from deployer.report.terminal import out
from deployer.schema.explain import explain


@click.command("explain")
@click.argument("subject")
def command(subject: str) -> Exit:
    """Tell what is known about a kind, a field or a rule.

    SUBJECT is SparkBatch, SparkBatch.conf, FlinkJar.resource_config.max_slot, or a rule's id.
    """
    out(explain(subject))
    return Exit.DONE
