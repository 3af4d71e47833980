// The command line: `millrace COMMAND …`. Each command is one file; this is the table of them.
#pragma once

namespace millrace::cli {

// Exit status: 0 done, 1 it failed (the error is on standard error), 2 the command line is wrong.
int Main(int argc, char** argv);

}  // namespace millrace::cli
