"""What a launch would fail at, by SkyPilot's own checks: reads cases as JSON from standard input, `{"infra":
[…], "enabled": […]}`.

The clouds that an API server has found access to are given, so that none has to be started.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "sky"))
from access import obstacles_of


class Enabled:
    def __init__(self, known):
        self.known = known

    def names(self):
        return set(self.known)


print(json.dumps([obstacles_of(case["infra"], Enabled(case["enabled"])) for case in json.load(sys.stdin)]))
