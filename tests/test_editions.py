"""Which codes are in force on a date, and what a code of one edition stands for in another."""

import pickle
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.correlations import Correlations, Link
from hs.declared_codes import parse_declared_code
from hs.edition_tables import read_tables
from hs.editions import BUILT_IN, Nomenclature
from hs.errors import UsageError
from hs.mapped_classes import mapped
from hs.nomenclature import descriptions
from hs.verdicts import Evidence, Judge, Reason
from tests.editions import HS_2012, HS_2017, HS_2022, LINKS, edition, links

IN_2014, IN_2019, IN_2026 = date(2014, 3, 1), date(2019, 3, 1), date(2026, 11, 20)


@pytest.fixture
def tables(tmp_path):
    """Reads the tables of `tests.editions`, with other links where some are given."""

    def tables(lines=LINKS, max_successors=10, **codes):
        named = {"2012": HS_2012, "2017": HS_2017, "2022": HS_2022} | codes
        editions = {f"HS {year}": edition(tmp_path / f"{year}.csv", of) for year, of in named.items()}
        return read_tables(editions, [links(tmp_path / "links.csv", lines)], max_successors).nomenclature

    return tables


@pytest.mark.parametrize(
    ("digits", "day", "edition", "known_in", "codes"),
    [
        ("870829", IN_2026, "HS 2022", "HS 2022", ("870829",)),
        ("8708", IN_2026, "HS 2022", "HS 2022", ("8708",)),
        ("8708291000", IN_2026, "HS 2022", "HS 2022", ("8708291000",)),  # no table says what lies under it
        ("870822", IN_2019, "HS 2017", "HS 2022", ("870829",)),  # not yet
        ("8708221000", IN_2014, "HS 2012", "HS 2022", ("870829",)),  # by HS 2017, which has what HS 2012 had
        ("031419", IN_2026, "HS 2022", "HS 2012", ("010121",)),  # gone since 2017
        ("852411", IN_2014, "HS 2012", "HS 2022", ()),  # linked to nothing
        ("999999", IN_2026, "HS 2022", None, ()),
        ("392690", date(1999, 1, 1), "HS 2012", "HS 2012", ("392690",)),  # before the earliest, that one
    ],
)
def test_a_code_stands_for_what_has_its_goods_on_that_date(tables, digits, day, edition, known_in, codes):
    standing = tables().standing(HSCode(digits), day)

    assert (standing.edition, standing.known_in, standing.codes) == (edition, known_in, codes)
    assert standing.in_force == (edition == known_in)


def test_a_code_that_kept_its_number_says_what_else_it_was(tables):
    standing = tables().standing(HSCode("870829"), IN_2026)

    assert standing.elsewhere == (("HS 2017", ("870822", "870829")),)


def test_the_next_edition_is_one_more_table(tables):
    nomenclature = tables([*LINKS, "870829,2022,870828,2028,1:1"], **{"2028": ("870822", "870828")})

    before, after = (nomenclature.standing(HSCode("870829"), day) for day in (date(2027, 12, 31), date(2028, 1, 1)))

    assert (before.edition, before.in_force) == ("HS 2022", True)
    assert (after.edition, after.in_force, after.codes) == ("HS 2028", False, ("870828",))
    assert nomenclature.successors("870829", "HS 2012", "HS 2028") == ("870822", "870828")


def test_national_codes_are_checked_where_a_tariff_is_given(tables):
    nomenclature = tables(**{"2022": (*HS_2022, "8708291000", "8708299000", "87082200")})

    def in_force(digits):
        return nomenclature.standing(HSCode(digits), IN_2026).in_force

    assert [in_force(code) for code in ("8708291000", "870829", "8708220012", "8708993333")] == [True] * 4
    assert [in_force(code) for code in ("8708295000", "87082910", "870822", "87082950")] == [False, True, True, False]
    assert nomenclature.standing(HSCode("8708295000"), IN_2026).known_in == "HS 2017"  # which divides it no further


@pytest.mark.parametrize(
    ("others", "most", "counts"),
    [(3, 3, True), (4, 3, False)],
)
def test_a_link_from_one_code_to_very_many_excuses_nothing(others, most, counts):
    split = [Link("870829", "HS 2017", f"8708{20 + place}", "HS 2022") for place in range(others)]

    assert bool(Correlations(tuple(split), most).linked("870829", "HS 2017", "HS 2022")) is counts


