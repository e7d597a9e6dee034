"""`hs-audit run` with every picture answered as it is read: what a run costs beside decoding and the server.

python -m benchmarks.answered run --config=FILE …
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Iterator

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow reads it as it loads, so it stands here

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hs_audit.commands.run import add_arguments, run
from pipeline.config import Config
from pipeline.job.classify import CLASSIFIED
from pipeline.job.memory import give_back_freed_memory
from pipeline.job.reports import REPORTS
from pipeline.job.suspects import Picking
from pipeline.values import Classified, Declarations
from serving.client.connection import Connection
from serving.contract import ServedModel


@dataclasses.dataclass
class Answered(beam.PTransform):
    """Declarations → `classified`, each picture alike, and no `reports`: neither decodes nor sends."""

    classes: int

    def expand(self, declarations: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Answers in the stage that reads."""
        return declarations | beam.ParDo(_Answer(self.classes)).with_outputs(REPORTS, main=CLASSIFIED)


class _Answer(beam.DoFn):
    def __init__(self, classes: int) -> None:
        self._probabilities = np.full(classes, 0.1 / (classes - 1), np.float32)
        self._probabilities[-1] = 0.9

    def setup(self) -> None:
        give_back_freed_memory()  # as a worker does: reading is measured with its pools

    def process(self, declarations: Declarations) -> Iterator[Classified]:
        count = len(declarations.pictures)
        yield Classified(
            dataclasses.replace(declarations, pictures=pa.array([], pa.binary())),
            ["0" * 64] * count,
            ["ok"] * count,
            [None] * count,
            np.tile(self._probabilities, (count, 1)),
            np.full(count, np.nan, np.float32),
        )


def answered(config: Config, model: ServedModel, connection: Connection, picking: Picking) -> Answered:
    """In the place of `pipeline.night.with_a_server`."""
    return Answered(len(model.table))


def main() -> int:
    """Takes the words and flags of `hs-audit run`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["run"])
    add_arguments(parser)
    args, beam_flags = parser.parse_known_args()
    args.beam_flags, args.answer = beam_flags, {}
    return run(args, answered)


if __name__ == "__main__":
    sys.exit(main())
