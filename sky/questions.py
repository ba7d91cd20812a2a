"""Runs many `sky` commands in one process: loading SkyPilot takes seconds, asking its API server takes milliseconds.

Runs with the interpreter that `sky` itself runs with. Each line of standard input is a JSON list of arguments, as on a
command line; each line of standard output is the answer to one: {"code": …, "stdout": …, "stderr": …}.

An object {"prices": [tasks]} is answered in the same form, with JSON on "stdout" (`prices.py`).

An object {"become": [arguments], "env": {…}} is the last line: the process becomes that command, with its output as it is.
"""

import json
import os
import sys

from click.testing import CliRunner
from prices import prices_of


def runner():
    try:
        return CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 always keeps them apart
        return CliRunner()


def main():
    # What SkyPilot prints past click must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from sky.client.cli.command import cli

    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        if isinstance(asked, dict) and "prices" in asked:
            answer = {"code": 0, "stdout": json.dumps(prices_of(asked["prices"])), "stderr": ""}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
            continue
        if isinstance(asked, dict):
            os.dup2(answers.fileno(), 1)
            os.environ.update(asked["env"])
            sys.exit(cli(asked["become"], prog_name="sky"))
        result = runner().invoke(cli, asked)
        stderr = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            # As `sky` itself shows it: the class tells what kind of failure it is.
            error = result.exception
            stderr += "\n%s.%s: %s" % (type(error).__module__, type(error).__name__, error)
        answer = {"code": result.exit_code, "stdout": result.stdout, "stderr": stderr}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
