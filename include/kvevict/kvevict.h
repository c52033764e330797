#pragma once

/// All of kvevict at once: policies and plans, plain tensors, sessions and caches of llama.cpp. It needs
/// neither llama.h nor any other header of a third party; what is linked decides what can be called
/// (docs/embedding.md).

#include "kvevict/bounded_schedule.h"
#include "kvevict/conversation.h"
#include "kvevict/dlpack.h"
#include "kvevict/dynamic_cache.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "kvevict/keep_plan.h"
#include "kvevict/keep_set.h"
#include "kvevict/kv_buffer.h"
#include "kvevict/kv_view.h"
#include "kvevict/llama_cache.h"
#include "kvevict/memory.h"
#include "kvevict/model.h"
#include "kvevict/modes.h"
#include "kvevict/policy.h"
#include "kvevict/policy_state.h"
#include "kvevict/prompt_template.h"
#include "kvevict/registry.h"
#include "kvevict/rerotate.h"
#include "kvevict/sampling.h"
#include "kvevict/session.h"
#include "kvevict/session_file.h"
#include "kvevict/session_options.h"
#include "kvevict/simple_evict.h"
#include "kvevict/strategy_spec.h"
#include "kvevict/token_stream.h"
#include "kvevict/version.h"
