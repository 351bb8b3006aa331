"""An argument parser whose errors suggest what may have been meant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from xpnet.cli.settings import runs_in
from xpnet.data.suggest import did_you_mean

_OTHER_NAMES = {  # names of the same options in other programs
    "--learning-rate": "--lr", "--wd": "--weight-decay", "--bs": "--batch-size", "--layers": "--hidden",
    "--width": "--hidden", "--device": "--backend", "--output": "--out", "--scheduler": "--schedule",
    "--data": "--data-dir", "--metrics": "--metric", "--l2": "--weight-decay",
}  # fmt: skip
_SHORT = 4  # lines: a usage up to this long is shown after an error


class Parser(argparse.ArgumentParser):
    """argparse's parser with short errors that suggest what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """As argparse does, but without a long usage, and with existing runs listed if the run's folder is missing."""
        usage = self.format_usage()
        short = self.usage is None and usage.count("\n") <= _SHORT
        more = usage if short else f"{self.prog} --help shows all options\n"
        if "required: RUN" in message and (known := runs_in(Path("runs"))):
            message += f"; there are runs here: {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
        self.exit(2, f"xpnet: error: {message}\n{more}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but each command refuses unknown arguments itself and suggests what may have been meant."""
        self._check_order(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return found, unknown

    def _check_order(self, args: Any) -> None:
        """Report an option that was given before its command."""
        commands = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        if not commands or not args or not args[0].startswith("-") or args[0] in self._option_string_actions:
            return
        named = [text for text in args if text in (commands[0].choices or ())]
        if named:
            rest = list(args)
            rest.remove(named[0])
            self.error(f"the command goes before its options: xpnet {named[0]} {' '.join(rest)}")

    def _meant(self, unknown: Sequence[str]) -> str:
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for text in unknown:
            name = text.partition("=")[0].replace("_", "-")
            if not name.startswith("-") or name.lstrip("-")[:1].isdigit():
                continue
            name = f"--{name.lstrip('-')}"
            other = _OTHER_NAMES.get(name)
            return f"; did you mean {other!r}?" if other in options else did_you_mean(name, options)
        return ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{near}") from None


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # the object to which a command adds its own parser
