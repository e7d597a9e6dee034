"""The rulings that pictures are like, asked of a server that need not give them."""

import logging
from collections.abc import Sequence

import numpy as np

from hs.precedents import Precedent
from serving.client.client import Client, Unanswered
from serving.contract import BadAnswer, ServedModel
from serving.precedents import (
    nearest_cases,
    nearest_of_request,
    precedents_request,
    read_nearest,
    read_precedents,
)

_log = logging.getLogger("hs_audit.serving")
_ROWS_AT_ONCE = 16  # 3 MB of pixels, far less than a batch that any server takes
_FAULTS_IN_A_ROW = 3


class Rulings:
    """Looks rulings up; threads share it. What a server cannot answer is done without, and soon asked no more.

    Args:
        client: to ask with.
        model: the pinned version.
    """

    def __init__(self, client: Client, model: ServedModel) -> None:
        self._client, self._model = client, model
        self._whose: dict[int, tuple[str, str]] = {}
        self._faults = 0

    def like(self, images: np.ndarray, rows: Sequence[int], hs_codes: Sequence[str]) -> list[tuple[Precedent, ...]]:
        """The cases of a class that a picture is most like, the nearest first; none where the server gives none.

        Args:
            images: uint8 [N, H, W, 3].
            rows: which of them, for each class one.
            hs_codes: classes.
        """
        found: list[tuple[Precedent, ...]] = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            found += self._like(images[list(rows[some])], hs_codes[some])
        return found

    def _like(self, images: np.ndarray, hs_codes: Sequence[str]) -> list[tuple[Precedent, ...]]:
        nothing: list[tuple[Precedent, ...]] = [()] * len(images)
        if self._faults >= _FAULTS_IN_A_ROW:
            return nothing
        try:
            answer = self._client.ask(self._model, nearest_of_request(self._model, images, hs_codes))
            index, similarity = read_nearest(answer, self._model, len(images))
            self._learn_whose(index)
        except (Unanswered, BadAnswer) as fault:
            self._faults += 1
            _log.warning("no precedents for %d pictures: %s", len(images), fault)
            return nothing
        self._faults = 0
        return nearest_cases(index, similarity, self._whose)

    def _learn_whose(self, index: np.ndarray) -> None:
        unknown = np.array([place for place in np.unique(index).tolist() if place >= 0 and place not in self._whose])
        if len(unknown):
            answer = self._client.ask(self._model, precedents_request(self._model, unknown))
            self._whose.update(zip(unknown.tolist(), read_precedents(answer, self._model, len(unknown)), strict=True))
