# Read by llama.cpp's own build, behind its project(): what makes it faster to compile and changes no result.
# What takes time when a model runs is ggml-cpu, or the GPU's back end: they keep their -O3.
function(kvevict_compile_faster)
  foreach(target llama ggml ggml-base ggml-rpc)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O2>)
  endforeach()
  foreach(file llama-model-loader llama-model-saver)  # once for each model, or not at all
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/${file}.cpp TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O1)
  endforeach()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/llama-grammar.cpp TARGET_DIRECTORY llama PROPERTIES
    COMPILE_OPTIONS "-O1;-include;${CMAKE_CURRENT_FUNCTION_LIST_DIR}/llama_grammar_log.h" SKIP_PRECOMPILE_HEADERS ON)
  target_precompile_headers(llama PRIVATE
    <algorithm> <array> <cmath> <cstring> <functional> <map> <memory> <set> <sstream> <string> <unordered_map> <vector>
    ${PROJECT_SOURCE_DIR}/src/llama-model.h ${PROJECT_SOURCE_DIR}/src/llama-graph.h
    ${PROJECT_SOURCE_DIR}/src/llama-model-loader.h)
  # The graphs of 150 architectures, a small file each: twelve at a time take a third of the time.
  file(GLOB models ${PROJECT_SOURCE_DIR}/src/models/*.cpp)
  set(n 0)
  foreach(file ${models})
    math(EXPR group "${n} / 12")
    math(EXPR n "${n} + 1")
    set_source_files_properties(${file} TARGET_DIRECTORY llama PROPERTIES UNITY_GROUP models_${group})
  endforeach()
  set_target_properties(llama PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# Chat templates as the authors of models write them are Jinja, a JSON schema becomes a grammar, and what a template says of
# thoughts and calls of functions becomes a reader of answers. Of llama.cpp's common library only these are built, and installed
# beside llama.cpp: the whole library takes minutes more, and needs HTTP.
function(kvevict_add_jinja)
  set(common ${PROJECT_SOURCE_DIR}/common)
  file(GLOB sources ${common}/jinja/*.cpp ${common}/chat*.cpp ${common}/parsers/*.cpp)
  add_library(llama-jinja STATIC ${sources} ${common}/json.cpp ${common}/unicode.cpp ${common}/json-schema.cpp
    ${common}/json-schema-to-grammar.cpp ${common}/trie.cpp ${common}/peg-parser.cpp
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/llama_strings.cpp)
  set_source_files_properties(${common}/json-schema-to-grammar.cpp TARGET_DIRECTORY llama-jinja PROPERTIES
    COMPILE_OPTIONS "-include;${CMAKE_CURRENT_FUNCTION_LIST_DIR}/llama_schema_errors.h")
  target_include_directories(llama-jinja PRIVATE ${common} ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(llama-jinja PRIVATE vendor::nlohmann ggml)
  target_compile_options(llama-jinja PRIVATE -O1)
  set_target_properties(llama-jinja PROPERTIES POSITION_INDEPENDENT_CODE ON)
  install(TARGETS llama-jinja ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${common}/json.h ${common}/json-schema.h ${common}/json-schema-to-grammar.h ${common}/chat.h
    ${common}/chat-peg-parser.h ${common}/peg-parser.h ${common}/common.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/llama-common)
  install(DIRECTORY ${common}/jinja DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/llama-common FILES_MATCHING PATTERN *.h)
endfunction()
include(${CMAKE_CURRENT_LIST_DIR}/llama_tiles.cmake)
cmake_language(DEFER CALL kvevict_compile_faster)
cmake_language(DEFER CALL kvevict_add_jinja)
