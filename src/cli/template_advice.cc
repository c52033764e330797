#include "cli/template_advice.h"

#include "kvevict/error.h"

namespace kvevict::cli {

void with_template_advice(const std::string& advice, const std::function<void()>& command) {
  try {
    command();
  } catch (const Error& error) {
    if (error.field() != "chat_template") throw;
    throw Error(error.code(), error.what() + (": " + advice), error.field());
  }
}

}  // namespace kvevict::cli
