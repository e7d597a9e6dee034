"""Which model answers, as the commands that ask one take it: a server, or a model that is served for the command."""

import argparse
from typing import TYPE_CHECKING

from hs.errors import UsageError
from hs.storage.location import Location
from hs_audit.extras import require_extra

if TYPE_CHECKING:
    from pipeline.config import Config


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--server", metavar="HOST:PORT", help="model server, instead of the configured one")
    model.add_argument(
        "--saved-model",
        type=Location.parse,
        metavar="MODEL",
        help="serve this one for the run, on this machine (default: none)",
    )
    parser.add_argument("--trust-model", action="store_true", help="serve it even if it holds more than arithmetic")


def require_a_server(args: argparse.Namespace, config: "Config", for_what: str) -> None:
    """Sees that there is a model to ask.

    Raises:
        UsageError: if none is named, or what serves it here is not installed.
    """
    if args.saved_model is None and config.server.address is None:
        where = f"in {args.config}" if args.config else "in the --config"
        raise UsageError(f"no model: give --server or --saved-model, or server.address {where}")
    if args.saved_model:
        require_extra("serve", for_what)
