"""The command line: `hs-audit COMMAND …`. Each command's module is imported only when it is called."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hs.errors import AuditError, Interrupted
from hs.text import did_you_mean, printable
from hs_audit.extras import require_extra, require_messages
from hs_audit.flag_values import refuse


@dataclass(frozen=True)
class Command:
    """A subcommand: a module of `commands/`, named as it is typed, with `add_arguments(parser)` and `run(args)`.

    Attributes:
        help: one line.
        passes_flags_on: whether flags that it does not know are Beam's.
        needs: the extra of the distribution without which it cannot work; `messages` for TensorFlow Serving's.
        answers: whether it takes `--json` and fills `args.answer`.
    """

    help: str
    passes_flags_on: bool = False
    needs: str | None = None
    answers: bool = False


COMMANDS = {
    "demo": Command("all of it, small and offline, in under four minutes", needs="all"),
    "run": Command("the nightly audit", passes_flags_on=True, needs="messages", answers=True),
    "serve": Command("the bundled model server", needs="serve"),
    "train": Command("train, calibrate and export a classifier", needs="train"),
    "dataset": Command("draw a data set from cases, also the paper's", needs="train"),
    "evaluate": Command("what a classifier is worth on cases that it has not seen", needs="train", answers=True),
    "experiment": Command("a grid of trainings, also the paper's, side by side", needs="train"),
    "worklist": Command("choose anew what officers should open, within a budget", answers=True),
    "explain": Command("print the whole decision on one declaration"),
    "replay": Command("score one finding again, and say what differs", needs="messages", answers=True),
    "diff": Command("what is new, gone or changed between two runs, and why", answers=True),
    "score": Command("compare a run with what is known to be true", answers=True),
    "feedback": Command("file what officers decided: truth, cases to learn from, and settled matters"),
    "recalibrate": Command("redraw a classifier's thresholds from what officers decided", needs="train"),
    "report": Command("write the page that officers open, again"),
    "files": Command("the files of a run that stand now, for anything that reads Parquet"),
    "check archive": Command("what is wrong with the Parquet files of a night, before it is lost", answers=True),
    "check cases": Command(
        "which rulings to look at again before a classifier learns from them", needs="train", answers=True
    ),
    "check model": Command(
        "whether an exported classifier keeps the contract and holds nothing but arithmetic",
        needs="train",
        answers=True,
    ),
    "check server": Command(
        "what a model server has, what it can do, and what to change", needs="messages", answers=True
    ),
    "config": Command("print a commented configuration to start from"),
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
    for words in (2, 1):
        if (name := " ".join(arguments[:words])) in COMMANDS:
            return _run(name, arguments[words:])
    return _no_such_command(arguments)


def _no_such_command(arguments: list[str]) -> int:
    """Exit 2, unless help was asked for with the first word of several commands, as in `check --help`."""
    family = {name: command for name, command in COMMANDS.items() if name.split()[0] == arguments[0]}
    if family and arguments[1:2] in (["-h"], ["--help"]):
        print(_overview(family))
        return 0
    wanted = " ".join(arguments[: 2 if family else 1])
    close = did_you_mean(wanted, list(COMMANDS)).partition("; known are")[0]  # what there is stands below
    sentence = f"hs-audit: there is no command {printable(repr(wanted))}{close}"
    print(f"{sentence}\n\n{_overview(family or COMMANDS)}", file=sys.stderr)
    return 2


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # read as Arrow loads, see pipeline.job.memory
    if command.answers and "--json" in arguments:
        from hs_audit.json_answer import SentenceParser, answered

        return answered(name, lambda answer: _call(name, arguments, SentenceParser, answer))
    try:
        return _call(name, arguments, argparse.ArgumentParser, {})
    except AuditError as error:
        print(f"hs-audit {name}: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"hs-audit {name}: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone, as in `hs-audit config nightly | head`
        return 0


def _call(name: str, arguments: list[str], parser_class: type[argparse.ArgumentParser], answer: dict[str, Any]) -> int:
    """Runs a command, which may put into `answer` what programs shall know."""
    command = COMMANDS[name]
    _require(command.needs, f"hs-audit {name}")
    module = importlib.import_module(f"hs_audit.commands.{name.replace(' ', '_')}")
    parser = parser_class(
        f"hs-audit {name}",
        description=module.__doc__,
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if command.answers:
        parser.add_argument("--json", action="store_true", help="print one JSON object, and the rest on stderr")
    parsed, rest = parser.parse_known_args(arguments)
    if rest and not command.passes_flags_on:
        flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
        parser.error(f"there is no argument {rest[0]}{did_you_mean(rest[0].partition('=')[0], flags)}")
    if command.passes_flags_on:
        parsed.beam_flags = rest
    parsed.answer = answer
    refuse(parser, parsed)
    return int(module.run(parsed))


def _require(needs: str | None, for_what: str) -> None:
    """Before the command's module is imported, which would end in a traceback."""
    if needs == "messages":
        require_messages(for_what)
    elif needs:
        require_extra(needs, for_what)


def _overview(commands: dict[str, Command] = COMMANDS) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in commands.items()]
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
