"""Building the engines says what is missing; without it the cluster tests are skipped."""

import pytest

from tests.cluster.parts import CannotBeBuilt, build


def test_a_machine_without_java_is_told_what_the_cluster_tests_need(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotBeBuilt, match="the cluster tests need Java 17, Maven and Go"):
        build(tmp_path / "engines")
    assert not list((tmp_path / "engines").rglob("built"))


@pytest.mark.cluster
def test_a_process_that_builds_twice_does_not_wait_for_itself(parts):
    assert build() is parts
