"""SkyPilot's own command that copies a bucket to a node: the URL and the directory are its arguments."""

import sys

from sky import cloud_stores

source, destination = sys.argv[1:]
print(cloud_stores.get_storage_from_path(source).make_sync_dir_command(source, destination))