def test_a_code_that_almost_every_machine_is_linked_to_is_no_successor_of_them():
    machines = [f"84{place:02}10" for place in range(10, 60)]
    kept = [Link(code, "HS 2017", code, "HS 2022") for code in machines]
    waste = [Link(code, "HS 2017", "854921", "HS 2022") for code in machines]

    correlations = Correlations((*kept, *waste), max_successors=10)

    assert all(correlations.linked(code, "HS 2017", "HS 2022") == {code} for code in machines)
    assert not correlations.linked("854921", "HS 2022", "HS 2017")


def test_many_codes_that_became_one_have_it_as_their_successor():
    merged = [Link(f"2903{place}", "HS 2017", "290399", "HS 2022") for place in range(10, 40)]

    assert Correlations(tuple(merged), 10).linked("290312", "HS 2017", "HS 2022") == {"290399"}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60), st.integers(1, 8))
def test_no_code_has_more_successors_than_are_allowed(pairs, most):
    correlations = Correlations(tuple(Link(f"8410{a + 10}", "a", f"8411{b + 10}", "b") for a, b in pairs), most)

    for ends in (("a", "b"), ("b", "a")):
        prefix = "8410" if ends == ("a", "b") else "8411"
        assert all(len(correlations.linked(f"{prefix}{n + 10}", *ends)) <= most for n in range(31))


@given(st.sampled_from(sorted(descriptions())), st.dates())
def test_without_tables_every_code_is_in_force_at_all_times(digits, day):
    standing = BUILT_IN.standing(HSCode(digits), day)

    assert (standing.in_force, standing.codes, standing.elsewhere) == (True, (digits,), ())


def test_a_nomenclature_travels_to_workers_without_its_indices():
    assert BUILT_IN.has("870829")

    sent = pickle.dumps(BUILT_IN)

    assert len(sent) < 1000
    assert pickle.loads(sent).has("870829")


def test_all_steps_of_a_worker_share_one_nomenclature():
    assert pickle.loads(pickle.dumps([BUILT_IN]))[0] is pickle.loads(pickle.dumps(BUILT_IN))


BY_LEVEL = Thresholds(differs_below=0.05, agrees_above=0.4, unknown_above=0.8)


def judged(nomenclature: Nomenclature, labels, probabilities, declared, day, of="HS 2022", **settings):
    judge = Judge(ClassTable(labels), BY_LEVEL, nomenclature=nomenclature, table_edition=of, **settings)
    return judge(parse_declared_code(declared), Evidence(1, 1, np.array([probabilities])), day)


NOW = ("870822", "870829", "870899", "392690")
WINDSCREEN, BUMPER, PLASTIC, BETWEEN = (
    (0.97, 0.01, 0.01, 0.01), (0.01, 0.97, 0.01, 0.01), (0.01, 0.01, 0.01, 0.97), (0.3, 0.01, 0.01, 0.68),
)  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "picture", "day", "reason", "declared_edition", "successors"),
    [
        ("870829", WINDSCREEN, IN_2026, "renumbered", "HS 2017", ("870822", "870829")),
        ("870829", BUMPER, IN_2026, "agrees", "HS 2022", ()),
        ("870829", PLASTIC, IN_2026, "differs", "HS 2022", ()),
        ("870899", WINDSCREEN, IN_2026, "differs", "HS 2022", ()),
        ("870829", WINDSCREEN, IN_2019, "agrees", "HS 2017", ()),
        ("870822", WINDSCREEN, IN_2019, "renumbered", "HS 2022", ("870829",)),
        ("870822", PLASTIC, IN_2019, "differs", "HS 2022", ("870829",)),
        ("870822", BETWEEN, IN_2019, "code_unknown", "HS 2022", ("870829",)),
        ("031419", PLASTIC, IN_2026, "sure_of_others", "HS 2012", ("010121",)),
        ("031419", BETWEEN, IN_2026, "older_edition", "HS 2012", ("010121",)),
        ("999999", WINDSCREEN, IN_2026, "code_unknown", None, ()),
    ],
)
def test_codes_are_compared_in_the_edition_of_their_date(
    tables, declared, picture, day, reason, declared_edition, successors
):
    judgement = judged(tables(), NOW, picture, declared, day)

    assert (judgement.reason, judgement.declared_edition) == (reason, declared_edition)
    assert judgement.successors == successors
    assert judgement.risk is None or judgement.reason is not Reason.RENUMBERED or judgement.risk < 0.05


