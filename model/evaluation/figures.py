"""Pictures for the pages of the model side, as SVG without scripts or fonts of their own, in the page's colours."""

import io
import math
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hs.card import Mistake
from model.evaluation.metrics import BUDGETS, SimulatedNight
from model.evaluation.promises import WORDS
from model.measures import Reliability
from model.training.curves import Curve

_INK, _SOFT, _LINE, _ACCENT, _GREEN, _WARM = "#1d2126", "#5b626b", "#dedad0", "#2c5282", "#24695a", "#a33b12"
_GREY, _GOLD = "#9aa5b1", "#b98b2f"
_VARIABLES = {  # of `page.css`, which has them in a dark scheme, too
    _INK: "ink", _SOFT: "soft", _LINE: "line", _ACCENT: "accent", _GREEN: "green", _WARM: "warm", _GREY: "grey",
    _GOLD: "gold",
}  # fmt: skip
_ON_BOTH = (0.27, 0.51, 0.78)  # a blue that is seen on light and dark paper, in pixels that know no variables
_COLOURS = {Mistake.AT_RANDOM: _ACCENT, Mistake.WITHIN_CHAPTER: _GREEN, Mistake.WITHIN_HEADING: _WARM}
_LEVELS = (_GREY, _GOLD, _ACCENT, _GREEN, _WARM)  # of 10, 8, 6, 4 and 2 digits
_OF_ALL = {"color": _ACCENT, "linewidth": 2, "label": "learning from all cases"}
_OF_A_PART = {"color": _GREY, "linewidth": 1, "label": "learning from all but a part"}
_HELD_OUT = {"color": _WARM, "linewidth": 1, "label": "held out"}
_MOST_CLASSES = 100  # of a confusion matrix
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "text.color": _INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be searched, and needs no font drawn into the page
    "svg.hashsalt": "hs-audit",  # the same picture has the same ids
}


