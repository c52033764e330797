#include "cli/result_files.h"

#include "results/results.h"

namespace kvevict::cli {

ResultFiles read_result_files(const std::vector<std::string>& files) {
  eval::NamedResults read;
  ResultFiles all;
  for (const std::string& file : files) {
    if (plot::is_needle_file(file)) {
      all.needles.push_back(plot::read_needle_picture(file));
    } else {
      read.names.push_back(file);
      read.files.push_back(eval::read_results(file));
    }
  }
  all.results = eval::join_by_dataset(std::move(read));
  return all;
}

}  // namespace kvevict::cli
