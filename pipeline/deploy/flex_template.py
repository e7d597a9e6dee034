"""What Dataflow's launcher starts: the parameters of flex_template.json, and Beam's own, become `hs-audit run`."""

import os
import sys
from collections.abc import Sequence


def as_run(arguments: Sequence[str]) -> list[str]:
    """The words of `hs-audit run`: names of parameters have underscores where our flags have dashes.

    >>> as_run(["--run_date=2026-11-21", "--temp_location=gs://b/tmp"])
    ['run', '--run-date=2026-11-21', '--temp_location=gs://b/tmp']
    """
    return ["run", *(argument.replace("--run_date", "--run-date", 1) for argument in arguments)]


if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, "-m", "hs_audit.cli", *as_run(sys.argv[1:])])
