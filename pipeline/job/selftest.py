"""Planted lies: a seeded sample of the classified declarations, judged again under other codes → counts, no findings.

What the classifier said is there already: nothing is decoded, asked for or written a second time.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from hs.card import Mistake
from hs.codes import HSCode
from hs.declared_codes import ParsedCode
from hs.planting import Planting
from hs.verdicts import Evidence, Judge, Verdict
from pipeline.job.judge import counted_once, days_of, evidence
from pipeline.values import Classified


@dataclass(frozen=True)
class SelfTest:
    """Classified declarations → (kind of mistake, what) → how many.

    `planted` counts the lies, `found` those that differ, `flagged_as_declared` the declarations that differ under
    their own code, and `told_apart` those that differ under the planted code alone.

    Attributes:
        judge: the rules of the night.
        planting: which declarations, and which codes.
    """

    judge: Judge
    planting: Planting

    def __call__(self, classified: Classified, findings: pa.RecordBatch) -> Counter[tuple[str, str]]:
        """Counts what becomes of the lies in a batch, of which the findings are there already."""
        declarations = classified.declarations
        days = days_of(declarations, self.judge)
        declared, flagged = findings.column("declared_hs_code_normalized"), findings.column("mismatch")
        counts: Counter[tuple[str, str]] = Counter()
        for row, mine in enumerate(declarations.picture_slices()):
            source = declarations.source.file, declarations.source.index, declarations.first_row + row
            if declared[row].is_valid and self.planting.takes(*source):
                seen = evidence(classified, mine, counted_once(classified, mine))
                if len(seen.probabilities):
                    for mistake, is_found in self._lies(HSCode(declared[row].as_py()), seen, days[row], source):
                        counts.update(_outcome(mistake, is_found, flagged[row].as_py()))
        return counts

    def _lies(
        self, declared: HSCode, seen: Evidence, day: date | None, source: tuple[str, int, int]
    ) -> Iterator[tuple[Mistake, bool]]:
        """The kinds of lies that are planted, and whether the pictures speak against each."""
        standing = self.judge.nomenclature.standing(declared, day or self.judge.default_day)
        own = [declared, *map(HSCode, standing.codes)]
        for mistake, code in self.planting.codes(own, self.judge.table_on(day), *source).items():
            yield mistake, self.judge(ParsedCode(code), seen, day).verdict is Verdict.DIFFERS


def _outcome(mistake: Mistake, is_found: bool, is_flagged: bool) -> dict[tuple[str, str], int]:
    outcome = {
        "planted": True,
        "found": is_found,
        "flagged_as_declared": is_flagged,
        "told_apart": is_found and not is_flagged,
    }
    return {(mistake.value, what): int(is_so) for what, is_so in outcome.items()}
