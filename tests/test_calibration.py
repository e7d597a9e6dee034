import numpy as np
import pytest
from scipy.special import softmax

from model.measures import calibration_error
from model.training.calibration import fit_calibration, fit_temperature


def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, C] whose softmax is calibrated, and labels [N] drawn from it."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 10)) * 4
    labels = np.array([random.choice(10, p=row) for row in softmax(logits, axis=1)])
    return logits, labels


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_how_much_too_sure_a_network_is(too_sure):
    logits, labels = predictions()

    temperature = fit_temperature(logits * too_sure, labels)

    assert temperature == pytest.approx(too_sure, rel=0.05)
    assert calibration_error(softmax(logits * too_sure / temperature, axis=1), labels) < 0.02


def test_a_power_tells_those_that_are_close_behind_from_those_that_are_far():
    logits, labels = predictions()
    behind = logits.max(axis=1, keepdims=True) - logits

    calibration, held_out = fit_calibration(-np.sqrt(behind), labels, np.arange(4000) % 3)

    assert calibration.power == pytest.approx(2, rel=0.1)
    assert calibration_error(held_out, labels) < 0.02
    temperature = fit_temperature(-np.sqrt(behind), labels)
    assert calibration_error(softmax(-np.sqrt(behind) / temperature, axis=1), labels) > 0.03


def confident_mistakes() -> tuple[np.ndarray, np.ndarray]:
    """Logits that are sure of a class, right nine times in ten, and otherwise of its one look-alike."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 3000)
    taken_for = np.where(random.random(3000) < 0.9, labels, labels ^ 1)
    return 8 * np.eye(10)[taken_for] + random.normal(size=(3000, 10)), labels


def test_what_is_known_to_be_confused_keeps_some_of_the_probability():
    logits, labels = confident_mistakes()

    calibration, held_out = fit_calibration(logits, labels, np.arange(3000) % 3)

    taken_for_0 = calibration(8 * np.eye(10)[:1])[0]
    assert taken_for_0.sum() == pytest.approx(1)
    assert taken_for_0[1] > 4 * taken_for_0[2:].max()
    assert calibration_error(held_out, labels) < 0.02


def test_a_few_held_out_pictures_leave_the_probabilities_whole():
    calibration, held_out = fit_calibration(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 1]), np.array([0, 0]))

    np.testing.assert_allclose(calibration.confusion.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(held_out.sum(axis=1), 1, rtol=1e-6)


def test_predictions_without_a_mistake_leave_finite_probabilities():
    labels = np.arange(9) % 3
    logits = (0.4 * np.eye(3)[labels] - 0.2 + 0.01 * np.random.default_rng(0).normal(size=(9, 3))).astype(np.float32)

    calibration, held_out = fit_calibration(logits, labels, np.arange(9) // 3)

    assert 0.01 < calibration.temperature < 100
    assert 0.4 < calibration.power < 3.1
    assert np.isfinite(held_out).all()
