// Asks a model one question.
//
//   04_one_question MODEL.gguf QUESTION
#include <iostream>

#include "kvevict/conversation.h"
#include "kvevict/error.h"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: 04_one_question MODEL.gguf QUESTION\n";
    return 1;
  }
  kvevict::Conversation chat(kvevict::Model::load({.path = argv[1]}),
                             kvevict::make_policy("sink_recent:64:448"));
  chat.answer(argv[2], [](std::string_view text) { std::cout << text << std::flush; });
  std::cout << "\n";
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
