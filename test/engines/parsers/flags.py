"""The flags of a program, as its own parsers have them.

A parser is noted when it is asked to parse, which an unknown flag makes all of a program's do before any of
them looks at a model.
"""

import argparse
import re
import sys
from typing import Any, Callable

_noted: list[argparse.ArgumentParser] = []
_parse_known_args = argparse.ArgumentParser.parse_known_args


def _note(self: argparse.ArgumentParser, *args: Any, **more: Any) -> Any:
    _noted.append(self)
    return _parse_known_args(self, *args, **more)


def flags_of(parse: Callable[[list[str]], Any]) -> dict[str, Any]:
    """What `config/flags.ts` describes, of the program that `parse` reads the command line of."""
    _noted.clear()
    argparse.ArgumentParser.parse_known_args = _note  # type: ignore[method-assign, assignment]
    try:
        parse(["--no-such-flag"])
    except (SystemExit, ValueError):
        pass
    finally:
        argparse.ArgumentParser.parse_known_args = _parse_known_args  # type: ignore[method-assign]
    return _table([action for parser in _noted for action in parser._actions if action.option_strings])


def parse_frontend(argv: list[str]) -> Any:
    """A frontend's parser reads the command line of its process."""
    from dynamo.frontend.main import parse_args

    before = sys.argv
    sys.argv = ["dynamo.frontend", *argv]
    try:
        return parse_args()
    finally:
        sys.argv = before


def parse_mocker(argv: list[str]) -> Any:
    from dynamo.mocker.args import parse_args

    return parse_args(argv)


def _table(actions: list[argparse.Action]) -> dict[str, Any]:
    named = {flag: action for action in reversed(actions) for flag in action.option_strings}
    variable = re.compile(r"env var: (\w+)")
    variables = {
        found.group(1): action.option_strings[0]
        for action in actions
        if (found := variable.search(action.help if isinstance(action.help, str) else ""))
    }
    return {
        "flags": {flag: _values(named[flag]) for flag in sorted(named)},
        "aliases": {
            flag: action.option_strings[0]
            for flag, action in sorted(named.items())
            if flag != action.option_strings[0]
        },
        "variables": dict(sorted(variables.items())),
    }


def _values(action: argparse.Action) -> str:
    if isinstance(action, (argparse._HelpAction, argparse._VersionAction)):
        return "exits"
    if action.nargs == 0:
        return "none"
    if action.nargs is not None:
        return "at most one" if action.nargs == "?" else "several"
    is_json = _takes_json(action.type) or action.option_strings[0].startswith("--json-")
    return "JSON" if is_json else "one"


def _takes_json(kind: Any) -> bool:
    """Whether a flag's value has to be JSON: its type says so of other text, of a path too."""
    return callable(kind) and all(
        re.search("json|expecting value|function loads", _refusal(kind, text), re.IGNORECASE)
        for text in ("x", "/x")
    )


def _refusal(kind: Callable[[str], Any], text: str) -> str:
    try:
        kind(text)
    except Exception as refusal:  # each type has an error of its own
        return str(refusal)
    return ""
