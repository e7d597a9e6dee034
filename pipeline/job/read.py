"""Pointers to row groups → batches of declarations, and reports: dead letters of rows that could not be read, nulls.

It is what a worker begins with: where that may not work, it reads nothing and says why. A storage that is away is no
dead letter: it is waited for inside its budget, then ends the run, as data like a model server that was given up. If it
were raised, an engine would try the bundle again, wait for the whole budget each time, and end in a traceback.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from hs.errors import Interrupted, StorageLost
from pipeline.archive.row_groups import read_row_group
from pipeline.job.coders import DeclarationsCoder
from pipeline.job.counters import DEAD_LETTERS
from pipeline.job.in_process import STOP
from pipeline.job.post import Post, why_stopped
from pipeline.job.reports import REPORTS, Reported, reported
from pipeline.values import DeadLetter, Declarations, Layout, RowGroup

DECLARATIONS = "declarations"


@dataclasses.dataclass
class ReadArchive(beam.PTransform):
    """Pointers → `declarations`, and `reports`: dead letters, values that did not fit their column's type, trouble.

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
            | "Read" >> beam.ParDo(_ReadRowGroup(self.layout, self.post)).with_outputs(REPORTS, main=DECLARATIONS)
        )


class _ReadRowGroup(beam.DoFn):
    def __init__(self, layout: Layout, post: Post) -> None:
        self._layout, self._post = layout, post

    def setup(self) -> None:
        self._trouble = self._post.take()  # longer than a bundle: nothing will be published

    def process(self, pointer: RowGroup) -> Iterator[Declarations | Reported]:
        if self._trouble:
            yield reported(trouble=self._trouble)
            return
        try:
            yield from self._read(pointer)
        except Interrupted:  # while a storage was waited for
            yield reported(trouble=why_stopped())
        except StorageLost as error:
            self._trouble = (error.exit_code, str(error))
            yield reported(trouble=self._trouble)

    def _read(self, pointer: RowGroup) -> Iterator[Any]:
        nulled: Counter[str] = Counter()
        for batch in read_row_group(pointer, self._layout, self._post.stores):
            if STOP.is_set():  # nothing will be published: what is left need not be read
                yield reported(trouble=why_stopped())
                return
            if isinstance(batch, DeadLetter):
                DEAD_LETTERS.inc()
                yield reported(dead_letter=dataclasses.asdict(batch))
            else:
                nulled.update(batch.nulled)
                yield batch
        if nulled:
            yield reported(nulled=dict(nulled))