def inspected_curve(nights: Mapping[Mistake, SimulatedNight]) -> str:
    """Share inspected → wrong declarations found, one line per kind of mistake."""
    with mpl.rc_context(_STYLE):
        figure = Figure((6.4, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=_LINE, label="in any order")
        for mistake, night in nights.items():
            share = np.arange(night.rows + 1) / night.rows
            axes.fill_between(share, night.low, night.high, color=_COLOURS[mistake], alpha=0.12, linewidth=0)
            axes.plot(share, night.found, color=_COLOURS[mistake], label=f"wrong codes {WORDS[mistake]}")
        for budget in BUDGETS:
            axes.axvline(budget, color=_LINE, linewidth=0.8, zorder=0)
        axes.set(xlabel="share of declarations inspected", ylabel="share of wrong ones found", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="lower right", frameon=False)
        return _svg(figure, "share of declarations inspected against share of wrong ones found")


def reliability_diagram(levels: Mapping[int, Reliability]) -> str:
    """Confidence against being right, one line per level; bars at the finest are what chance does to a perfect one."""
    with mpl.rc_context(_STYLE):
        figure = Figure((4.8, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=_LINE)
        for (level, binned), colour in zip(levels.items(), _LEVELS[-len(levels) :], strict=True):
            label = f"{level} digits, error {binned.error:.3f}"
            axes.errorbar(
                binned.confidence,
                binned.accuracy,
                yerr=1.96 * binned.chance if level == max(levels) else None,
                color=colour,
                label=label,
                marker="o",
                markersize=3.5,
                linewidth=1,
                elinewidth=0.7,
            )
        least = min(min(each.confidence.min(), each.accuracy.min()) for each in levels.values())
        ends = (max(0.0, math.floor(10 * least) / 10 - 0.05), 1.03)
        axes.set(xlabel="probability of the first code", ylabel="share that is right", xlim=ends, ylim=ends)
        axes.legend(loc="upper left", frameon=False)
        return _svg(figure, "reliability diagram")


def confusion_picture(confusion: np.ndarray, labels: list[str]) -> str:
    """True against recommended class; the darkness is the share of the row.

    Of very many classes those that are confused most: nobody reads more, and 1,000 take minutes to draw.
    """
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    if len(labels) > _MOST_CLASSES:
        confused = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * confusion.diagonal()
        shown = np.sort(np.argsort(-confused, kind="stable")[:_MOST_CLASSES])
        shares, labels = shares[np.ix_(shown, shown)], [labels[place] for place in shown]
    with mpl.rc_context(_STYLE):
        side = max(3.5, 0.19 * len(labels) + 1.2)
        figure = Figure((side, side), layout="constrained")
        axes = figure.subplots()
        axes.imshow(np.dstack([np.full((*shares.shape, 3), _ON_BOTH), shares]))
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        axes.set(xlabel="recommended", ylabel="true")
        axes.tick_params(length=0)
        return _svg(figure, "confusion matrix")


def grouped_bars(shares: Mapping[str, Mapping[str, tuple[float, float, float]]], ylabel: str) -> str:
    """Bars with intervals, side by side: group → bar → (low, share, high)."""
    with mpl.rc_context(_STYLE):
        names = list(dict.fromkeys(name for bars in shares.values() for name in bars))
        figure = Figure((max(6.4, 0.45 * sum(map(len, shares.values())) + 2), 3.6), layout="constrained")
        axes = figure.subplots()
        strengths = np.linspace(0.35, 1, len(names)).tolist()
        left, ticks = 0.0, []
        for group, bars in shares.items():
            for place, (name, (low, share, high)) in enumerate(bars.items()):
                error = [[share - low], [high - share]]
                strength = strengths[names.index(name)]
                axes.bar(left + place, share, 0.85, color=_ACCENT, alpha=strength)
                axes.errorbar(left + place, share, yerr=error, ecolor=_SOFT, linestyle="none")
            ticks.append((left + (len(bars) - 1) / 2, group))
            left += len(bars) + 1
        axes.set_xticks([place for place, _ in ticks], [group for _, group in ticks])
        axes.set(ylim=(0, 1), ylabel=ylabel)
        axes.legend(
            handles=[
                mpl.patches.Patch(color=_ACCENT, alpha=strength, label=name)
                for strength, name in zip(strengths, names, strict=True)
            ],
            frameon=False,
            bbox_to_anchor=(1, 1),
            loc="upper left",
        )
        return _svg(figure, ylabel)


def learning_curves(curves: Sequence[Curve]) -> str:
    """Epoch → loss, a picture for each phase: while learning, and on what was held out where somebody looked."""
    phases = phase_words(curves)
    with mpl.rc_context(_STYLE):
        figure = Figure((max(6.4, 4.6 * len(phases)), 3.6), layout="constrained")
        for axes, (phase, words) in zip(figure.subplots(1, len(phases), squeeze=False)[0], phases.items(), strict=True):
            for curve in (curve for curve in curves if curve.phase == phase):
                of_all = curve.fit == "all"
                epochs = range(1, len(curve.losses) + 1)
                colour, width, label = (
                    (_ACCENT, 2, "learning from all") if of_all else (_GREY, 1, "from all but a part")
                )
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, curve.losses, color=colour, linewidth=width, label=label, marker=marker, markersize=4)
                if curve.held_out:
                    seen = [(each.epoch, each.loss) for each in curve.held_out]
                    axes.plot(
                        *zip(*seen, strict=True), color=_WARM, marker="o", markersize=4, linewidth=1, label="held out"
                    )
            axes.set(title=words, xlabel="epoch", ylabel="loss, nats")
            axes.xaxis.get_major_locator().set_params(integer=True)
            handles, labels = axes.get_legend_handles_labels()
            once = dict(zip(labels, handles, strict=True))
            axes.legend(once.values(), once.keys(), frameon=False)
        return _svg(figure, "learning curves: loss of each epoch")


def phase_words(curves: Sequence[Curve]) -> dict[str, str]:
    """The phases of a training in their order, and what learns in each."""
    phases = dict.fromkeys(curve.phase for curve in curves)
    words = {"head": "the head alone", "blocks": "the last blocks and the head" if "head" in phases else "all of it"}
    return {phase: words[phase] for phase in phases}


def _svg(figure: Figure, title: str) -> str:
    out = io.StringIO()
    # Without date and version of matplotlib the same figures make the same page.
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    drawn = out.getvalue()[out.getvalue().index("<svg") :]
    drawn = re.sub("#[0-9a-f]{6}", _variable, drawn)
    # No style of its own, which the page's Content-Security-Policy forbids: SVG has an attribute for each of these.
    drawn = re.sub("<style.*?</style>", "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r'\bstyle="([^"]*)"', lambda found: re.sub(r"([\w-]+): *([^;]+);? *", r'\1="\2" ', found[1]), drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{title}" stroke-linejoin="round" ', 1)


def _variable(found: re.Match[str]) -> str:
    name = _VARIABLES.get(found[0])
    return f"var(--{name})" if name else found[0]
