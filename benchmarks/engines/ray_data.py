"""The night in Ray Data: tasks decode, actors hold a channel each. Runs in an environment of its own.

python -m benchmarks.engines.ray_data ARCHIVE ADDRESS OUTPUT
"""

import io
import os
import sys
from typing import Any

import numpy as np
import ray
from PIL import Image

from benchmarks.engines.model_server import BATCH, IN_FLIGHT, ModelServer


def decode(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """The first picture of each declaration."""
    files = [io.BytesIO(images[0]["bytes"]) for images in batch["images"]]
    resized = [Image.open(file).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR) for file in files]
    return {"declaration_id": batch["declaration_id"], "pixels": np.stack(resized)}


class Classifier:
    """An actor: one request at a time."""

    def __init__(self, address: str) -> None:
        self._server = ModelServer(address)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Recommends a class for each declaration."""
        return {"declaration_id": batch["declaration_id"], "recommended": self._server.recommend(batch["pixels"])}


def main(archive: str, address: str, output: str) -> None:
    """Reads, decodes, classifies, writes; a block with a broken picture is dropped instead of ending the night."""
    ray.init(num_cpus=len(os.sched_getaffinity(0)), include_dashboard=False)
    ray.data.DataContext.get_current().max_errored_blocks = -1
    (
        ray.data.read_parquet(archive, columns=["declaration_id", "images"])
        .map_batches(decode, batch_size=BATCH)
        .map_batches(
            Classifier,
            fn_constructor_args=[address],
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=IN_FLIGHT),
            num_cpus=0,  # they wait for the server: the cores are for decoding
        )
        .write_parquet(output)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
