"""Pointers to row groups → batches of declarations, dead letters for rows that could not be read, counts of nulls."""

import dataclasses
from collections.abc import Iterator
from typing import Literal

import apache_beam as beam

from pipeline.archive.row_groups import read_row_group
from pipeline.job.counters import DEAD_LETTERS as UNREAD
from pipeline.values import DeadLetter, Declarations, Layout, RowGroup

DEAD_LETTERS = "dead_letters"
DECLARATIONS = "declarations"
NULLED = "nulled"


@dataclasses.dataclass
class ReadArchive(beam.PTransform):
    """Pointers → `declarations`, `dead_letters`, and `nulled`: (column, values that did not fit its type).

    Only the pointers are shuffled, never a picture.
    """

    layout: Layout

    def expand(self, pointers: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Spreads the pointers over the workers and reads."""
        return (
            pointers
            | "Spread" >> beam.Reshuffle()  # or Beam fuses reading with making the pointers, and one worker reads all
            | "Read" >> beam.ParDo(_ReadRowGroup(self.layout)).with_outputs(DEAD_LETTERS, NULLED, main=DECLARATIONS)
        )


class _ReadRowGroup(beam.DoFn):
    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def process(
        self, pointer: RowGroup
    ) -> Iterator[
        Declarations
        | beam.pvalue.TaggedOutput[Literal["dead_letters"], DeadLetter]
        | beam.pvalue.TaggedOutput[Literal["nulled"], tuple[str, int]]
    ]:
        for batch in read_row_group(pointer, self._layout):
            if isinstance(batch, DeadLetter):
                UNREAD.inc()
                yield beam.pvalue.TaggedOutput(DEAD_LETTERS, batch)
            else:
                yield from (beam.pvalue.TaggedOutput(NULLED, counted) for counted in batch.nulled.items())
                yield batch
