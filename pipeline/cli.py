"""The command line: `hs-audit COMMAND …`. Each command's module is imported only when it is called."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.rules.errors import AuditError, Interrupted
from pipeline.terminal import printable


@dataclass(frozen=True)
class Command:
    """A subcommand: its module has `add_arguments(parser)` and `run(arguments)`, which returns the exit code."""

    module: str
    help: str
    passes_flags_on: bool = False


COMMANDS = {
    "demo": Command("pipeline.demo.command", "all of it, small and offline, in under four minutes"),
    "run": Command("pipeline.run", "the nightly audit", passes_flags_on=True),
    "serve": Command("serving.server", "the bundled model server"),
    "train": Command("model.train", "train, calibrate and export a classifier"),
    "dataset": Command("model.dataset", "draw a data set from cases, also the paper's"),
    "evaluate": Command("model.evaluate", "what a classifier is worth on cases that it has not seen"),
    "experiment": Command("model.experiment", "a grid of trainings, also the paper's, side by side"),
    "worklist": Command("pipeline.worklist_command", "choose anew what officers should open, within a budget"),
    "explain": Command("pipeline.explain", "print the whole decision on one declaration"),
    "score": Command("pipeline.score", "compare a run with what is known to be true"),
    "report": Command("pipeline.report", "write the page that officers open, again"),
    "check": Command("pipeline.check", "tell what is wrong before a night is lost"),
    "config": Command("pipeline.config_command", "print a commented configuration to start from"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; what the user can mend is one sentence on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"hs-audit {version('hs-audit')}")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"hs-audit: there is no command {arguments[0]!r}\n\n{_overview()}", file=sys.stderr)
        return 2
    return _run(arguments[0], arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # see pipeline.memory; Arrow reads it as it is loaded
    module = importlib.import_module(command.module)
    parser = argparse.ArgumentParser(f"hs-audit {name}", description=module.__doc__, allow_abbrev=False)
    module.add_arguments(parser)
    parsed, rest = parser.parse_known_args(arguments)
    if rest and not command.passes_flags_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if command.passes_flags_on:
        parsed.beam_flags = rest
    try:
        return module.run(parsed)
    except AuditError as error:
        print(f"hs-audit {name}: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"hs-audit {name}: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone, as in `hs-audit config nightly | head`
        return 0


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: hs-audit COMMAND …", "", *lines, "", "`hs-audit COMMAND --help` tells its flags."])


def entry_point() -> None:
    """The console script."""
    code = main()
    if code == Interrupted.exit_code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads that wait for a server must not hold up a Ctrl-C
    sys.exit(code)


if __name__ == "__main__":
    entry_point()
