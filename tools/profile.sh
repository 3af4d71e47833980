#!/usr/bin/env bash
# Takes a CPU profile of a benchmark: where its CPU time goes, by thread and library, then by function.
#   tools/profile.sh bench_nexmark --query q4 --events 2000000
# The list is printed and kept as build/profile.txt; `perf report -i build/profile.data` shows callers.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
shift
if ! perf --version >/dev/null 2>&1; then
  if [ "$(id -u)" != 0 ]; then
    echo "perf is missing: apt-get install linux-perf" >&2
    exit 1
  fi
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq linux-perf; } >/dev/null
fi
tools/build.sh bench "$program"
# The processor's own counters are rare in virtual machines: the clock is there everywhere. Frame pointers are compiled in.
perf record -q -e cpu-clock -F 999 -g -o build/profile.data -- "build/release/bin/$program" "$@"
shares() {
  perf report -i build/profile.data --no-children -g none --stdio "$@" 2>/dev/null | grep -vE '^(#.*)?$'
}
{
  shares --sort comm,dso --percent-limit 2
  echo
  shares --percent-limit 0.5
} | tee build/profile.txt
