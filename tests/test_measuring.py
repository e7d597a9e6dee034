import pytest

from benchmarks.measuring import command


def test_what_is_not_installed_where_nights_run_is_not_there_when_they_are_measured():
    with pytest.raises(RuntimeError, match="pandas"):
        command("pandas.testing")

    assert command("pandas.testing", hidden=()).peak_mb > 0
