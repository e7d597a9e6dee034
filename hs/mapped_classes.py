"""The classes of a model in another edition than its own."""

from hs.class_table import ClassTable
from hs.editions import Nomenclature

_REST = "*"


def mapped(table: ClassTable, of: str, to: str, nomenclature: Nomenclature) -> ClassTable:
    """The same outputs with the codes that they may stand for in another edition.

    What became one code is that code; what became several is any of them, so it is judged at the level that they have
    in common; what is linked to nothing is the rest of the heading or chapter that it was in.

    Args:
        table: of the model.
        of: the edition of its classes.
        to: another one.
        nomenclature: what has both, and their links.
    """
    if of == to:
        return table
    return ClassTable(table.labels, tuple(_meaning(label, of, to, nomenclature) for label in table.labels))


def _meaning(label: str, of: str, to: str, nomenclature: Nomenclature) -> tuple[str, ...]:
    if label.endswith(_REST):
        return (label,)
    if codes := nomenclature.successors(label, of, to):
        return codes
    above = (label[:level] for level in range(len(label) - 2, 0, -2))
    stem = next((prefix for prefix in above if nomenclature.edition(to).has(prefix)), None)
    return (label if stem is None else f"{stem}{_REST}",)
