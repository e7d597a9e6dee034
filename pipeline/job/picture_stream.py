"""Declarations in, the same declarations with their pictures classified out, in order; no Beam here.

Decoding and the server work at the same time: threads decode (Pillow releases the interpreter while it does), requests
fill up across declarations and files, and several are in flight while the next pictures are decoded.
"""

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from hs.pictures.decoding import Original, Picture, PictureLimits, PictureSize, PictureStatus, decode
from hs.pictures.looks import perceptual_hash
from hs.precedents import Precedent
from pipeline.archive.stored_pictures import StoredPicture
from pipeline.findings.distributions import bins_of
from pipeline.job.decoding_threads import DecodingThreads
from pipeline.job.suspects import Declared, Suspects
from pipeline.values import NOT_SCORED, Classified, Declarations
from serving.client.classifier import Choose
from serving.client.client import Answer

T = TypeVar("T")


class Submit(Protocol):
    """Sends pictures."""

    def __call__(self, images: np.ndarray, choose: Choose | None, /) -> Future[Answer]:
        """Sends uint8 [N, H, W, 3], which is filled anew afterwards; `choose` as in `Classifier.submit`."""


class Await(Protocol):
    """Waits for a future; may raise to end the stream when the run was stopped."""

    def __call__(self, future: Future[T], /) -> T:
        """Returns the future's result."""


@dataclass(frozen=True)
class Decoding:
    """How files become pixels.

    Attributes:
        threads: to decode in.
        size: of the pixels that the model wants.
        limits: which pictures are read.
        ahead: pictures that are being decoded or wait for their place in a request.
        wait: how to wait for a picture.
        hashed: whether to tell by what hash a picture is known that was saved again.
    """

    threads: DecodingThreads
    size: PictureSize
    limits: PictureLimits
    ahead: int
    wait: Await = Future.result
    hashed: bool = False


@dataclass(frozen=True)
class Sending:
    """How pixels become answers.

    Attributes:
        submit: sends pictures and returns the future answer.
        classes: C, how many outputs the model has.
        batch_size: pictures in a request.
        in_flight: requests that wait for their answers before decoding pauses.
        wait: how to wait for an answer.
        suspects: picks pictures whose rulings are looked for; None where the model has none.
    """

    submit: Submit
    classes: int
    batch_size: int
    in_flight: int
    wait: Callable[[Future[Answer]], Answer] = Future.result
    suspects: Suspects | None = None


@dataclass
class _Batch:
    """A batch of declarations on its way; of each picture float32 [C + 1], its probabilities and its novelty."""

    declarations: Declarations
    digests: list[str]
    hashes: list[int]
    statuses: list[str]
    details: list[str | None]
    answers: np.ndarray
    missing: int
    declared: list[Declared | None]
    originals: list[Original | None]
    precedents: dict[int, tuple[Precedent, ...]] = field(default_factory=dict)


class _Decoded(NamedTuple):
    """A picture, or the answer that it had when it came before; with its hash, 0 for none."""

    digest: str
    found: "Picture | Known"
    hash: int


class _Picture(NamedTuple):
    """Whose picture it is, and which of them."""

    batch: _Batch
    position: int

    @property
    def declared(self) -> Declared | None:
        """The code that it is declared under; None where it is not looked at."""
        return self.batch.declared[self.position] if self.batch.declared else None


class _Request(NamedTuple):
    """Pictures whose answer is awaited."""

    pictures: list[_Picture]
    answer: Future[Answer]


def _bytes_of(picture: pa.Scalar | StoredPicture) -> memoryview:
    buffer = picture.as_buffer()
    return memoryview(buffer) if buffer is not None else memoryview(b"")  # null among pictures is an empty one


class Known(NamedTuple):
    """What the model said of a picture, float32 [C + 1], what it was before it was decoded, and its hash."""

    answer: np.ndarray
    original: Original
    hash: int


