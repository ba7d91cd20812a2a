"""Dynamo's mocker with a parser of what it thinks, for which it has no flag.

Arguments: `--dyn-reasoning-parser`, its name, and then the mocker's own.
"""

import sys

from dynamo.mocker import main as mocker

flag, parser = sys.argv[1:3]
assert flag == "--dyn-reasoning-parser"
del sys.argv[1:3]
usual = mocker.build_runtime_config


def with_parser(arguments):
    block_size, config = usual(arguments)
    config.reasoning_parser = parser
    return block_size, config


mocker.build_runtime_config = with_parser
mocker.main()
