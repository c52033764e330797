#pragma once

namespace kvevict {

/// Runs the program `kvevict` on these arguments, as its `main` does. Policies that were registered before
/// (`registry.h`) are in every command. Prints, and sets handlers for Ctrl-C. Returns the exit code: 0, 1 for
/// an error at run time, 2 for a bad request, 130 if Ctrl-C stopped a run. Never throws. One call at
/// a time. With --poll it starts the program itself again, once: call it before what must not be done twice.
/// Needs the library of the command line (`kvevict_cli`), which is not installed.
int run_command_line(int argc, char** argv);

}  // namespace kvevict
