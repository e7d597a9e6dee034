"""Beam's options: which engine runs the job, and its flags."""

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from hs.errors import UsageError
from hs.text import did_you_mean

_RUNNERS = StandardOptions.KNOWN_RUNNER_NAMES


def beam_options(configured: Mapping[str, Any], flags: Sequence[str]) -> PipelineOptions:
    """Beam's options from the configuration's `beam` section and the command line, which wins.

    `DirectRunner` becomes `FnApiRunner`, the engine inside it: by itself it first tries to download another one.

    Raises:
        UsageError: if Beam knows no such flag or runner.
    """
    written = [flag for key, value in configured.items() for flag in _flags_of(key, value)] + list(flags)
    # Beam's own class: some of its options are of a kind that only this one knows.
    parser = beam.options.pipeline_options._BeamArgumentParser(allow_abbrev=False, exit_on_error=False)
    for section in (PipelineOptions, *PipelineOptions.__subclasses__()):
        section._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(written)  # by itself Beam only logs what it does not know, and goes on
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        close = did_you_mean(unknown[0].partition("=")[0], known).partition("; known are")[0]  # Beam has hundreds
        raise UsageError(f"neither hs-audit nor Beam knows the flag {unknown[0]}{close}")
    options = PipelineOptions(written)
    runner = options.get_all_options()["runner"]
    if runner in (None, "DirectRunner", "direct"):
        return PipelineOptions([*written, "--runner=FnApiRunner"])
    # A dotted name is a class that Beam imports: its list need not have it.
    if "." not in runner and runner.lower() not in {name.lower() for name in _RUNNERS}:
        raise UsageError(f"there is no runner {runner!r}{did_you_mean(runner, _RUNNERS)}")
    return options


def _flags_of(key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []  # Beam's switches take no value
    values = value if isinstance(value, list) else [value]
    return [f"--{key}={each}" for each in values]
