"""The names of GPUs that SkyPilot itself knows, without its published catalogs, as JSON."""

import json

import sky.catalog

print(json.dumps(sky.catalog.get_common_gpus()))
