"""The night in Daft: its own functions decode, a batch UDF asks the server. Runs in an environment of its own.

python -m benchmarks.engines.daft_udf ARCHIVE ADDRESS OUTPUT
"""

import sys

import daft
import numpy as np
from daft import DataType, Series, col

from benchmarks.engines.model_server import BATCH, IN_FLIGHT, ModelServer


@daft.cls(max_concurrency=IN_FLIGHT)
class Classifier:
    """Holds a channel."""

    def __init__(self, address: str) -> None:
        self._server = ModelServer(address)

    @daft.method.batch(return_dtype=DataType.string(), batch_size=BATCH)
    def recommend(self, pictures: Series) -> list[str | None]:
        """A class for each picture, None for what could not be decoded."""
        pixels = pictures.to_pylist()
        decoded = [picture for picture in pixels if picture is not None]
        recommended = iter(self._server.recommend(np.stack(decoded)) if decoded else [])
        return [None if picture is None else next(recommended) for picture in pixels]


def main(archive: str, address: str, output: str) -> None:
    """Reads, decodes, classifies, writes; a broken picture is null instead of ending the night."""
    picture = col("images").get(0).get("bytes").decode_image(on_error="null").resize(224, 224)
    recommended = Classifier(address).recommend(picture)
    night = daft.read_parquet(f"{archive}/*.parquet")
    night.select(col("declaration_id"), recommended.alias("recommended")).write_parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
