"""Planted lies: a seeded sample of the classified declarations, judged again under other codes → counts, no findings.

What the classifier said is there already: nothing is decoded, asked for or written a second time.
"""

from collections import Counter
from dataclasses import dataclass

from hs.codes import HSCode
from hs.declared_codes import ParsedCode
from hs.planting import Planting
from hs.verdicts import Judge, Verdict
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

    def __call__(self, classified: Classified) -> Counter[tuple[str, str]]:
        """Counts what becomes of the lies in a batch."""
        declarations = classified.declarations
        counts: Counter[tuple[str, str]] = Counter()
        for row in range(declarations.rows):
            source = declarations.source.file, declarations.source.index, declarations.first_row + row
            if self.planting.takes(*source):
                self._judge_again(classified, row, source, counts)
        return counts

    def _judge_again(
        self, classified: Classified, row: int, source: tuple[str, int, int], counts: Counter[tuple[str, str]]
    ) -> None:
        declarations, judge = classified.declarations, self.judge
        declared = judge.read(declarations.columns.column("declared_hs_code")[row].as_py())
        end = int(declarations.picture_counts[: row + 1].sum())
        mine = slice(end - int(declarations.picture_counts[row]), end)
        seen = evidence(classified, mine, counted_once(classified, mine))
        if declared.code is None or not len(seen.probabilities):
            return
        day = days_of(declarations, judge)[row]
        standing = judge.nomenclature.standing(declared.code, day or judge.default_day)
        own = [declared.code, *(HSCode(code) for code in standing.codes)]
        is_flagged = judge(declared, seen, day).verdict is Verdict.DIFFERS
        for mistake, code in self.planting.codes(own, judge.table_on(day), *source).items():
            is_found = judge(ParsedCode(code), seen, day).verdict is Verdict.DIFFERS
            outcome = {
                "planted": True,
                "found": is_found,
                "flagged_as_declared": is_flagged,
                "told_apart": is_found and not is_flagged,
            }
            counts.update({(mistake.value, what): int(is_so) for what, is_so in outcome.items()})
