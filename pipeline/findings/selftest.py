"""What became of the planted lies of a night, and whether that is too little to trust its worklist."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hs.card import Mistake
from hs.proportions import Rate


@dataclass(frozen=True)
class Trial:
    """The self-test of a night.

    A broken classifier differs from everything, lies and truth alike. So what counts against `min_recall` are the lies
    that it tells apart: flagged under the planted code, and not under the declared one.

    Attributes:
        counts: (kind of mistake, what) → how many, as `pipeline.job.selftest` has them.
        expected: the kind that `min_recall` is about.
        min_recall: share of lies that must be told apart; None where nothing is withheld.
    """

    counts: Mapping[tuple[str, str], int]
    expected: Mistake
    min_recall: float | None

    @property
    def withheld(self) -> str | None:
        """Why the worklist is withheld, in a sentence; None where it is not.

        A sample says only so much: the whole interval must lie below.
        """
        told = self._rate(self.expected, "told_apart")
        low, high = told.interval
        if self.min_recall is None or high >= self.min_recall:
            return None
        kind = self.expected.replace("_", " ")
        return (
            f"the worklist is withheld, as the self-test failed: of {told.of} wrong codes planted {kind}, {told.hits} "
            f"were told apart from the declared ones ({told.share:.3f}, 95 % interval {low:.3f} to {high:.3f}), "
            f"fewer than selftest.min_recall of {self.min_recall}"
        )

    def described(self) -> dict[str, Any]:
        """For the manifest, JSON-ready."""
        return {
            "kinds": {mistake.value: self._kind(mistake) for mistake in Mistake},
            "expected": self.expected.value,
            "min_recall": self.min_recall,
            "withheld": self.withheld,
        }

    def _kind(self, mistake: Mistake) -> dict[str, Any]:
        named = {"recall": "found", "false_alarms": "flagged_as_declared", "told_apart": "told_apart"}
        return {"planted": self._rate(mistake, "found").of} | {
            name: _described(self._rate(mistake, what)) for name, what in named.items()
        }

    def _rate(self, mistake: Mistake, what: str) -> Rate:
        return Rate(self.counts.get((mistake, what), 0), self.counts.get((mistake, "planted"), 0))


def _described(rate: Rate) -> dict[str, Any]:
    share = None if rate.share is None else round(rate.share, 6)
    return {"count": rate.hits, "share": share, "interval": [round(end, 6) for end in rate.interval]}
