# kvevict_add_room(<room> [FILES <files>] [LINK <public libraries>] [PRIVATE_LINK <libraries>] [PRECOMPILE <headers>]
#                  [UNITY [ALONE <files>]])
# Makes the static library kvevict_<room> of every src/<room>/*.cc, or of FILES, with the project's warnings and
# sanitizers. The target no_undefined links each room as a library of its own, and so finds what a room uses but
# does not name: a static library hides it as long as somebody else names it.
# PRECOMPILE names large headers of other projects that many files of the room include: compiling them once halves the build.
# UNITY: with KVEVICT_UNITY_BUILD, its files are compiled several at a time, ALONE those that share a name with others. That
# takes half the time from nothing, and more when one file changes: for set-up, not for those who change kvevict.

function(kvevict_target_options target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)  # GCC 12 warns about std::string itself
  if(KVEVICT_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(KVEVICT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${KVEVICT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${KVEVICT_SANITIZE})
  endif()
  if(KVEVICT_CLANG_TIDY)
    set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY clang-tidy)
  endif()
endfunction()

function(kvevict_add_room room)
  cmake_parse_arguments(ARG "UNITY" "" "FILES;LINK;PRIVATE_LINK;PRECOMPILE;ALONE" ${ARGN})
  if(NOT ARG_FILES)
    file(GLOB ARG_FILES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cc)
  endif()
  add_library(kvevict_${room} STATIC ${ARG_FILES})
  set_target_properties(kvevict_${room} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(kvevict_${room} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  kvevict_target_options(kvevict_${room})
  if(ARG_PRECOMPILE)
    target_precompile_headers(kvevict_${room} PRIVATE ${ARG_PRECOMPILE})
  endif()
  if(ARG_UNITY AND KVEVICT_UNITY_BUILD)
    set_target_properties(kvevict_${room} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    list(TRANSFORM ARG_ALONE PREPEND ${PROJECT_SOURCE_DIR}/src/${room}/)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  add_library(kvevict_${room}_alone MODULE EXCLUDE_FROM_ALL $<TARGET_OBJECTS:kvevict_${room}>)
  set_target_properties(kvevict_${room}_alone PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(kvevict_${room}_alone PRIVATE ${ARG_LINK} ${ARG_PRIVATE_LINK})
  target_link_options(kvevict_${room}_alone PRIVATE LINKER:--no-undefined)
  if(NOT TARGET no_undefined)
    add_custom_target(no_undefined)
  endif()
  add_dependencies(no_undefined kvevict_${room}_alone)
endfunction()
