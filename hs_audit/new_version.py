"""What becomes of what `hs-audit train` exported: measured, held beside the newest version, promoted or not."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hs.errors import AuditError, UsageError
from hs.text import counted
from hs_audit.steps import Steps
from model.cases.overlap import learned_from, pictures_of, sharing
from model.exported.versions import Exported, newest, promote
from model.measures import calibration_error, top_k

if TYPE_CHECKING:
    from model.cases.reading import Cases
    from model.evaluation.paired import Difference, Paired
    from model.evaluation.summary import Evaluation
    from model.exported.predictions import Predictions


@dataclass(frozen=True)
class Validation:
    """Cases that measure a classifier.

    Attributes:
        cases: all of them.
        pictures: names of the pictures of each.
        learned_from: positions of those with a picture that it learned from.
        tunes: whether its thresholds are drawn from them, so that they tell nothing of two versions.
    """

    cases: "Cases"
    pictures: tuple[frozenset[str], ...]
    learned_from: frozenset[int]
    tunes: bool


@dataclass(frozen=True)
class Beside:
    """How a new classifier stands beside an older one.

    Attributes:
        sentence: for people.
        facts: for its `hs_audit.json`; None where no comparison is possible.
        worse: whether it is, beyond chance.
    """

    sentence: str
    facts: dict[str, Any] | None = None
    worse: bool = False


def validation_of(cases: "Cases", learned: "Cases", pictures: frozenset[str], tunes: bool, steps: Steps) -> Validation:
    """Holds cases that shall measure against what will be learned from, before any picture is decoded.

    Args:
        cases: to measure on.
        learned: to learn from.
        pictures: names of all its pictures.
        tunes: whether thresholds are drawn from `cases`.
        steps: tell how far it is.

    Raises:
        UsageError: if none of them can measure anything, or thresholds would be drawn from what is learned from.
    """
    with steps.step(f"reading {cases.path.name}", cases.count) as advance:
        own = tuple(pictures_of(cases, advance))
    shared, known, codes = frozenset(sharing(own, pictures)), set(learned.codes()), list(cases.codes())
    if known.isdisjoint(codes):
        raise UsageError(f"{cases.path} has codes that training has not: {', '.join(sorted(set(codes)))}")
    if all(number in shared for number, code in enumerate(codes) if code in known):
        raise UsageError(
            f"{cases.path} measures nothing: each of its {counted(cases.count, 'case')} has a picture that stands in "
            f"{learned.path}, too, or a code that does not"
        )
    if shared and tunes:
        raise UsageError(
            f"{counted(len(shared), 'case')} of {cases.path} have a picture that stands in {learned.path}, too: "
            "thresholds drawn from what was learned from promise too much"
        )
    if shared:
        steps.say(
            f"{counted(len(shared), 'case')} of {cases.path.name} do not count: they have a picture that stands in "
            f"{learned.path.name}, too"
        )
    return Validation(cases, own, shared, tunes)


def not_inherited(version: Exported | None) -> str | None:
    """What officers' decisions made of the newest version and a new network does not have; None where it is nothing.

    Decisions speak of the network that they were shown: its probabilities are drawn apart by them, not another's.
    """
    recalibrated = version and version.facts().get("recalibrated")
    if not recalibrated:
        return None
    share = recalibrated["wrong_share"]
    return (
        f"{version} has its thresholds from decisions on what its network said; those of a new one are drawn from "
        "held-out cases, until hs-audit recalibrate has decisions on what that says"
        + (f". The share of wrong declarations that they found is --wrong-share {share['share']:.2g}" if share else "")
    )


def settle(exported: Exported, validation: Validation | None, steps: Steps, promote_worse: bool) -> Exported:
    """Makes a candidate the newest version unless it is worse than that one; a version is measured and left.

    Args:
        exported: what was trained.
        validation: cases to measure on; without them it is promoted unseen.
        steps: tell what is found.
        promote_worse: whether it is promoted even if it is worse.

    Returns:
        What it is now.
    """
    measured = _measured(exported, validation, steps) if validation else None
    while True:
        other = newest(exported.model, below=None if exported.is_candidate else exported.number)
        beside = _beside(other, measured and measured[0], validation, steps) if other else None
        if beside:
            steps.say(beside.sentence)
        if not exported.is_candidate:
            return exported
        if measured and validation:
            exported.add_facts({"validation": _facts(*measured, validation, beside)})
        if beside and beside.worse and not promote_worse:
            steps.say(
                f"worse than {other}: it stays {exported}, where no server takes it for the newest; the same command "
                "with --promote makes it a version"
            )
            return exported
        if promoted := promote(exported, over=other):
            steps.say(str(promoted))
            return promoted
        # Another training was faster: what it exported is the newest now.


def _measured(exported: Exported, validation: Validation, steps: Steps) -> "tuple[Predictions, Evaluation] | None":
    """What it says of cases that it did not learn from, and its worth; None where none of them can be read."""
    from model.evaluation.promises import in_a_sentence
    from model.evaluation.summary import evaluate

    name = validation.cases.path.name
    try:
        said = _said(exported, validation.cases, steps)
    except UsageError as error:
        steps.say(f"nothing is measured: {error}")
        return None
    own = said.only(~np.isin(said.numbers, sorted(validation.learned_from)))
    if not len(own.labels):
        steps.say(f"nothing is measured: what can be read of {name} was learned from")
        return None
    steps.say(
        f"on {name}: top-1 {top_k(own.probabilities, own.labels, 1):.3f}, "
        f"top-3 {top_k(own.probabilities, own.labels, 3):.3f}, "
        f"calibration error {calibration_error(own.probabilities, own.labels):.3f}{_left_out(said, own)}"
    )
    evaluation = evaluate(own, own.card.thresholds.wrong_share, seed=0)[0]
    steps.say(f"at the thresholds of its card: {in_a_sentence(evaluation)}")
    return own, evaluation


def _said(exported: Exported, cases: "Cases", steps: Steps) -> "Predictions":
    """What it says of the cases whose code it knows; of the originals alone where others are generated."""
    from model.exported.predictions import predict

    with steps.step(f"measuring {exported.path.name} on {cases.path.name}", cases.count) as advance:
        return predict(exported.path, cases, advance, leave_out_unknown=True).originals


def _left_out(said: "Predictions", own: "Predictions") -> str:
    """Which cases do not count, in brackets."""
    reasons = {
        "with a picture that was learned from": len(said.labels) - len(own.labels),
        "of other codes": sum(said.unknown.values()),
    }
    words = [f"{counted(count, 'case')} {reason}" for reason, count in reasons.items() if count]
    return f" (left out: {', '.join(words)})" if words else ""


def _beside(other: Exported, said: "Predictions | None", validation: Validation | None, steps: Steps) -> Beside:
    """Compares what the new classifier says with what an older version does."""
    from model.evaluation.paired import compare

    unknown = f"whether it is better than {other} is not known: "
    if validation is None:
        return Beside(f"{unknown}--validation CASES compares them")
    if said is None:
        return Beside(f"{unknown}nothing is measured")
    if validation.tunes:
        return Beside(f"{unknown}its thresholds were drawn from {validation.cases.path.name}")
    learned = learned_from(other.path)
    if learned is None and other.facts().get("cases_digest") == validation.cases.digest():
        return Beside(f"{unknown}that one learned from {validation.cases.path.name}")
    shared = sharing(validation.pictures, learned or ())
    try:
        was = _said(other, validation.cases, steps)
    except AuditError as error:
        return Beside(f"{unknown}{error}")
    found = compare(said, was.only(~np.isin(was.numbers, shared)))
    if found is None:
        return Beside(f"{unknown}no case is left that neither learned from and whose code both know")
    left_out = validation.cases.count - found.cases
    words = [f"on {counted(found.cases, 'case')} that neither learned from and whose code both know"]
    words += [f"{left_out} left out"] if left_out else []
    words += ["of those that the older one learned from it has no list"] if learned is None else []
    sentence = (
        f"beside {other}, {'; '.join(words)}: top-1 {_interval(found.top_1)}, log-likelihood "
        f"{_interval(found.likelihood)}: {_verdict(found)}"
    )
    facts = asdict(found) | {"version": other.number, "weights_digest": was.card.weights_digest, "left_out": left_out}
    return Beside(sentence, facts | {"worse": worse(found)}, worse(found))


def worse(found: "Paired") -> bool:
    """Whether the newer of two models is worse beyond chance: by its first code, or by the probability of the true one.

    The 95 % interval of one of both differences lies below 0. A loss within the interval is no reason to keep a
    version back, as half of all equally good ones have one; nor does a gain in one outweigh a loss in the other:
    officers see the first code, but what is flagged depends on the probability.
    """
    return found.top_1.worse or found.likelihood.worse


def _verdict(found: "Paired") -> str:
    if worse(found):
        return "worse"
    return "better" if found.top_1.better or found.likelihood.better else "no difference beyond chance"


def _interval(difference: "Difference") -> str:
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _facts(
    said: "Predictions", evaluation: "Evaluation", validation: Validation, beside: Beside | None
) -> dict[str, Any]:
    from model.evaluation.as_json import kept_as_json

    return kept_as_json(evaluation) | {
        "cases": validation.cases.path.name,
        "cases_digest": validation.cases.digest(),
        "measured": len(said.labels),
        "left_out": {"learned_from": len(validation.learned_from), "other_codes": sum(said.unknown.values())},
        "top_1": top_k(said.probabilities, said.labels, 1),
        "top_3": top_k(said.probabilities, said.labels, 3),
        "calibration_error": calibration_error(said.probabilities, said.labels),
        "tuned_on": validation.tunes,
        "beside": beside.facts if beside else None,
    }
