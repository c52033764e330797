#include <exception>
#include <new>
#include <string>

#include "c/guard.h"

namespace kvevict::c {
namespace {

thread_local std::string last_text;
thread_local const char* last_sentence = "";

/// The sentence is kept without an exception even if there is no memory for it.
void remember(const char* sentence) noexcept {
  try {
    last_text = sentence;
    last_sentence = last_text.c_str();
  } catch (...) {
    last_sentence = "there was no memory for the sentence that says what went wrong";
  }
}

kvevict_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return KVEVICT_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return KVEVICT_NOT_FOUND;
    case ErrorCode::kBadData:
      return KVEVICT_BAD_DATA;
    case ErrorCode::kUnsupported:
      return KVEVICT_UNSUPPORTED;
    case ErrorCode::kOutOfMemory:
      return KVEVICT_OUT_OF_MEMORY;
    case ErrorCode::kIo:
      return KVEVICT_IO;
    case ErrorCode::kCancelled:
      return KVEVICT_CANCELLED;
    case ErrorCode::kEngine:
      return KVEVICT_ENGINE;
  }
  return KVEVICT_INTERNAL;
}

}  // namespace

kvevict_status status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    remember(error.what());
    return status_of(error.code());
  } catch (const std::bad_alloc&) {
    remember("there is not enough memory for what was asked");
    return KVEVICT_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    remember(error.what());
  } catch (...) {
    remember("an exception of an unknown type was thrown");
  }
  return KVEVICT_INTERNAL;
}

}  // namespace kvevict::c

const char* kvevict_last_error(void) {
  return kvevict::c::last_sentence;
}
