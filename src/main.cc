#include "cli/cli.h"

int main(int argc, char** argv) {
  return kvevict::cli::run(argc, argv);
}
