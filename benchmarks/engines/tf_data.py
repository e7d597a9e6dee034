"""The night in tf.data: `Dataset.map` decodes, and a second one asks the server. Runs in an environment of its own.

python -m benchmarks.engines.tf_data ARCHIVE ADDRESS OUTPUT
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.engines.model_server import BATCH, IN_FLIGHT, ModelServer


def main(archive: str, address: str, output: str) -> None:
    """Reads, decodes, classifies, writes; a broken picture is dropped instead of ending the night."""
    server = ModelServer(address)

    def declarations() -> Iterator[tuple[str, bytes]]:
        # tf.data reads no Parquet: this is what its guide says of sources that it does not know.
        for path in sorted(Path(archive).glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["declaration_id", "images"]):
                for row in batch.to_pylist():
                    yield row["declaration_id"], row["images"][0]["bytes"]

    def decode(declaration_id: tf.Tensor, picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.io.decode_image(picture, channels=3, expand_animations=False)
        resized = tf.image.resize(pixels, (224, 224), antialias=True)
        return declaration_id, tf.cast(tf.round(resized), tf.uint8)

    def recommend(pixels: np.ndarray) -> np.ndarray:
        return np.array(server.recommend(pixels), object)

    def classify(declaration_ids: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return declaration_ids, tf.numpy_function(recommend, [pixels], tf.string, stateful=False)

    text = tf.TensorSpec((), tf.string)
    night = (
        tf.data.Dataset.from_generator(declarations, output_signature=(text, text))
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(BATCH)
        .map(classify, num_parallel_calls=IN_FLIGHT)
        .prefetch(tf.data.AUTOTUNE)
    )
    schema = pa.schema([("declaration_id", pa.string()), ("recommended", pa.string())])
    with pq.ParquetWriter(output, schema) as findings:
        for declaration_ids, recommended in night.as_numpy_iterator():
            columns = [pa.array(column, pa.binary()).cast(pa.string()) for column in (declaration_ids, recommended)]
            findings.write_table(pa.table(columns, schema))


if __name__ == "__main__":
    main(*sys.argv[1:])
