"""`import hs_audit`: what other programs may rely on."""

import subprocess
import sys
from pathlib import Path

import pytest

import hs_audit
from hs.errors import AuditError

PROMISED = {
    "Client", "Connection", "Answer", "ServedModel", "HSCode", "parse_declared_code", "Judge", "decode",
    "ClassTable", "Thresholds", "Evidence", "PictureSize", "PictureLimits", "AuditError",
}  # fmt: skip


def errors(kind: type[AuditError] = AuditError) -> set[str]:
    return {kind.__name__}.union(*map(errors, kind.__subclasses__()))


def test_the_face_has_what_is_promised_and_every_error_of_ours():
    assert set(hs_audit.__all__) == PROMISED | errors()
    assert hs_audit.__all__ == sorted(hs_audit.__all__)


@pytest.mark.parametrize("name", hs_audit.__all__)
def test_every_name_is_there(name):
    assert getattr(hs_audit, name).__name__ == name
    assert name in dir(hs_audit)


def test_a_name_that_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match="module 'hs_audit' has no attribute 'Clint'"):
        hs_audit.Clint  # noqa: B018  # the access is what is tested


def test_the_face_costs_next_to_nothing_and_tells_its_types():
    script = "import time; started = time.process_time(); import hs_audit; print(time.process_time() - started)"

    cpu_s = float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)

    assert cpu_s < 0.3
    assert (Path(hs_audit.__file__).parent / "py.typed").exists()
