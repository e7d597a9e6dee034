"""Several requests in flight: pictures in, future answers out."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from serving.client.client import Answer, Client
from serving.contract import ServedModel, encode_request


class Classifier:
    """Keeps several requests in flight.

    Args:
        client: the channel; closed by whoever made it.
        model: the pinned version.
    """

    def __init__(self, client: Client, model: ServedModel) -> None:
        self.client, self.model = client, model
        self._threads = ThreadPoolExecutor(client.connection.in_flight, thread_name_prefix="request")

    def submit(self, images: np.ndarray) -> Future[Answer]:
        """Sends uint8 [N, H, W, 3]; the array may be filled anew at once."""
        # Encoded here and not in the thread, as the array is filled anew at once.
        return self._threads.submit(self.client.send, self.model, encode_request(self.model, images))

    def close(self) -> None:
        """Ends the threads; answers that nobody waits for are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
