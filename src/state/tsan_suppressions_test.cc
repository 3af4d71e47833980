// RocksDB comes as a library that is not built for the thread sanitizer, which therefore does not
// see the atomics by which its threads agree (reference counts of versions and blocks) and takes
// what they guard for races. Races in our own code, which have no frame of that library in either
// stack, are reported all the same.

extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() { return "race:librocksdb.so\n"; }
