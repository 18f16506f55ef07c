"""Prints the folder that the package `prefect` is installed in, as JSON; null if it is not installed. Imports none of it."""

import sys

if sys.version_info < (3, 9):
    sys.exit("Python 3.9 or newer is needed, and this is " + sys.version.split()[0])
# The folder that the command runs in is no place of packages.
sys.path[:] = [entry for entry in sys.path if entry]

import importlib.metadata
import json

try:
    found = str(importlib.metadata.distribution("prefect").locate_file(""))
except importlib.metadata.PackageNotFoundError:
    found = None
print(json.dumps(found))
