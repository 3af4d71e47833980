#!/usr/bin/env bash
# Configures a preset where needed and builds a target of it, quietly: progress on a terminal, the compiler's words when it fails.
#   tools/build.sh PRESET TARGET…
# MILLRACE_UNITY=OFF: one source at a time, for a folder in which files are edited and built again and again;
# ON again: several as one unit, which takes a third to a half of the time when all of them have to be built. It is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
folder=build/$preset
[ "$preset" = bench ] && folder=build/release
mkdir -p "$folder"
cmake --preset "$preset" ${MILLRACE_UNITY:+-DMILLRACE_UNITY="$MILLRACE_UNITY"} >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log" >&2; exit 1; }
if [ -t 1 ]; then
  NINJA_STATUS="build: [%f/%t] " ninja -C "$folder" "$@"
else
  ninja -C "$folder" "$@" >"$folder/build.log" 2>&1 || { grep -vE '^\[[0-9]+/[0-9]+\]' "$folder/build.log" >&2; exit 1; }
fi
