"""Answers requests on standard input, one JSON object per line, with an engine's interpretation of a command
line, or with the flags of a program.

Request: {"id": 1, "program": "vllm", "argv": ["--model", ...], "env": {"NAME": "value"}} Answer: {"id": 1,
"facts": {...}} or {"id": 1, "refused": "why"}; without facts for a program that every engine has
Request: {"id": 1, "flags": "vllm"} Answer: {"id": 1, "table": {...}, "variables": [...], "connectors": [...]}

Importing an engine takes most of a minute, parsing a command line milliseconds: so one process serves all
requests. Standard output is reserved for answers; output of an engine goes to standard error. Import this
before the engine.
"""

import argparse
import contextlib
import json
import os
import sys
from typing import Any, Callable, Iterable, Iterator

from flags import flags_of, parse_frontend, parse_mocker

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def _raise(_parser: argparse.ArgumentParser, message: str) -> None:
    """argparse prints an error and exits; here it is returned as an answer."""
    raise ValueError(message)


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def serve(
    parse: Callable[[list[str]], dict[str, Any]],
    variables: Iterable[str] = (),
    connectors: Iterable[str] = (),
) -> None:
    """Reads requests until standard input is closed. `parse` returns the facts of a command line, or
    raises. `variables`: names of all that the engine reads from its environment. `connectors`: of all that
    move or keep KV blocks."""
    programs = {"frontend": parse_frontend, "mocker": parse_mocker}
    argparse.ArgumentParser.error = _raise  # type: ignore[method-assign, assignment]
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]}
        if "flags" in request:
            answer["table"] = flags_of(programs.get(request["flags"], parse))
            answer["variables"] = sorted(variables)
            answer["connectors"] = sorted(connectors)
        try:
            if "argv" in request:
                with _environment(request["env"]):
                    if other := programs.get(request["program"]):
                        other(request["argv"])
                    else:
                        answer["facts"] = parse(request["argv"])
        except SystemExit as stop:
            answer["refused"] = f"the parser ended the process with {stop.code}"
        except Exception as error:  # whatever the engine raises is its refusal
            answer["refused"] = f"{type(error).__name__}: {error}"
        _answers.write(json.dumps(answer) + "\n")
        _answers.flush()
