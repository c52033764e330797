# kvevict_add_library(<part> OUTPUT_NAME <name> ROOMS <rooms> [LINK <parts>] [HIDDEN_ROOMS <rooms>])
# What other programs link: kvevict_<part>, of which kvevict::<part> is another name. HIDDEN_ROOMS are in another part
# already, which as a shared library hides what this one uses of them: it takes its own copy, without a state.
# Static (the default): the rooms' static libraries under one name. With BUILD_SHARED_LIBS: one shared library of the
# rooms. The program and the unit tests link the rooms in both cases, for they use what a shared library hides.
#
# What a shared library shows is what include/kvevict declares: each public header marks its namespace with
# KVEVICT_PUBLIC (kvevict/export.h), one word a header and none at a declaration, and everything else is compiled
# hidden. Marks and not a linker script alone, because the compiler must know: types of exceptions and vtables
# have to be one for both sides of a library's border, and a linker cannot tell public names from private ones, which
# are in the same namespace. The script kvevict.map only takes away what the marks let through: instances of
# the standard library's templates for public types, and members of private classes inside public ones.

if(BUILD_SHARED_LIBS)
  set(CMAKE_CXX_VISIBILITY_PRESET hidden)
  set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
endif()

function(kvevict_add_library part)
  cmake_parse_arguments(ARG "" "OUTPUT_NAME" "ROOMS;LINK;HIDDEN_ROOMS" ${ARGN})
  list(TRANSFORM ARG_ROOMS PREPEND kvevict_)
  list(TRANSFORM ARG_HIDDEN_ROOMS PREPEND kvevict_)
  if(BUILD_SHARED_LIBS)
    add_library(kvevict_${part} SHARED)
    kvevict_join_rooms(kvevict_${part} ${ARG_ROOMS})
    target_link_libraries(kvevict_${part} PUBLIC ${ARG_LINK} PRIVATE ${ARG_HIDDEN_ROOMS})
    target_compile_features(kvevict_${part} INTERFACE cxx_std_20)
    # before 1.0 a minor version may change what the library shows
    set_target_properties(kvevict_${part} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT_NAME} VERSION ${PROJECT_VERSION}
      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  else()
    add_library(kvevict_${part} INTERFACE)
    target_link_libraries(kvevict_${part} INTERFACE ${ARG_ROOMS} ${ARG_LINK})
    target_compile_features(kvevict_${part} INTERFACE cxx_std_20)
  endif()
  set_target_properties(kvevict_${part} PROPERTIES EXPORT_NAME ${part} KVEVICT_ROOMS "${ARG_ROOMS}")
  add_library(kvevict::${part} ALIAS kvevict_${part})
endfunction()

# The objects of the rooms, and the libraries of others that they need.
function(kvevict_join_rooms library)
  set(map ${PROJECT_SOURCE_DIR}/cmake/kvevict.map)
  foreach(room ${ARGN})
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${room}>)
    get_target_property(needed ${room} LINK_LIBRARIES)
    list(FILTER needed EXCLUDE REGEX "^kvevict_")
    target_link_libraries(${library} PRIVATE ${needed})
  endforeach()
  if(TARGET kvevict_tensors_cuda AND kvevict_tensors IN_LIST ARGN)
    target_link_libraries(${library} PRIVATE kvevict_tensors_cuda)
  endif()
  set_target_properties(${library} PROPERTIES LINKER_LANGUAGE CXX LINK_DEPENDS ${map})
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_options(${library} PRIVATE LINKER:--version-script=${map})
  if(KVEVICT_SANITIZE)  # the sanitizer's own functions are in the program
    target_link_options(${library} PUBLIC -fsanitize=${KVEVICT_SANITIZE})
  else()
    target_link_options(${library} PRIVATE LINKER:--no-undefined)
  endif()
endfunction()
