#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/engine_flags.h"
#include "cli/generation_flags.h"
#include "cli/interrupt.h"
#include "cli/prompt_flags.h"
#include "cli/strategy_flags.h"
#include "kvevict/conversation.h"

namespace kvevict::cli {

struct ChatFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  GenerationFlags generation;
  PromptFlags messages;
  std::string load, save;
  std::string document;  ///< A text, or a document that `generate --save` wrote.
  std::optional<std::int64_t> turn_tokens;
  std::string keep_reasoning = "off";
};

/// What the flags say of a conversation, but for its session.
[[nodiscard]] ConversationOptions conversation_options(const ChatFlags& flags, const Model& model,
                                                       TemplateOptions prompt_template);

/// Reads messages and commands until they end. `save_file`: written after every answer; empty: none.
void talk(Conversation& conversation, InterruptGuard& interrupt, const std::string& save_file);

/// `chat` with --document.
void run_document_chat(ChatFlags flags);

}  // namespace kvevict::cli
