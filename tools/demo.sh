#!/usr/bin/env bash
# Runs examples/shop on its real data: starts a node, loads the order lines (2 % of them twice, 5 % out of order), prints the answers and
# the books, compares both with what they have to be, and on a terminal goes on serving until Ctrl-C.
# Exit status: 0, or 1 where an answer or the books were wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tools/demo.py "$@"
