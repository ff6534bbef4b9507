"""`deployer explain`"""

from __future__ import annotations

import click

from deployer.cli.examples import examples
from deployer.cli.options import completed_by
from deployer.errors import Exit
from deployer.report.terminal import out
from deployer.schema.explain import explain

EXAMPLES = examples(
    ("Explain a field", "deployer explain SparkBatch.conf"),
    ("Explain a finding by its code", "deployer explain E032"),
    ("Explain a rule by its id", "deployer explain distcp-takes-two"),
)


@click.command("explain", epilog=EXAMPLES)
@click.argument("subject", shell_complete=completed_by("subjects"))
def command(subject: str) -> Exit:
    """Describe a kind, a field, a rule or an error code.

    SUBJECT is a kind (SparkBatch), a field (SparkBatch.conf, FlinkJar.resource_config.max_slot), the ID of a rule
    or a code (E032).
    """
    out(explain(subject))
    return Exit.DONE
