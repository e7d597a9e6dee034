"""Small tables of editions: a few true changes between HS 2012, 2017 and 2022, and codes that stayed."""

from collections.abc import Iterable
from pathlib import Path

# 8708.29 held windscreens until 2021; 8517.62 lost parts of what it held; 3926.90, 7326.90 and 0101.21 stayed.
HS_2012 = ("870829", "870899", "392690", "732690", "010121", "851762", "031419")
HS_2017 = ("870829", "870899", "392690", "732690", "010121", "851762")
HS_2022 = ("870822", "870829", "870899", "392690", "732690", "010121", "851762", "852411", "610910")
LINKS = (
    "870829,2017,870822,2022,1:n",
    "870829,2017,870829,2022,1:n",
    "031419,2012,010121,2017,1:1",  # no true one: a code of HS 2012 that is gone
)


def edition(path: Path, codes: Iterable[str], first: str = "", last: str = "") -> Path:
    """A table of an edition; `first` and `last` day of all codes, none for those of the edition."""
    lines = [f"{code},goods of {code},{first},{last}" for code in codes]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["hs_code,description,valid_from,valid_to", *lines, ""]))
    return path


def links(path: Path, lines: Iterable[str] = LINKS) -> Path:
    """A table of correlations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["code_from,edition_from,code_to,edition_to,relationship", *lines, ""]))
    return path


def nomenclature_of(folder: Path) -> str:
    """The tables above in a folder, as a configuration names them."""
    tables = {2012: HS_2012, 2017: HS_2017, 2022: HS_2022}
    named = {year: edition(folder / f"hs{year}.csv", codes) for year, codes in tables.items()}
    editions = ", ".join(f"{year}: {path}" for year, path in named.items())
    return f"nomenclature: {{editions: {{{editions}}}, correlations: [{links(folder / 'links.csv')}]}}\n"
