# What `cmake --install` gives to other projects: the public headers, the libraries, a CMake package and pkg-config files.
# Two parts, each with a target and a pkg-config file: core (kvevict::core, kvevict-core.pc: policies, plans, plain
# tensors) and, where it was built, llama (kvevict::llama). kvevict::kvevict and kvevict.pc are all that there is.
include(CMakePackageConfigHelpers)

set(KVEVICT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kvevict)
set(KVEVICT_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# kvevict_install_part(<part> [STATIC_LINK <targets>]): the libraries of the part as the export set kvevict-<part>-targets;
# what `pkg-config --libs` says of them is in KVEVICT_PC_LIBS afterwards. STATIC_LINK: what else the static ones need.
function(kvevict_install_part part)
  set(libs "")
  if(BUILD_SHARED_LIBS)
    get_target_property(name kvevict_${part} OUTPUT_NAME)
    set(libs " -l${name}")
    set(rooms "")
  else()
    get_target_property(rooms kvevict_${part} KVEVICT_ROOMS)
    list(APPEND rooms ${ARGN})
    foreach(room ${rooms})
      string(PREPEND libs " -l${room}")  # a linker needs them in the other order
      string(REPLACE "kvevict_" "" export_name ${room})
      set_target_properties(${room} PROPERTIES EXPORT_NAME ${export_name})
    endforeach()
  endif()
  install(TARGETS kvevict_${part} ${rooms} EXPORT kvevict-${part}-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT kvevict-${part}-targets NAMESPACE kvevict:: DESTINATION ${KVEVICT_PACKAGE_DIR})
  set(KVEVICT_PC_LIBS "${libs}" PARENT_SCOPE)
endfunction()

# kvevict_install_pc(<file> <requires>): from a program's view; what a shared library needs itself is its own affair.
function(kvevict_install_pc file description requires)
  set(KVEVICT_PC_NAME ${file})
  set(KVEVICT_PC_DESCRIPTION "${description}")
  set(KVEVICT_PC_REQUIRES "${requires}")
  configure_file(cmake/kvevict.pc.in ${PROJECT_BINARY_DIR}/${file}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${KVEVICT_PC_DIR})
endfunction()

if(TARGET kvevict_tensors_cuda)
  set(KVEVICT_CUDA_PART kvevict_tensors_cuda)
endif()
kvevict_install_part(core ${KVEVICT_CUDA_PART})
set(KVEVICT_PC_NEEDS "")
if(NOT BUILD_SHARED_LIBS)
  set(KVEVICT_PC_NEEDS fmt)
  string(APPEND KVEVICT_PC_LIBS " -pthread")
  foreach(runtime stdc++ c++ m)  # for a C compiler, which does not name them itself
    if(runtime IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
      string(APPEND KVEVICT_PC_LIBS " -l${runtime}")
    endif()
  endforeach()
endif()
kvevict_install_pc(kvevict-core "KV cache eviction: policies, plans and plain tensors" "${KVEVICT_PC_NEEDS}")

set(KVEVICT_PARTS core)
set(KVEVICT_PC_LIBS "")
set(KVEVICT_PC_NEEDS kvevict-core)
if(TARGET kvevict_llama)
  list(APPEND KVEVICT_PARTS llama)
  get_filename_component(KVEVICT_LLAMA_PREFIX ${llama_DIR}/../../.. ABSOLUTE)
  kvevict_install_part(llama)
  if(BUILD_SHARED_LIBS)
    set_target_properties(kvevict_llama PROPERTIES INSTALL_RPATH "$ORIGIN;${KVEVICT_LLAMA_LIB_DIR}")
  else()
    if(KVEVICT_JINJA_LIBRARY)
      string(APPEND KVEVICT_PC_LIBS " ${KVEVICT_JINJA_LIBRARY}")
    endif()
    string(APPEND KVEVICT_PC_NEEDS " llama fmt icu-uc libcrypto")
  endif()
endif()
kvevict_install_pc(kvevict "${PROJECT_DESCRIPTION}" "${KVEVICT_PC_NEEDS}")

add_library(kvevict INTERFACE)
foreach(part ${KVEVICT_PARTS})
  target_link_libraries(kvevict INTERFACE kvevict_${part})
endforeach()
add_library(kvevict::kvevict ALIAS kvevict)

install(DIRECTORY include/kvevict DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(cmake/kvevict-config.cmake.in ${PROJECT_BINARY_DIR}/kvevict-config.cmake
  INSTALL_DESTINATION ${KVEVICT_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kvevict-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kvevict-config.cmake ${PROJECT_BINARY_DIR}/kvevict-config-version.cmake
  DESTINATION ${KVEVICT_PACKAGE_DIR})
install(FILES LICENSE THIRD_PARTY_NOTICES DESTINATION ${CMAKE_INSTALL_DOCDIR})
