"""Unpacks a wheel, the first argument, into the folder that is the second; runs nothing of it."""

import sys
import zipfile

MOST = 256 * 1024 * 1024

try:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        if sum(entry.file_size for entry in wheel.infolist()) > MOST:
            sys.exit("it is far too large")
        # Leaves out what would lead out of the folder (Python: "ZipFile.extract").
        wheel.extractall(sys.argv[2])
except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as error:
    sys.exit(str(error) or type(error).__name__)
