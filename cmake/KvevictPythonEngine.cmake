# With KVEVICT_PYTHON_ENGINE: the Python module of python_llama/bindings over the rooms up to http, and the component
# python_llama of an installation, which is the package kvevict_llama. Where llama.cpp is static, so is it in the module; a
# shared one stays where it is, which is for tests alone.

if(SKBUILD)
  set(KVEVICT_REQUIRED REQUIRED)
endif()
find_package(Python 3.11 ${KVEVICT_REQUIRED} COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
if(Python_FOUND AND NOT SKBUILD)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_DIR ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
find_package(nanobind 3.1 CONFIG ${KVEVICT_REQUIRED} QUIET)
if(NOT nanobind_FOUND)  # a build folder that scripts/python_tests.sh used, and whose Python is gone
  message(STATUS "Python's nanobind is not there: the Python module of the engine is left out")
  return()
endif()
set(engine_package kvevict_llama)
# Where a shared llama.cpp lies. INSTALL_RPATH_USE_LINK_PATH would leave it out, for it may lie within the checkout (.deps).
get_filename_component(engine_llama ${llama_DIR}/../.. ABSOLUTE)
if(NOT EXISTS ${engine_llama}/libllama${CMAKE_SHARED_LIBRARY_SUFFIX})
  set(engine_llama "")
endif()
file(GLOB engine_binding_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python_llama/bindings/*.cc)

# kvevict_add_engine(<target> <folder> [<options of the linker>]): the module of <folder> within the package.
function(kvevict_add_engine target folder)
  # NB_DOMAIN: the module kvevict._core shares no types with this one, whatever nanobind it was built with
  nanobind_add_module(${target} EXCLUDE_FROM_ALL STABLE_ABI NB_STATIC NB_DOMAIN kvevict_llama
    ${engine_binding_files} ${PROJECT_SOURCE_DIR}/python/bindings/errors.cc)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME _engine CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python_llama/${folder} INSTALL_RPATH "${engine_llama}")
  if(KVEVICT_UNITY_BUILD)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
  endif()
  target_compile_options(${target} PRIVATE -Wall -Wextra $<$<BOOL:${KVEVICT_WARNINGS_AS_ERRORS}>:-Werror>)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/python/bindings)
  target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL)  # of another llama.cpp in the same process
  target_link_libraries(${target} PRIVATE ${ARGN} kvevict_http)
  install(TARGETS ${target} LIBRARY DESTINATION ${engine_package}/${folder} COMPONENT python_llama EXCLUDE_FROM_ALL)
endfunction()

kvevict_add_engine(kvevict_python_engine .)
nanobind_add_stub(kvevict_python_engine_stub EXCLUDE_FROM_ALL MODULE _engine
  OUTPUT ${PROJECT_BINARY_DIR}/python_llama/_engine.pyi PYTHON_PATH $<TARGET_FILE_DIR:kvevict_python_engine>
  DEPENDS kvevict_python_engine)
install(FILES ${PROJECT_BINARY_DIR}/python_llama/_engine.pyi DESTINATION ${engine_package} COMPONENT python_llama
  EXCLUDE_FROM_ALL)
install(FILES LICENSE THIRD_PARTY_NOTICES DESTINATION ${engine_package}/licenses COMPONENT python_llama EXCLUDE_FROM_ALL)
install(DIRECTORY python_llama/src/${engine_package}/ DESTINATION ${engine_package} COMPONENT python_llama EXCLUDE_FROM_ALL
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed")

# In a wheel (scripts/lib/llama.sh: install_portable_llama), ggml's computations are there a second time, for processors with
# AVX-512: the rest of llama.cpp is the same. The option makes the linker take all of them from the library in front.
add_custom_target(kvevict_python_engines DEPENDS kvevict_python_engine kvevict_python_engine_stub)
get_filename_component(avx512_library ${llama_DIR}/../../avx512/libggml-cpu.a ABSOLUTE)
if(EXISTS ${avx512_library})
  kvevict_add_engine(kvevict_python_engine_avx512 avx512 -Wl,--undefined=ggml_backend_cpu_reg ${avx512_library})
  add_dependencies(kvevict_python_engines kvevict_python_engine_avx512)
endif()
