# Read by llama.cpp's own build, behind its project(): what makes it faster to compile and changes no result.
# What takes time when a model runs is ggml-cpu, or the GPU's back end: they keep their -O3.
function(kvevict_compile_faster)
  foreach(target llama ggml ggml-base ggml-rpc)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O2>)
  endforeach()
  foreach(file llama-model-loader llama-model-saver llama-grammar)  # once for each model, or not at all
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/${file}.cpp TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O1)
  endforeach()
  target_precompile_headers(llama PRIVATE
    <algorithm> <array> <cmath> <cstring> <functional> <map> <memory> <set> <sstream> <string> <unordered_map> <vector>
    ${PROJECT_SOURCE_DIR}/src/llama-model.h ${PROJECT_SOURCE_DIR}/src/llama-graph.h
    ${PROJECT_SOURCE_DIR}/src/llama-model-loader.h)
endfunction()
cmake_language(DEFER CALL kvevict_compile_faster)
