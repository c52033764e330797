# KVEVICT_VERSION: what include/kvevict/version.h says, so that the two cannot disagree.

set(KVEVICT_VERSION "")
foreach(part MAJOR MINOR PATCH)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../include/kvevict/version.h line REGEX "^#define KVEVICT_VERSION_${part} [0-9]+$")
  if(NOT line MATCHES "([0-9]+)$")
    message(FATAL_ERROR "include/kvevict/version.h does not say KVEVICT_VERSION_${part}: a line "
      "\"#define KVEVICT_VERSION_${part} number\" is needed")
  endif()
  list(APPEND KVEVICT_VERSION ${CMAKE_MATCH_1})
endforeach()
list(JOIN KVEVICT_VERSION "." KVEVICT_VERSION)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../include/kvevict/version.h)
