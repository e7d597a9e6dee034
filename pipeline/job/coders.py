"""How batches of declarations travel where Beam must copy them, and what they are worth in its counters."""

import pickle

import apache_beam as beam

from pipeline.values import Declarations


class DeclarationsCoder(beam.coders.Coder):
    """Pickles. Beam asks for the size of some elements, and by default pickles those for that: 500 MB at once."""

    def encode(self, value: Declarations) -> bytes:
        """Pictures that lie in a page come along."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Declarations:
        """The same."""
        declarations: Declarations = pickle.loads(encoded)
        return declarations

    def estimate_size(self, value: Declarations) -> int:
        """Bytes of the columns beside the pictures, which go no further than to the decoder."""
        size: int = value.columns.nbytes
        return size

    def is_deterministic(self) -> bool:
        """No key of anything."""
        return False
