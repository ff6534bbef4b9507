"""`deployer explain`"""

from __future__ import annotations

import click

from deployer.cli.examples import examples
from deployer.errors import Exit
from deployer.report.terminal import out
from deployer.schema.explain import explain

EXAMPLES = examples(
    ("Explain a field", "deployer explain SparkBatch.conf"),
    ("Explain a finding by its code", "deployer explain E032"),
    ("Explain a rule by its id", "deployer explain distcp-takes-two"),
)


@click.command("explain", epilog=EXAMPLES)
@click.argument("subject")
def command(subject: str) -> Exit:
    """Tell what is known about a kind, a field or a rule.

    SUBJECT is SparkBatch, SparkBatch.conf, FlinkJar.resource_config.max_slot, or a rule's id.
    """
    out(explain(subject))
    return Exit.DONE
