"""Cases → examples on disk: what the part that learns is shown, computed once.

    cases ──► decode, variants ──► stem ──► inputs, at the cut
                 (threads)        (threads) └► tail ──► features, where the backbone is pretrained

The files grow chunk by chunk, and a preparation that was interrupted goes on behind the last whole one.
"""

import json
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from hs.pictures.looks import perceptual_hash, thumbnail
from hs.storage.location import Location
from model.cases.duplicates import thumbnail_as_text, thumbnail_from_text
from model.cases.groups import Grouping, Pictures, group_cases
from model.cases.reading import Case, CasePicture, Cases, Unreadable, decode_case
from model.cases.variants import variant
from model.task import Advance
from model.training.backbones import Backbone
from model.training.bursts import find_bursts
from model.training.folding import folded
from model.training.networks import Cut, as_constants, of_any_size, takes_any_size
from model.training.row_files import RowFile

T = TypeVar("T")
R = TypeVar("R")
Chunk = dict[str, Any]
Answer = tuple[np.ndarray, np.ndarray]
Vary = Callable[[np.ndarray, np.random.Generator, int | None], np.ndarray]

_CHUNK = 16  # cases that are decoded ahead and written together, with their variants
_BATCH = 4  # pictures that go through the network at once: their largest maps still fit a processor's cache
_BATCH_OF_GPU = 32
_THREADS = 2  # decode 1.9 times as fast as one: Pillow lets go of the interpreter
_AT_ONCE = 2  # batches: while one waits at the end of a layer, the other has both cores


@dataclass(frozen=True)
class Examples:
    """Pictures ready to learn from, each with its variants.

    Variant v of picture p is row `stored[p] * (1 + variants) + v` of the files; variant 0 is the picture itself.

    Attributes:
        inputs: what stands at the cut: uint8 [H, W, 3], float16 activations, or the features.
        features: float32 [F] of each; None where the backbone has yet to learn.
        classes: HS codes, sorted.
        labels: int [P], the class of each picture.
        groups: int [P], the pictures that stay on one side of a split.
        cases: int [P], the case of each picture.
        generated: bool [P], whether a picture was generated before we saw it.
        variants: how many of each picture there are beside itself.
        unreadable: pictures left out.
        grouping: how the groups came about.
        stored: int [P], the number of each picture in the files; None where all of these are there.
    """

    inputs: RowFile
    features: RowFile | None
    classes: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    cases: np.ndarray
    generated: np.ndarray
    variants: int
    unreadable: tuple[Unreadable, ...]
    grouping: Grouping | None = None
    stored: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Of the folder that holds the files: stands for all that decides on them."""
        return self.inputs.path.parent.name

    def rows(self, pictures: np.ndarray, variants: np.ndarray | int = 0) -> np.ndarray:
        """Where these variants of these pictures stand in the files, int [n]."""
        numbers = pictures if self.stored is None else self.stored[pictures]
        return numbers * (1 + self.variants) + variants

    def without(self, codes: Collection[str]) -> "Examples":
        """These examples but for those of some HS codes; the files stay as they are."""
        classes = tuple(code for code in self.classes if code not in codes)
        number = np.array([classes.index(code) if code in classes else -1 for code in self.classes])
        kept = np.flatnonzero(number[self.labels] >= 0)
        return replace(
            self,
            classes=classes,
            labels=number[self.labels[kept]],
            groups=self.groups[kept],
            cases=self.cases[kept],
            generated=self.generated[kept],
            stored=kept if self.stored is None else self.stored[kept],
        )


@dataclass(frozen=True)
class Preparation:
    """How pictures become examples.

    Attributes:
        backbone: the network.
        cut: where it begins to learn.
        size: of the pixels; the backbone's input.
        variants: random ones added to each picture; of the size that the backbone learned at, where its pictures are
            larger and its maps are not: they show goods larger than pictures do, which this makes up for.
        seed: of the variants.
        vary: makes one, as `variant` does.
    """

    backbone: Backbone
    cut: Cut
    size: PictureSize
    variants: int
    seed: int
    vary: Vary = variant

    @cached_property
    def variants_side(self) -> int | None:
        """Of variants in pixels, where the stem makes maps of one size of them and of larger pictures."""
        side, stem = self.backbone.learned_at, self.cut.stem
        if not side or side == self.size.height or stem is None or not takes_any_size(stem):
            return None
        return side if of_any_size(stem).compute_output_shape((None, side, side, 3))[1:] == self.cut.shape else None


def prepare(cases: Cases, how: Preparation, folder: Path, advance: Advance) -> Examples:
    """Decodes the cases, makes variants, and computes what stays the same through training.

    Args:
        cases: to learn from.
        how: the network and the variants.
        folder: where the files go; another one for other cases or another preparation.
        advance: is told how many cases were done, and how many pictures they have.

    Raises:
        UsageError: if no picture can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs, features = _files(how, folder)
    done = _read_index(folder / "index.jsonl")
    seen = sum(chunk["cases"] for chunk in done)
    pictures = sum(len(chunk["pictures"]) for chunk in done)
    advance(seen)
    computed = _computed(_decoded(cases, how, seen), _networks(how))
    with closing(computed), open(folder / "index.jsonl", "a", encoding="utf-8") as index:
        index.truncate(sum(len(json.dumps(chunk)) + 1 for chunk in done))  # a line cut off by an interruption goes
        for chunk, answers in computed:
            if answers:
                at_cut, values = (np.concatenate(some) for some in zip(*answers, strict=True))
                inputs.append(at_cut, at=pictures * (1 + how.variants))
                if features is not None and features is not inputs:
                    features.append(values, at=pictures * (1 + how.variants))
            index.write(json.dumps(chunk) + "\n")  # after the rows: those without a line here are computed again
            index.flush()
            done.append(chunk)
            pictures += len(chunk["pictures"])
            advance(chunk["cases"], len(chunk["pictures"]))
    return _examples(done, inputs, features, how, cases.path)


