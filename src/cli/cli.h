#pragma once

namespace kvevict::cli {

/// Runs the command line and returns the exit code: 0, 1 for a run-time error, 2 for a usage error,
/// 130 where Ctrl-C stopped a run.
int run(int argc, char** argv);

}  // namespace kvevict::cli
