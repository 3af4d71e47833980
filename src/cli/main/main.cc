#include "cli/cli.h"

// jemalloc's: freed memory goes back to the system within seconds also while nothing happens.
// NOLINTNEXTLINE: the name is jemalloc's
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true";

int main(int argc, char** argv) { return millrace::cli::Main(argc, argv); }
