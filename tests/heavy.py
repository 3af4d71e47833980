"""Packages too large for `make test`: `make test-all` sets MILLRACE_HEAVY=1, and they are installed when a test first asks for them."""
import os
import subprocess
import sys

import pytest

from deps import DEPS


def installed(name, packages):
    """The folder of a virtual environment that has them. Skips the test where heavy ones are not wanted."""
    if os.environ.get("MILLRACE_HEAVY") != "1":
        pytest.skip(f"{name} is large: MILLRACE_HEAVY=1, as make test-all sets it")
    folder = DEPS / name
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", *packages], check=True, timeout=900, env={**os.environ, "PYTHONPATH": ""})
        (folder / "complete").touch()
    return folder
