"""What SkyPilot finds wrong with an image of a cloud's machines, before it asks the cloud for its size. Reads
fields of `resources` as a JSON list from standard input, answers in JSON.
"""

import json
import sys
from unittest import mock

import sky


def refusal(resources):
    try:
        found = sky.Resources.from_yaml_config(resources)
        for one in found if isinstance(found, (set, list)) else [found]:
            with mock.patch.object(type(one.cloud or sky.AWS()), "get_image_size", return_value=1):
                one._try_validate_image_id()
        return None
    except Exception as error:  # whatever SkyPilot raises is its refusal
        return str(error) or type(error).__name__


print(json.dumps([refusal(one) for one in json.load(sys.stdin)]))
