"""`_CURRENT`: the small object that says which attempt of a night stands, for readers and for the next run."""

import json
from dataclasses import asdict, dataclass

CURRENT = "_CURRENT"


@dataclass(frozen=True)
class Current:
    """What `_CURRENT` says.

    Attributes:
        attempt_id: of the attempt that stands, in `attempt-ID/` beside it.
        manifest_sha256: of its manifest.json, which has name, size and digest of every other file.
        published_at: when, ISO 8601.

    >>> Current.parse(Current("a1", "00ff", "2026-11-22T01:00:00+00:00").to_json()).attempt_id
    'a1'
    """

    attempt_id: str
    manifest_sha256: str
    published_at: str

    @classmethod
    def parse(cls, content: bytes) -> "Current":
        """Reads it; what a newer version may have added is left out.

        Raises:
            ValueError: if it is something else.
        """
        said = json.loads(content)
        try:
            return cls(said["attempt_id"], said["manifest_sha256"], said["published_at"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"a _CURRENT needs attempt_id, manifest_sha256 and published_at, got {said!r}") from error

    def to_json(self) -> bytes:
        """As it is written."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()