class Remembered:
    """What the model said of the latest pictures: importers attach one file to many declarations.

    Args:
        most: pictures to remember; the earliest are forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Bytes, as an array takes twice its content.
        self._answers: OrderedDict[bytes, tuple[bytes, Original, int]] = OrderedDict()
        self._given_up: dict[bytes, Picture] = {}  # all of them: each took its time

    def of(self, digest: bytes) -> Known | Picture | None:
        """What is known of a file by its SHA-256, or that its decoding was given up, or None."""
        if digest in self._answers:
            answer, original, hash_ = self._answers[digest]
            return Known(np.frombuffer(answer, np.float32), original, hash_)
        return self._given_up.get(digest)

    def add(self, digest: bytes, known: Known) -> None:
        """Remembers what the model said."""
        if self._most:
            self._answers[digest] = known.answer.tobytes(), known.original, known.hash
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def give_up(self, digest: bytes, picture: Picture) -> None:
        """Remembers that a file took too long."""
        self._given_up[digest] = picture


def _unread(picture: StoredPicture) -> _Decoded:
    """A picture that is larger than is read: it may be half a gigabyte, so its digest is all that is made of it."""
    digest = hashlib.sha256()
    for piece in picture.pieces():
        digest.update(piece)
    return _Decoded(digest.hexdigest(), Picture(PictureStatus.TOO_MANY_BYTES, detail=f"{picture.size} bytes"), 0)


class PictureStream:
    """Decodes and classifies the pictures of declarations.

    Args:
        decoding: how files become pixels.
        sending: how pixels become answers.
        remembered: pictures that need neither be decoded nor sent again.
    """

    def __init__(self, decoding: Decoding, sending: Sending, remembered: Remembered) -> None:
        self._decoding, self._sending, self._remembered = decoding, sending, remembered
        self._batches: deque[_Batch] = deque()
        self._being_decoded: deque[tuple[_Picture, Future[_Decoded]]] = deque()
        self._requests: deque[_Request] = deque()
        self._filling: list[_Picture] = []
        self._unscored = np.full(sending.classes + 1, np.nan, np.float32)
        self._pixels = np.empty((sending.batch_size, decoding.size.height, decoding.size.width, 3), np.uint8)

    def put(self, declarations: Declarations) -> Iterator[Classified]:
        """Takes a batch; yields earlier ones that are complete."""
        pictures = len(declarations.pictures)
        batch = _Batch(
            replace(declarations, pictures=pa.array([], pa.binary())),  # a slice would keep all bytes alive
            [""] * pictures,
            [0] * pictures,
            [""] * pictures,
            [None] * pictures,
            np.tile(self._unscored, (pictures, 1)),
            pictures,
            self._sending.suspects.declared(declarations) if self._sending.suspects else [],
            [None] * pictures,
        )
        self._batches.append(batch)
        source, last_row = declarations.source, declarations.first_row + declarations.rows - 1
        about = f"a picture in {source.file}, row group {source.index}, rows {declarations.first_row} to {last_row}"
        for position, picture in enumerate(declarations.pictures):
            mine = _Picture(batch, position)
            work, otherwise = partial(self._decode, picture, mine.declared), partial(self._give_up, picture)
            self._being_decoded.append((mine, self._decoding.threads.submit(work, otherwise, about)))
            while len(self._being_decoded) > self._decoding.ahead:
                self._collect_picture()
        yield from self._complete()

    def drain(self) -> Iterator[Classified]:
        """Ends the stream: yields all that is still on its way."""
        while self._being_decoded:
            self._collect_picture()
        self._send()
        while self._requests:
            self._collect_answer()
        yield from self._complete()

    def _decode(self, picture: pa.Scalar | StoredPicture, declared: Declared | None) -> _Decoded:
        if isinstance(picture, StoredPicture) and picture.size > self._decoding.limits.max_bytes:
            return _unread(picture)
        data = _bytes_of(picture)
        digest = hashlib.sha256(data)  # in the thread: hashlib lets go of the interpreter as well
        known = self._remembered.of(digest.digest())
        if isinstance(known, Known) and self._is_suspect(known.answer, declared):
            known = None  # its pixels are needed again
        found = decode(data, self._decoding.size, self._decoding.limits) if known is None else known
        return _Decoded(digest.hexdigest(), found, self._hash(found))

    def _hash(self, found: Picture | Known) -> int:
        if isinstance(found, Known):
            return found.hash
        return perceptual_hash(found.pixels) if self._decoding.hashed and found.pixels is not None else 0

    def _is_suspect(self, answer: np.ndarray, declared: Declared | None) -> bool:
        suspects = self._sending.suspects
        return suspects is not None and suspects.may_pick and bool(suspects.classes(declared, answer[:-1], answer[-1]))

    def _give_up(self, picture: pa.Scalar | StoredPicture) -> _Decoded:
        digest = hashlib.sha256(_bytes_of(picture))
        found = f"more than {self._decoding.limits.max_decoding_s:g} s of processor time"
        too_costly = Picture(PictureStatus.TOO_COSTLY, detail=found)
        self._remembered.give_up(digest.digest(), too_costly)
        return _Decoded(digest.hexdigest(), too_costly, 0)

    def _collect_picture(self) -> None:
        mine, decoded = self._being_decoded.popleft()
        batch, position = mine
        batch.digests[position], found, batch.hashes[position] = self._decoding.wait(decoded)
        batch.originals[position] = found.original
        if isinstance(found, Known):
            self._classified(mine, found.answer)
        elif found.pixels is None:
            self._classified(mine, self._unscored, found.status, found.detail)
        else:
            self._fill(mine, found.pixels)

    def _fill(self, mine: _Picture, pixels: np.ndarray) -> None:
        self._pixels[len(self._filling)] = pixels  # one array for all requests: each is encoded when `submit` returns
        self._filling.append(mine)
        if len(self._filling) == self._sending.batch_size:
            self._send()

    def _send(self) -> None:
        # What is answered already costs no waiting, and its declarations can go on.
        while self._requests and (len(self._requests) >= self._sending.in_flight or self._requests[0].answer.done()):
            self._collect_answer()
        if self._filling:
            suspects, declared = self._sending.suspects, [mine.declared for mine in self._filling]
            choose = partial(suspects.pick, declared) if suspects else None
            answer = self._sending.submit(self._pixels[: len(self._filling)], choose)
            self._requests.append(_Request(self._filling, answer))
            self._filling = []

    def _collect_answer(self) -> None:
        request = self._requests.popleft()
        answer = self._sending.wait(request.answer)
        rows = np.column_stack([answer.probabilities, answer.novelty])
        for row, found in answer.precedents.items():
            batch, position = request.pictures[row]
            batch.precedents[position] = found
        for mine, row in zip(request.pictures, rows, strict=True):
            if np.isnan(row[0]):  # so the client marks a picture without an answer
                self._classified(mine, row, NOT_SCORED, answer.fault)
            else:
                self._classified(mine, row)
                batch, position = mine
                original = batch.originals[position]
                assert original is not None
                known = Known(row, original, batch.hashes[position])
                self._remembered.add(bytes.fromhex(batch.digests[position]), known)

    def _classified(
        self, mine: _Picture, answer: np.ndarray, status: str = PictureStatus.OK, detail: str | None = None
    ) -> None:
        batch, position = mine
        batch.statuses[position], batch.details[position] = status, detail
        batch.answers[position] = answer
        batch.missing -= 1

    def _complete(self) -> Iterator[Classified]:
        while self._batches and not self._batches[0].missing:
            batch = self._batches.popleft()
            told = (batch.declarations, batch.digests, batch.statuses, batch.details)
            counts = Counter(each for original in batch.originals if original for each in bins_of(original))
            yield Classified(*told, batch.answers[:, :-1], batch.answers[:, -1], batch.precedents, counts, batch.hashes)
