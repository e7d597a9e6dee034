"""Beam's options: which engine runs the job, and its flags."""

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from hs.errors import UsageError


def beam_options(configured: Mapping[str, Any], flags: Sequence[str]) -> PipelineOptions:
    """Beam's options from the configuration's `beam` section and the command line, which wins.

    `DirectRunner` becomes `FnApiRunner`, the engine inside it: by itself it first tries to download another one.

    Raises:
        UsageError: if Beam knows no such flag.
    """
    written = [flag for key, value in configured.items() for flag in _flags_of(key, value)] + list(flags)
    parser = beam.options.pipeline_options._BeamArgumentParser(allow_abbrev=False, exit_on_error=False)
    for section in (PipelineOptions, *PipelineOptions.__subclasses__()):
        section._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(written)
    if unknown:
        raise UsageError(f"neither hs-audit nor Beam knows the flag {unknown[0]}")
    options = PipelineOptions(written)
    runner = options.get_all_options()["runner"]
    if runner in (None, "DirectRunner", "direct"):
        options = PipelineOptions([*written, "--runner=FnApiRunner"])
    return options


def _flags_of(key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []
    values = value if isinstance(value, list) else [value]
    return [f"--{key}={each}" for each in values]
