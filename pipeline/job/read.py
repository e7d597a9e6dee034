"""Pointers to row groups → batches of declarations, dead letters for rows that could not be read, counts of nulls.

It is what a worker begins with: where that may not work, it reads nothing and says why. A storage that is away is no
dead letter: it is waited for inside its budget, then ends the run, as data like a model server that was given up. If it
were raised, an engine would try the bundle again, wait for the whole budget each time, and end in a traceback.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import apache_beam as beam

from hs.errors import Interrupted, StorageLost
from pipeline.archive.row_groups import read_row_group
from pipeline.job.coders import DeclarationsCoder
from pipeline.job.counters import DEAD_LETTERS as UNREAD
from pipeline.job.in_process import STOP
from pipeline.job.post import TROUBLE, Post, Trouble, why_stopped
from pipeline.values import DeadLetter, Declarations, Layout, RowGroup

DEAD_LETTERS = "dead_letters"
DECLARATIONS = "declarations"
NULLED = "nulled"


@dataclasses.dataclass
class ReadArchive(beam.PTransform):
    """Pointers → `declarations`, `dead_letters`, `nulled`, (column, values that did not fit its type), and `trouble`.

    Only the pointers are shuffled, never a picture.

    Attributes:
        layout: which columns.
        post: what a worker is told.
    """

    layout: Layout
    post: Post = dataclasses.field(default_factory=Post)

    def expand(self, pointers: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Spreads the pointers over the workers and reads."""
        beam.coders.registry.register_coder(Declarations, DeclarationsCoder)
        return (
            pointers
            | "Spread" >> beam.Reshuffle()  # or Beam fuses reading with making the pointers, and one worker reads all
            | "Read"
            >> beam.ParDo(_ReadRowGroup(self.layout, self.post)).with_outputs(
                DEAD_LETTERS, NULLED, TROUBLE, main=DECLARATIONS
            )
        )


class _ReadRowGroup(beam.DoFn):
    def __init__(self, layout: Layout, post: Post) -> None:
        self._layout, self._post = layout, post

    def setup(self) -> None:
        self._trouble = self._post.take()  # longer than a bundle: nothing will be published

    def process(
        self, pointer: RowGroup
    ) -> Iterator[
        Declarations
        | beam.pvalue.TaggedOutput[Literal["dead_letters"], DeadLetter]
        | beam.pvalue.TaggedOutput[Literal["nulled"], tuple[str, int]]
        | beam.pvalue.TaggedOutput[Literal["trouble"], Trouble]
    ]:
        if self._trouble:
            yield beam.pvalue.TaggedOutput(TROUBLE, self._trouble)
            return
        try:
            yield from self._read(pointer)
        except Interrupted:  # while a storage was waited for
            yield beam.pvalue.TaggedOutput(TROUBLE, why_stopped())
        except StorageLost as error:
            self._trouble = (error.exit_code, str(error))
            yield beam.pvalue.TaggedOutput(TROUBLE, self._trouble)

    def _read(self, pointer: RowGroup) -> Iterator[Any]:
        for batch in read_row_group(pointer, self._layout, self._post.stores):
            if STOP.is_set():  # nothing will be published: what is left need not be read
                yield beam.pvalue.TaggedOutput(TROUBLE, why_stopped())
                return
            if isinstance(batch, DeadLetter):
                UNREAD.inc()
                yield beam.pvalue.TaggedOutput(DEAD_LETTERS, batch)
            else:
                yield from (beam.pvalue.TaggedOutput(NULLED, counted) for counted in batch.nulled.items())
                yield batch
