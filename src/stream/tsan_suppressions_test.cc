// DuckDB and RocksDB come as libraries that are not built for the thread sanitizer, which therefore
// does not see the atomics by which their threads agree and takes what they guard for races. Races
// in our own code, which have no frame of those libraries in either stack, are reported all the
// same.

extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:libduckdb.so\n"   // its task scheduler and reference counts
         "race:librocksdb.so\n"  // reference counts of versions and blocks
      ;
}
