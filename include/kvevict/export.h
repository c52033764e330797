#pragma once

/// What a shared library shows to others; everything else in it is hidden. It stands before the name of the
/// namespace (`namespace KVEVICT_PUBLIC kvevict {`) and holds for every class and function that the block
/// declares, so that a public header needs the one word and its declarations none.
#if defined(__GNUC__)
#define KVEVICT_PUBLIC [[gnu::visibility("default")]]
#define KVEVICT_PRIVATE [[gnu::visibility("hidden")]]  ///< For a private class that a public one names.
#else
#define KVEVICT_PUBLIC
#define KVEVICT_PRIVATE
#endif
