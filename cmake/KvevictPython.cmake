# With KVEVICT_PYTHON: the Python module of python/bindings over the rooms base, policy and tensors. It needs no library of
# others but nanobind: what reports about the machine (fmt) and what takes DLPack structs from C++ (dlpack) is left out.

set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
foreach(room base policy tensors)
  file(GLOB ${room}_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cc)
endforeach()
list(FILTER base_files EXCLUDE REGEX machine_info)
list(FILTER tensors_files EXCLUDE REGEX "/dlpack\\.cc")
kvevict_add_room(base FILES ${base_files})
kvevict_add_room(policy FILES ${policy_files} LINK kvevict_base)
kvevict_add_room(tensors FILES ${tensors_files} LINK kvevict_policy PRIVATE_LINK Threads::Threads)

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
find_package(nanobind 3.1 CONFIG REQUIRED)
file(GLOB binding_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/bindings/*.cc)
# STABLE_ABI: from Python 3.12 on; nanobind leaves it off for 3.11
nanobind_add_module(kvevict_python STABLE_ABI NB_STATIC ${binding_files})
set_target_properties(kvevict_python PROPERTIES OUTPUT_NAME _core)
target_compile_options(kvevict_python PRIVATE -Wall -Wextra $<$<BOOL:${KVEVICT_WARNINGS_AS_ERRORS}>:-Werror>)
target_include_directories(kvevict_python PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/python/bindings)
target_link_libraries(kvevict_python PRIVATE kvevict_tensors)
nanobind_add_stub(kvevict_python_stub MODULE _core OUTPUT _core.pyi PYTHON_PATH $<TARGET_FILE_DIR:kvevict_python>
  DEPENDS kvevict_python)
install(TARGETS kvevict_python LIBRARY DESTINATION kvevict)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/_core.pyi DESTINATION kvevict)
