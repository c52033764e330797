// A chat of two turns that prints each answer while the model makes it. Every token is decoded once: the
// second turn goes on from the cache that the first turn left.
//
//   05_two_turn_chat MODEL.gguf FIRST_MESSAGE SECOND_MESSAGE
#include <iostream>

#include "kvevict/conversation.h"
#include "kvevict/error.h"

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: 05_two_turn_chat MODEL.gguf FIRST_MESSAGE SECOND_MESSAGE\n";
    return 1;
  }
  const auto model = kvevict::Model::load({.path = argv[1]});
  kvevict::Conversation chat(model, kvevict::make_policy("sink_recent:64:448"),
                             {.system = "You are a helpful assistant.", .max_new_tokens = 64});
  for (const char* message : {argv[2], argv[3]}) {
    std::cout << "> " << message << "\n";
    chat.answer(message, [](std::string_view text) { std::cout << text << std::flush; });
    std::cout << "\n";
  }
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
