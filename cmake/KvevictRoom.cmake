# kvevict_add_room(<room> [LINK <public libraries>] [PRIVATE_LINK <libraries>])
# Makes the static library kvevict_<room> of every src/<room>/*.cc, with the project's warnings and sanitizers.

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
  cmake_parse_arguments(ARG "" "" "LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cc)
  add_library(kvevict_${room} STATIC ${sources})
  set_target_properties(kvevict_${room} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(kvevict_${room} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  target_compile_definitions(kvevict_${room} PRIVATE
    KVEVICT_VERSION="${PROJECT_VERSION}" KVEVICT_SOURCE_DATA_DIR="${PROJECT_SOURCE_DIR}/data")
  kvevict_target_options(kvevict_${room})
endfunction()
