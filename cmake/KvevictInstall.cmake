# What `cmake --install` gives to other projects: the public headers, the rooms as static libraries, a CMake
# package with the one target kvevict::kvevict, and a pkg-config file.
include(CMakePackageConfigHelpers)

set(KVEVICT_INSTALLED_ROOMS "")
set(KVEVICT_PC_LIBS "")
foreach(room runtime engine text tensors policy base)  # in the order in which a linker needs them
  if(TARGET kvevict_${room})
    list(APPEND KVEVICT_INSTALLED_ROOMS kvevict_${room})
    string(APPEND KVEVICT_PC_LIBS " -lkvevict_${room}")
    set_target_properties(kvevict_${room} PROPERTIES EXPORT_NAME ${room})
  endif()
endforeach()
if(TARGET kvevict_tensors)
  set(KVEVICT_CACHE_DEPENDENCIES "find_dependency(Threads)\nfind_dependency(dlpack)")
endif()
get_filename_component(KVEVICT_LLAMA_PREFIX ${llama_DIR}/../../.. ABSOLUTE)

add_library(kvevict INTERFACE)
target_link_libraries(kvevict INTERFACE ${KVEVICT_INSTALLED_ROOMS})
target_compile_features(kvevict INTERFACE cxx_std_20)

set(KVEVICT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kvevict)
install(TARGETS kvevict ${KVEVICT_INSTALLED_ROOMS} EXPORT kvevict-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT kvevict-targets NAMESPACE kvevict:: DESTINATION ${KVEVICT_PACKAGE_DIR})
install(DIRECTORY include/kvevict DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(cmake/kvevict-config.cmake.in ${PROJECT_BINARY_DIR}/kvevict-config.cmake
  INSTALL_DESTINATION ${KVEVICT_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kvevict-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kvevict-config.cmake ${PROJECT_BINARY_DIR}/kvevict-config-version.cmake
  DESTINATION ${KVEVICT_PACKAGE_DIR})
configure_file(cmake/kvevict.pc.in ${PROJECT_BINARY_DIR}/kvevict.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kvevict.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
