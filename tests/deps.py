"""Where tools/setup.sh puts what it installs. Its Python clients can be imported by whoever imports this."""
import os
import pathlib
import sys

DEPS = pathlib.Path(os.environ.get("MILLRACE_DEPS") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "millrace" / "deps")

sys.path[:0] = map(str, [*sorted(DEPS.glob("python-clients-*"))[-1:], *sorted(DEPS.glob("pg-clients-*"))[-1:]])
