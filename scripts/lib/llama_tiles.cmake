# Read by llama.cpp's own build, behind its project(): with GCC before 13 the file that multiplies by AMX tiles is compiled
# with the instruction that sets them up written out (llama_tiles.h says why).
function(kvevict_set_up_tiles)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND
     CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    get_target_property(folder ggml-cpu SOURCE_DIR)
    set_source_files_properties(${folder}/ggml-cpu/amx/mmq.cpp TARGET_DIRECTORY ggml-cpu PROPERTIES
      COMPILE_OPTIONS "-include;${CMAKE_CURRENT_FUNCTION_LIST_DIR}/llama_tiles.h")
  endif()
endfunction()
cmake_language(DEFER CALL kvevict_set_up_tiles)