def test_a_code_that_no_class_stands_for_is_renumbered_where_its_successor_is_shown(tables):
    judgement = judged(tables(), ("870822", "392690"), (0.98, 0.02), "870829", IN_2026)

    assert (judgement.reason, judgement.declared_edition) == ("renumbered", "HS 2017")
    assert judgement.risk < 0.05


def test_an_old_code_with_the_goods_of_one_of_its_successors_is_renumbered(tables):
    nomenclature = tables(
        ["870829,2017,870822,2022,1:n", "870829,2017,870899,2022,1:n"], **{"2022": ("870822", "870899", "392690")}
    )

    shown = {picture: judged(nomenclature, NOW, picture, "8708.29", IN_2026) for picture in (WINDSCREEN, PLASTIC)}

    assert [judgement.reason for judgement in shown.values()] == ["renumbered", "differs"]
    assert shown[PLASTIC].differs_at == 2
    assert shown[WINDSCREEN].declared_probabilities[6] == pytest.approx(0.98)


def test_an_old_code_of_which_nothing_is_known_is_of_an_older_edition(tables):
    judgement = judged(tables(LINKS[:2], **{"2012": (*HS_2012, "910911")}), NOW, WINDSCREEN, "910911", IN_2026)

    assert (judgement.reason, judgement.declared_edition, judgement.successors) == ("older_edition", "HS 2012", ())


def test_classes_of_an_older_edition_are_judged_as_deep_as_they_can_be(tables):
    then = ("870829", "870899", "392690")
    table = mapped(ClassTable(then), "HS 2017", "HS 2022", tables())

    assert table.meanings == (("870822", "870829"), ("870899",), ("392690",))
    assert (table.knows("8708"), table.knows("870829"), table.knows("870899")) == (True, False, True)
    assert table.codes == (HSCode("8708"), HSCode("870899"), HSCode("392690"))


@pytest.mark.parametrize(
    ("declared", "picture", "reason", "levels"),
    [
        ("870829", (0.98, 0.01, 0.01), "agrees", [2, 4]),  # which of the two it is no picture tells
        ("870822", (0.98, 0.01, 0.01), "agrees", [2, 4]),
        ("870899", (0.98, 0.01, 0.01), "differs", [2, 4, 6]),
        ("870829", (0.01, 0.01, 0.98), "differs", [2, 4]),
        ("870829", (0.01, 0.98, 0.01), "agrees", [2, 4]),
    ],
)
def test_a_model_of_an_older_edition_speaks_against_none_of_the_codes_it_may_mean(
    tables, declared, picture, reason, levels
):
    judgement = judged(tables(), ("870829", "870899", "392690"), picture, declared, IN_2026, of="HS 2017")

    assert judgement.reason == reason
    assert list(judgement.declared_probabilities) == levels


def test_a_class_that_is_linked_to_nothing_is_the_rest_of_its_heading(tables):
    table = mapped(ClassTable(("852411", "870822")), "HS 2022", "HS 2012", tables(**{"2012": (*HS_2012, "852490")}))

    assert table.meanings == (("8524*",), ("870829",))


def test_a_rest_of_a_chapter_stays_what_it_is(tables):
    table = ClassTable(("87*", "870899"))

    assert mapped(table, "HS 2022", "HS 2012", tables()).meanings == (("87*",), ("870899",))


def test_a_lost_leading_zero_of_a_declared_code_is_told_by_all_editions(tables):
    nomenclature = tables(**{"2028": ("096011",)}, lines=[])
    judge = Judge(ClassTable(NOW), BY_LEVEL, nomenclature=nomenclature)

    assert judge.read("96011").code == HSCode("096011")
    assert replace(judge, nomenclature=BUILT_IN).read("96011").code is None


def test_codes_stored_as_numbers_are_repaired_and_reported(tmp_path):
    path = edition(tmp_path / "hs2017.csv", ("870829", "10121", "1012910"))

    tables = read_tables({"HS 2017": path}, [], 10)

    (sentence,) = tables.repairs()
    assert "the lost leading zero of 2 codes was put back" in sentence
    assert sentence.endswith(f"the first in {path}, line 3: 10121 → 010121")
    assert tables.nomenclature.edition("HS 2017").has("01012910")


def test_a_code_with_and_without_its_leading_zero_stands_there_twice(tmp_path):
    path = edition(tmp_path / "hs2017.csv", ("01012100", "870829", "1012100"))

    with pytest.raises(UsageError, match="line 4: code 01012100 stands there twice"):
        read_tables({"HS 2017": path}, [], 10)