def _files(how: Preparation, folder: Path) -> tuple[RowFile, RowFile | None]:
    dtype = "uint8" if how.cut.stem is None else "float32" if how.cut.tail is None else "float16"
    inputs = RowFile(folder / "inputs", how.cut.shape, dtype)
    if not how.backbone.pretrained:
        return inputs, None
    if how.cut.tail is None:
        return inputs, inputs
    return inputs, RowFile(folder / "features", how.backbone.network.output_shape[1:], "float32")


def _read_index(path: Path) -> list[dict[str, Any]]:
    """The whole lines of an index; one that was cut off by an interruption is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(True) if line.endswith("\n")]


def _networks(how: Preparation) -> Callable[[np.ndarray], Answer]:
    """Pixels uint8 [n, H, W, 3] → what stands at the cut, and the features: pixels, too, where there are none yet."""
    stem, tail, network = how.cut.stem, how.cut.tail, how.backbone.network
    if not how.backbone.pretrained:
        return lambda pixels: (pixels, pixels)
    if stem is not None and how.variants_side:
        stem = of_any_size(stem)
        network = stem if tail is None else network

    forward = as_constants(folded(network if stem is None or tail is None else stem))
    onward = as_constants(folded(tail)) if tail is not None and stem is not None else None

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def compute(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        at_cut = forward(tf.cast(pixels, tf.float32))
        if onward is not None:
            return at_cut, onward(at_cut)
        return (pixels if stem is None else at_cut), at_cut

    def in_numpy(pixels: np.ndarray) -> Answer:
        at_cut, values = compute(tf.constant(pixels))
        return at_cut.numpy(), values.numpy()

    return in_numpy


def _computed(
    chunks: Iterator[tuple[Chunk, list[np.ndarray]]], network: Callable[[np.ndarray], Answer]
) -> Generator[tuple[Chunk, list[Answer]], None, None]:
    """Chunks with what the network says of their pictures, batch by batch; it has the next one meanwhile."""
    batch = _BATCH_OF_GPU if tf.config.list_physical_devices("GPU") else _BATCH
    threads = ThreadPoolExecutor(_AT_ONCE, "network")
    coming: deque[tuple[Chunk, list[Future[Answer]]]] = deque()

    def first() -> tuple[Chunk, list[Answer]]:
        chunk, batches = coming.popleft()
        return chunk, [answer.result() for answer in batches]

    try:
        for chunk, pixels in chunks:
            coming.append((chunk, [threads.submit(network, part) for part in _batches(pixels, batch)]))
            if len(coming) == 2:
                yield first()
        while coming:
            yield first()
    finally:
        threads.shutdown(cancel_futures=True)  # whoever interrupts waits for what is in a layer, and for no more


def _batches(pictures: list[np.ndarray], most: int) -> Iterator[np.ndarray]:
    """Neighbours of one size, so many at once at most, in their order."""
    for _, alike in groupby(pictures, key=np.shape):
        while some := list(islice(alike, most)):
            yield np.stack(some)


def _decoded(cases: Cases, how: Preparation, skip: int) -> Iterator[tuple[Chunk, list[np.ndarray]]]:
    """Chunks of cases: a line for the index, and pixels uint8 [H, W, 3] of each picture, its variants behind it."""

    def work(numbered: tuple[int, Case]) -> tuple[list[dict[str, Any]], list[Unreadable], list[np.ndarray]]:
        number, case = numbered
        readable, unreadable = decode_case(case, number, how.size, cases.all_pictures)
        copies = [pixels for picture in readable for pixels in (picture.pixels, *_variants(picture, how))]
        return [_about(picture) for picture in readable], unreadable, copies

    remaining = islice(enumerate(cases), skip, None)
    with ThreadPoolExecutor(_THREADS, "decode") as threads:
        for worked in _ahead(threads, work, remaining):
            pictures = [about for some, _, _ in worked for about in some]
            unreadable = [picture for _, some, _ in worked for picture in some]
            copies = [pixels for _, _, some in worked for pixels in some]
            chunk = {
                "cases": len(worked),
                "pictures": pictures,
                "unreadable": [asdict(picture) for picture in unreadable],
            }
            yield chunk, copies


def _variants(picture: CasePicture, how: Preparation) -> Iterator[np.ndarray]:
    random = np.random.default_rng([how.seed, int(picture.digest[:16], 16)])  # the same wherever its case stands
    return (how.vary(picture.pixels, random, how.variants_side) for _ in range(how.variants))


def _ahead(threads: ThreadPoolExecutor, work: Callable[[T], R], cases: Iterable[T]) -> Iterator[list[R]]:
    """Chunks of results, the next one under way while the caller has the last; no more than two are ever held."""
    cases = iter(cases)
    coming = [threads.submit(work, case) for case in islice(cases, _CHUNK)]
    while coming:
        following = [threads.submit(work, case) for case in islice(cases, _CHUNK)]
        yield [future.result() for future in coming]
        coming = following


def _about(picture: CasePicture) -> dict[str, Any]:
    return {
        "hs_code": picture.hs_code,
        "case": picture.case,
        "source": picture.source_case,
        "generated": picture.generated,
        "digest": picture.digest,
        "hash": perceptual_hash(picture.pixels),
        "thumbnail": thumbnail_as_text(thumbnail(picture.pixels)),
    }


def _examples(
    done: list[dict[str, Any]], inputs: RowFile, features: RowFile | None, how: Preparation, path: Location
) -> Examples:
    pictures = [picture for chunk in done for picture in chunk["pictures"]]
    if not pictures:
        raise UsageError(f"{path} has no readable picture")
    classes, labels = np.unique([picture["hs_code"] for picture in pictures], return_inverse=True)
    sources = [picture["source"] for picture in pictures]
    digests = [picture["digest"] for picture in pictures]
    bursts = None
    if features is not None:
        bursts = find_bursts(labels, digests, lambda some: features.read(some * (1 + how.variants)))
    grouping = group_cases(
        Pictures(
            # What was made of a case counts as that case: it is not alike by its pixels.
            np.unique(sources, return_inverse=True)[1],
            sources,
            [picture["hs_code"] for picture in pictures],
            digests,
            np.array([picture["hash"] for picture in pictures], np.uint64),
            np.stack([thumbnail_from_text(picture["thumbnail"]) for picture in pictures]),
        ),
        bursts,
    )
    # By content, so that what an epoch draws is the same in whatever order the cases are read.
    order = np.lexsort((sources, labels, digests))
    return Examples(
        inputs,
        features,
        tuple(str(code) for code in classes),
        labels[order],
        grouping.groups[order],
        np.array([picture["case"] for picture in pictures])[order],
        np.array([picture["generated"] for picture in pictures])[order],
        how.variants,
        tuple(Unreadable(**picture) for chunk in done for picture in chunk["unreadable"]),
        grouping,
        stored=order,
    )
