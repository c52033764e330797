#pragma once

#include "cli/longbench_job.h"

namespace kvevict::cli {

/// Runs the job and writes its results, example by example to a journal beside the output, at the end to
/// the output. A journal or an output of the same configuration is continued. Without --output an unfinished
/// run of the same configuration in results/ is continued, else a new file is named by the time.
/// Prints the table at the end, whatever the end was. Errors: those of the run; kInvalidArgument if the
/// output belongs to another configuration.
void run_and_report(const LongBenchFlags& flags, eval::LongBenchJob& job, const ChosenData& data);

/// Throws as early as possible if the output could not be written.
void check_output(const LongBenchFlags& flags);

}  // namespace kvevict::cli
