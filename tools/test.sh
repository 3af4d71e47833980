#!/usr/bin/env bash
# Builds and runs the tests. --all adds the long ones.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0
failed=0
# The same cases each time, so that a change is what makes one fail; --all tries new ones.
fuzz_seconds=180
fuzz_seed="--seed 1 --cases 450"
tpch='--scale 0.02 --batches 6 --seed 2'
if [ "${1:-}" = --all ]; then
  fuzz_seconds=1800
  fuzz_seed=""
  tpch='--scale 0.1 --batches 20 --seed 1'
  export MILLRACE_KILLS=100 MILLRACE_LINES=500000 MILLRACE_READS=1000000 MILLRACE_TRIES=100000 MILLRACE_HEAVY=1
fi
# Each fuzz target of what reads bytes from outside, for ten minutes, two at a time.
long_fuzz() {
  printf '%s\n' log:RecordBatchFuzz.* schemas:SchemaFuzz.DamagedValues* schemas:SchemaFuzz.DamagedSchemas* http:RequestFuzz.* kafka:CodecFuzz.* |
    MILLRACE_FUZZ_SECONDS=600 xargs -P 2 -I {} bash -c 'module={}; "build/dev/src/${module%:*}/${module%:*}_test" --gtest_filter="${module#*:}"'
}
disk_free() { echo "disk: $(df -h --output=avail . | tail -n 1 | tr -d ' ') free"; }
tsan_units() {
  printf '%s\n' log:log:-LogModel.*:RecordBatchFuzz.*:LogPowerLoss.*:LogFaults.*:LogDamage.* state:state:-StoreFaultTest.* \
    stream:stream_engine:* kafka_groups:kafka_groups:-*Model* |
    xargs -P 2 -I {} bash -c 'IFS=: read -r folder test filter <<<"{}"; "build/tsan/src/$folder/${test}_test" --gtest_filter="$filter"'
}
# Runs one suite; its output goes to build/test-logs and is shown when it fails.
suite() {
  local name=$1 begin
  shift
  begin=$(date +%s)
  mkdir -p build/test-logs
  if "$@" >"build/test-logs/$name.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name ($(($(date +%s) - begin)) s)"
  else
    failed=$((failed + 1))
    echo "FAILED  $name ($(($(date +%s) - begin)) s)"
    grep -hE -A 8 ': Failure$|^E  |(ERROR|WARNING): (Address|Thread)Sanitizer|runtime error' "build/test-logs/$name.log" | head -n 80
    tail -n 60 "build/test-logs/$name.log"
  fi
}

disk_free
suite structure tools/check_structure.py
suite format make -s check-format
suite build-release tools/build.sh release millrace slt_runner fuzz_views tpch_views
suite build-dev tools/build.sh dev all
if [ -e build/dev/CTestTestfile.cmake ]; then
  # Leaks of DuckDB's and RocksDB's own singletons at exit are none of ours; everything else of the sanitizers is on.
  export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
  suite unit ctest --test-dir build/dev -j2 --output-on-failure
  grep -E '^ *[0-9]+/[0-9]+ Test' build/test-logs/unit.log
fi
if [ "${1:-}" = --all ]; then
  suite fuzz-targets long_fuzz
  suite power-loss env MILLRACE_LIVES=400 build/dev/src/runtime/runtime_test --gtest_filter='NodePowerLoss.*'
  suite build-alone tools/build.sh alone all
  suite build-log-histories tools/build.sh release-tests log_test
  suite log-histories env MILLRACE_HISTORIES=100000 build/release-tests/src/log/log_test --gtest_filter='LogModel.*'
fi
# Races: the modules whose threads meet, without the long tests that run again and again on one thread.
listeners=()
[ "${1:-}" = --all ] && listeners=(net kafka http)
suite build-tsan tools/build.sh tsan log_test state_test stream_engine_test kafka_groups_test "${listeners[@]/%/_test}"
if [ -e build/tsan/CTestTestfile.cmake ]; then
  export TSAN_OPTIONS=halt_on_error=1
  suite unit-tsan tsan_units
  for module in "${listeners[@]}"; do
    suite "unit-tsan-$module" "build/tsan/src/$module/${module}_test"
  done
fi
suite slt-all-regimes build/release/bin/slt_runner tests/sql
suite tpch-views build/release/bin/tpch_views $tpch
suite fuzz-views build/release/bin/fuzz_views --seconds "$fuzz_seconds" $fuzz_seed
# Two files at a time: much of a test is waiting.
clients=$(ls -d "${MILLRACE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/deps}"/python-clients-* | tail -n 1)
suite whole-program env PYTHONPATH="$clients" python3 -m pytest -q -n 2 --dist loadfile tests
disk_free
suite demo env CI=1 tools/demo.sh
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
