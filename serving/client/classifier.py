"""Several requests in flight: pictures in, future answers out, with the rulings that some of them are like."""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO

import numpy as np

from hs.precedents import Precedent
from serving.client.client import Answer, Client
from serving.client.rulings import Rulings
from serving.contract import EncodedRequest, ServedModel, encode_request

Choose = Callable[[Answer], Sequence[tuple[int, str]]]


class Classifier:
    """Keeps several requests in flight.

    Args:
        client: the channel; closed by whoever made it.
        model: the pinned version.
    """

    def __init__(self, client: Client, model: ServedModel) -> None:
        self.client, self.model, self._rulings = client, model, Rulings(client, model)
        self._rooms: list[BytesIO] = []  # of answered requests: new pages for each cost six times what a copy does
        self._threads = ThreadPoolExecutor(client.connection.in_flight, thread_name_prefix="request")

    def submit(self, images: np.ndarray, choose: Choose | None = None) -> Future[Answer]:
        """Sends uint8 [N, H, W, 3]; the array may be filled anew at once.

        Args:
            images: the pictures.
            choose: an answer → the rows whose rulings are to be looked for, with a class each; called in a thread.
        """
        room = self._rooms.pop() if self._rooms else BytesIO()
        # Encoded here and not in the thread, as the array is filled anew at once.
        answer = self._threads.submit(self._answered, encode_request(self.model, images, room), choose)
        answer.add_done_callback(lambda _: self._rooms.append(room))
        return answer

    def _answered(self, request: EncodedRequest, choose: Choose | None) -> Answer:
        answer = self.client.send(self.model, request)
        asked = choose(answer) if choose and self.model.has_precedents else ()
        if not asked:
            return answer
        rows, hs_codes = zip(*asked, strict=True)
        found: dict[int, tuple[Precedent, ...]] = dict.fromkeys(rows, ())
        for row, precedents in zip(rows, self._rulings.like(request.images, rows, hs_codes), strict=True):
            found[row] += precedents
        return dataclasses.replace(answer, precedents=found)

    def close(self) -> None:
        """Ends the threads; answers that nobody waits for are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
