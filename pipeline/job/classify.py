"""Batches of declarations → the same with their pictures classified, and what ended the work for good, if anything."""

import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindows

from hs.errors import AuditError, Interrupted, NotPublished
from hs.pictures.decoding import PictureLimits
from pipeline.job.counters import LOOKED_UP, PICTURES, REQUESTS, counted_wait
from pipeline.job.decoding_threads import DecodingThreads
from pipeline.job.in_process import MAY_SEND, PROGRESS, STOP, wait_unless_stopped
from pipeline.job.picture_stream import Decoding, PictureStream, Remembered, Sending
from pipeline.job.post import Trouble, why_stopped
from pipeline.job.reports import REPORTS, reported_at_the_end
from pipeline.job.suspects import Picking, Suspects
from pipeline.values import Classified, Declarations
from serving.client.classifier import Choose, Classifier
from serving.client.client import Answer, Client
from serving.client.connection import Connection
from serving.contract import ServedModel

CLASSIFIED = "classified"

_PICTURES_AHEAD = 4  # per core; up to 64 made no difference (docs/performance.md)


@dataclasses.dataclass
class Classify(beam.PTransform):
    """Declarations → `classified`, and `reports`: trouble of a server or of pictures that were given up.

    Attributes:
        model: the pinned version.
        connection: where it is served.
        limits: which pictures are read.
        batch_size: pictures in a request.
        picking: by what pictures are picked to look for rulings beside them; None picks none.
        remembered: pictures whose probabilities a worker keeps, for when the same file comes again.
        threads: to decode in; None for one on each core that a worker may use.
        hashed: whether pictures get the hash by which one is known that was saved again.
    """

    model: ServedModel
    connection: Connection
    limits: PictureLimits
    batch_size: int
    picking: Picking | None = None
    remembered: int = 0
    threads: int | None = None
    hashed: bool = False

    def expand(self, declarations: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Decodes and classifies in one stage, so that no picture is copied between workers."""
        return declarations | beam.ParDo(_Classify(self)).with_outputs(REPORTS, main=CLASSIFIED)


class _Worker:
    """What a worker keeps from one bundle to the next: channel, threads, and what was said of the latest pictures."""

    def __init__(self, settings: Classify) -> None:
        model, connection = settings.model, settings.connection
        self.client = Client(connection, STOP, PROGRESS.waits, MAY_SEND)
        self._classifier = Classifier(self.client, model)
        # Of the cores those that we may use: os.cpu_count() has all of the machine's.
        cores = settings.threads or len(os.sched_getaffinity(0))
        decoders = DecodingThreads(cores, settings.limits.max_decoding_s)
        ahead = _PICTURES_AHEAD * cores
        how = (model.picture_size, settings.limits, ahead, wait_unless_stopped, settings.hashed)
        self._decoding = Decoding(decoders, *how)
        classes, in_flight = len(model.table), connection.in_flight
        suspects = Suspects(settings.picking) if settings.picking and model.has_precedents else None
        self._sending = Sending(self._submit, classes, settings.batch_size, in_flight, _counted, suspects)
        self._remembered = Remembered(settings.remembered)  # longer than a bundle: files come again all night

    def stream(self) -> PictureStream:
        """Where a bundle's declarations go in."""
        return PictureStream(self._decoding, self._sending, self._remembered)

    @property
    def trouble(self) -> AuditError | None:
        """What ended the work for good."""
        too_costly = self._decoding.threads.trouble
        return self.client.trouble or (NotPublished(too_costly) if too_costly else None)

    def close(self) -> None:
        """Ends what is open."""
        self._classifier.close()
        self.client.close()
        self._decoding.threads.close()

    def _submit(self, pixels: np.ndarray, choose: Choose | None) -> Future[Answer]:
        REQUESTS.inc()
        return self._classifier.submit(pixels, choose)


def classified_here(settings: Classify, declarations: Declarations) -> Classified:
    """One batch, decoded and classified as a night does it, without an engine.

    Raises:
        AuditError: one of its kinds, where the server or a picture was given up, or the work was stopped.
    """
    with closing(_Worker(settings)) as worker:
        stream = worker.stream()
        done = [*stream.put(declarations), *stream.drain()]
        if worker.trouble:
            raise worker.trouble
    (classified,) = done
    return classified


class _Classify(beam.DoFn):
    def __init__(self, settings: Classify) -> None:
        self._settings = settings

    def setup(self) -> None:
        self._worker: _Worker | None = None

    def start_bundle(self) -> None:
        self._stream: PictureStream | None = None

    def process(self, declarations: Declarations) -> Iterator[Classified]:
        if self._worker is None:  # a worker that may not begin gets no declarations, and could not read the PEM files
            self._worker = _Worker(self._settings)
        if self._stream is None:
            self._stream = self._worker.stream()
        if not self._trouble():  # else nothing will be published: what is left need not be decoded
            PICTURES.inc(len(declarations.pictures))
            with suppress(Interrupted):  # ends as data, or an engine would try again
                yield from self._stream.put(declarations)

    def finish_bundle(self) -> Iterator[Any]:
        if self._stream is None:
            return
        with suppress(Interrupted):
            for classified in self._stream.drain():
                yield GlobalWindows.windowed_value(classified)  # at the end of a bundle Beam knows no window
        if trouble := self._trouble():
            yield reported_at_the_end(trouble=trouble)

    def _trouble(self) -> Trouble | None:
        assert self._worker is not None
        if trouble := self._worker.trouble:
            return trouble.exit_code, str(trouble)
        return why_stopped() if STOP.is_set() else None

    def teardown(self) -> None:
        if self._worker is not None:
            self._worker.close()


def _counted(future: Future[Answer]) -> Answer:
    """Waits for an answer, and counts the pictures that rulings were looked up for."""
    answer = counted_wait(future)
    if answer.precedents:
        LOOKED_UP.inc(len(answer.precedents))
    return answer
