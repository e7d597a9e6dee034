"""`hs-audit recalibrate`: redraws a classifier's thresholds from what officers decided, and exports a new version.

The network stays as it is, byte by byte; the card gets thresholds by which the flag keeps its precision on the decided
findings, and the share of wrong declarations where some were drawn at random.
"""

import argparse
import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hs.card import Card, Mistake, Thresholds
from hs.codes import LEVELS
from hs.errors import UsageError
from hs.files import version_folder
from hs.proportions import Estimate
from hs.ranking import case_numbers
from hs.storage.location import Location
from hs.text import counted
from hs.verdicts import Reason
from hs_audit import flag_values as flags
from hs_audit.run_argument import add_storage_argument, stores_of
from hs_audit.terminal import PlainConsole
from pipeline.feedback.decision import Ruling
from pipeline.feedback.filing import all_records
from pipeline.feedback.records import Record

if TYPE_CHECKING:
    from model.training.decided import Decided, Redrawn
    from model.training.thresholds import Aims

_PRECISION = 0.9
_COULD_DIFFER = (Reason.DIFFERS, Reason.AGREES, Reason.LOW_CONFIDENCE, Reason.UNKNOWN_GOODS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--version", type=flags.VERSION, help="which of them (default: the newest)")
    parser.add_argument(
        "--decisions",
        type=Location.parse,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="what `hs-audit feedback` filed to",
    )
    parser.add_argument(
        "--measured-on",
        type=Location.parse,
        nargs="+",
        metavar="FOLDER",
        help="decisions that nothing is drawn from, to say what is kept on them (default: none)",
    )
    parser.add_argument(
        "--precision",
        type=flags.SHARE,
        default=_PRECISION,
        help=f"share of truly wrong declarations among the flagged (default: {_PRECISION})",
    )
    add_storage_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Exports a version with thresholds from decisions, and says what is promised and kept before and after."""
    from model.quiet import quiet_import

    with quiet_import():
        from model.exported.predictions import read_card
        from model.exported.recarding import with_card
    from model.exported.versions import Exported
    from model.training.decided import aims_of_decisions

    folder, console = version_folder(args.model, args.version), PlainConsole(soft_wrap=True)
    card, _ = read_card(folder)
    records = _records(args.decisions, card, args, console)
    share = _decided(records, card.thresholds).wrong_share()
    aims = aims_of_decisions(args.precision, share.share if share else card.thresholds.wrong_share)
    redrawn = {mistake: _redrawn(records, drawn, aims) for mistake, drawn in _thresholds(card).items()}
    new = dataclasses.replace(
        card,
        thresholds=redrawn[Mistake.AT_RANDOM].thresholds,
        thresholds_for={mistake: redrawn[mistake].thresholds for mistake in card.thresholds_for},
    )
    others = _records(args.measured_on, card, args, console) if args.measured_on else []
    _say_promises(redrawn, args.precision, others, card, console)
    _say_share(share, card, console)
    if new == card:
        console.print("nothing to change: the thresholds keep what they promise")
        return 0
    version = Exported(args.model, int(folder.name), is_candidate=False)
    exported = with_card(version, card, new, {"recalibrated": _facts(version.number, records, redrawn, share, aims)})
    console.print(f"{exported}: the network of version {version.number}, and a card from {_from_what(records)}")
    return 0


def _records(folders: Sequence[Location], card: Card, args: argparse.Namespace, console: PlainConsole) -> list[Record]:
    """The decisions that speak of this network; how many do not is told."""
    stores = stores_of(args)
    found = [record for folder in folders for record in all_records(folder, stores)]
    why = Counter(filter(None, (_left_out(record, card) for record in found)))
    if why:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in why.items())
        console.print(f"left out of {counted(len(found), 'decision')}: {reasons}")
    return [record for record in found if not _left_out(record, card)]


def _left_out(record: Record, card: Card) -> str | None:
    if record["decision"] == Ruling.CANNOT_TELL:
        return "cannot tell"
    if record["weights_digest"] != card.weights_digest:
        return "on findings of another network"
    return None if record["inclusion_probability"] else "on findings that were on no worklist"


def _thresholds(card: Card) -> dict[Mistake, Thresholds]:
    return {Mistake.AT_RANDOM: card.thresholds} | card.thresholds_for


def _redrawn(records: Sequence[Record], thresholds: Thresholds, aims: "Aims") -> "Redrawn":
    """The thresholds that decisions ask for.

    Raises:
        UsageError: if they bear none out.
    """
    from model.training.decided import least_flagged, redraw, surely

    decided = _decided(records, thresholds)
    against = decided.against(thresholds)
    if found := redraw(decided, thresholds, aims):
        return found
    flagged, least = int((against > 1).sum()), least_flagged(aims)
    pictures = len(np.unique(decided.pictures[against > 1]))
    if pictures < least:
        raise UsageError(
            f"too few decisions: {counted(flagged, 'decided finding')} would be flagged, of "
            f"{counted(pictures, 'picture')}, and it takes {least} pictures with none but wrong ones to bear out a "
            f"precision of {aims.surely:g} at 90 % confidence"
        )
    kept = decided.precision(against)
    assert kept is not None
    if kept.share >= aims.precision:
        raise UsageError(
            f"too few decisions: {kept.share:.3f} of {flagged:,} flagged ones are wrong, at 90 % confidence "
            f"{surely(kept):.3f}, and {aims.surely:g} is asked for"
        )
    raise UsageError(
        f"no threshold keeps a precision of {aims.precision:g} on these decisions, of whose {flagged:,} flagged ones "
        f"{kept.share:.3f} are wrong; train a new version with the cases that they made, or ask for a lower "
        "--precision"
    )


def _decided(records: Sequence[Record], thresholds: Thresholds) -> "Decided":
    from model.training.decided import Decided

    sums = {
        level: np.array([_or_nan(record[f"declared_probability_{level}"]) for record in records], np.float64)
        for level in LEVELS
    }
    return Decided(
        sums,
        np.array([record["decision"] == Ruling.WRONG for record in records], bool),
        np.array([record["inclusion_probability"] for record in records], np.float64),
        np.array([_can_differ(record, thresholds) for record in records], bool),
        _pictures(records),
    )


def _pictures(records: Sequence[Record]) -> np.ndarray:
    """Which decisions are on one picture, int [N] from 0; one whose pictures nobody knows is on its own."""
    return np.array(case_numbers(record["picture_digests"] or () for record in records), np.int64) - 1


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _can_differ(record: Record, thresholds: Thresholds) -> bool:
    if record["reason"] != Reason.UNKNOWN_GOODS:
        return record["reason"] in _COULD_DIFFER
    novelty, limit = record["novelty"], thresholds.abstain_above
    return novelty is not None and limit is not None and novelty <= limit


def _say_promises(
    redrawn: "dict[Mistake, Redrawn]", precision: float, others: Sequence[Record], card: Card, console: PlainConsole
) -> None:
    """A paragraph for each kind of mistake: the decisions that draw the thresholds flatter them a little."""
    for mistake, drawn in redrawn.items():
        kind = mistake.value.replace("_", " ")
        console.print(f"thresholds for wrong codes {kind}: a precision of {precision:g} is promised")
        console.print(f"  kept before: {_kept(drawn.before)}")
        console.print(f"  kept after:  {_kept(drawn.after)}")
        if others:
            earlier = _thresholds(card)[mistake]
            decided = _decided(others, earlier)
            against = decided.against(earlier)
            console.print(f"  on others before: {_kept(decided.precision(against))}")
            console.print(f"  on others after:  {_kept(decided.precision(against, drawn.limit))}")


def _kept(found: Estimate | None) -> str:
    if found is None:
        return "none flagged"
    low, high = found.interval
    return f"{found}, {low:.3f} to {high:.3f} at 95 %"


def _say_share(share: Estimate | None, card: Card, console: PlainConsole) -> None:
    if share is None:
        console.print(
            "no decision is on a random share, so thresholds were not lowered, and the share of wrong declarations "
            f"stays {card.thresholds.wrong_share:g}; give the worklist a random_share"
        )
        return
    low, high = share.interval
    console.print(
        f"declared under a wrong code, of all: {share}, {low:.3f} to {high:.3f} at 95 %; assumed was "
        f"{card.thresholds.wrong_share:g}. verdict.assumed_wrong_share in the configuration moves the risk"
    )


def _from_what(records: Sequence[Record]) -> str:
    nights = {record["run_date"] for record in records}
    pictures = len(np.unique(_pictures(records)))
    return f"{counted(len(records), 'decision')} on {counted(len(nights), 'night')}, of {counted(pictures, 'picture')}"


def _facts(
    number: int, records: Sequence[Record], redrawn: "dict[Mistake, Redrawn]", share: Estimate | None, aims: "Aims"
) -> dict[str, Any]:
    """What the new version says of where its thresholds come from."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from_version": number,
        "nights": sorted({record["run_date"] for record in records}),
        "decisions": Counter(record["decision"] for record in records),
        "pictures": len(np.unique(_pictures(records))),
        "drawn_at_random": sum(record["inclusion_probability"] < 1 for record in records),
        "aims": dataclasses.asdict(aims),
        "wrong_share": share and _as_json(share),
        "flag": {
            mistake.value: {
                "limit": drawn.limit,
                "before": drawn.before and _as_json(drawn.before),
                "after": _as_json(drawn.after),
            }
            for mistake, drawn in redrawn.items()
        },
    }


def _as_json(found: Estimate) -> dict[str, Any]:
    return {"hits": found.hits, "of": found.of, "share": found.share, "interval_95": found.interval}