@pytest.mark.parametrize(
    ("editions", "correlations", "message"),
    [
        ({2017: "hs_code,description,valid_from,until\n"}, "", "2017.csv has no column valid_to"),
        (
            {2017: "hs_code,description,valid_from,valid_to,note\n"}, "",
            "2017.csv, line 1: unknown column note; known are hs_code, description, valid_from, valid_to",
        ),
        ({2017: "870829,a,,\n870829,b,,\n"}, "", "2017.csv, line 3: code 870829 stands there twice"),
        ({2017: "870829,a,2017-02-30,\n"}, "", "2017.csv, line 2: '2017-02-30' is no date"),
        ({2017: "870829,a,1.1.2017,\n"}, "", "2017.csv, line 2: '1.1.2017' is no date"),
        ({2017: "870829,a,2017-01-01,2016-01-01\n"}, "", "2017.csv, line 2: valid to 2016-01-01, which is before"),
        ({2017: "8708,a,,\n"}, "", "2017.csv, line 2: '8708' is no code of 6 to 10 digits"),
        ({2017: "8708.3,a,,\n"}, "", "2017.csv, line 2: '8708.3' is no code of 6 to 10 digits"),
        ({2017: "hs_code,description,valid_from,valid_to\n"}, "", "2017.csv has no code"),
        (
            {2017: "870829,a,,2022-06-30\n"}, "",
            "2017.csv, line 2: in force when HS 2022 is, which begins 2022-01-01",
        ),
        (
            {2012: "870829,a,,\n870899,a,,2017-01-01\n", 2017: "870829,a,,\n"}, "",
            "2012.csv, line 3: in force when HS 2017 is, which begins 2017-01-01",
        ),
        (
            {2012: "870829,a,,\n", 2017: "870829,a,2011-01-01,\n"}, "",
            "2017.csv, line 2: HS 2017 begins 2011-01-01, HS 2012 2012-01-01",
        ),
        ({2017: "870829,a,,\n"}, "870822,2017,870829,2022,1:1\n", "links.csv, line 2: HS 2017 has no code 870822"),
        (
            {2017: "870829,a,,\n"}, "870829,2012,870829,2017,1:1\n",
            "links.csv, line 2: no table is given for HS 2012, only for HS 2017, HS 2022",
        ),
        ({2017: "870829,a,,\n"}, "870829,H17,870829,2022,1:1\n", "line 2: an edition is named by its year"),
        ({2017: "870829,a,,\n"}, "870829,2017,870829,2022,ex\n", "relationship is 1:1, 1:n, n:1 or n:n, got 'ex'"),
        ({2017: "870829,a,,\n"}, "code_from,edition_from\n", "links.csv has no column code_to, edition_to"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_with_its_line(tmp_path, editions, correlations, message):
    paths = {}
    for year, lines in editions.items():
        header = "" if lines.startswith("hs_code") else "hs_code,description,valid_from,valid_to\n"
        paths[f"HS {year}"] = tmp_path / f"{year}.csv"
        paths[f"HS {year}"].write_text(header + lines)
    header = "" if correlations.startswith("code_from") else "code_from,edition_from,code_to,edition_to,relationship\n"
    (tmp_path / "links.csv").write_text(header + correlations)

    with pytest.raises(UsageError) as raised:
        read_tables(paths, [tmp_path / "links.csv"], 10)

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_late_edition_ends_the_one_before_it(tmp_path):
    late = edition(tmp_path / "2017.csv", HS_2017, first="2017-07-01")
    nomenclature = read_tables(
        {"HS 2012": edition(tmp_path / "2012.csv", HS_2012), "HS 2017": late}, [], 10
    ).nomenclature

    assert nomenclature.on(date(2017, 6, 30)).name == "HS 2012"
    assert nomenclature.edition("HS 2012").ends == date(2017, 7, 1) - timedelta(days=1)


def test_what_ended_within_an_edition_is_what_is_left_of_it(tmp_path):
    path = edition(tmp_path / "2022.csv", ("8708291000",), last="2024-06-30")
    path.write_text(path.read_text() + "8708292000,goods,2024-07-01,\n")
    nomenclature = read_tables({"HS 2022": path}, [], 10).nomenclature

    standing = nomenclature.standing(HSCode("8708291000"), IN_2026)

    assert (standing.in_force, standing.existed, standing.codes) == (False, True, ("870829",))
