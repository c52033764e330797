# kvevict_add_suites(<program> [LABELS <labels>] [ENVIRONMENT <variables>]): one test of ctest for each suite of a GoogleTest
# program, named <program>.<suite>. A process for each case, as gtest_discover_tests has it, would load its model once
# for each; scripts/lib/count_tests.py counts the cases all the same. The suites are asked of the program when it is built.

if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} cannot list its tests: ${code}")
  endif()
  get_filename_component(name ${PROGRAM} NAME)
  string(REPLACE "\n" ";" lines "${listed}")
  foreach(line IN LISTS lines)
    if(line MATCHES "^([A-Za-z0-9_/]+)\\.( +#.*)?$")
      set(suite ${CMAKE_MATCH_1})
      string(APPEND content "add_test([=[${name}.${suite}]=] [=[${PROGRAM}]=] [=[--gtest_filter=${suite}.*]=])\n"
        "set_tests_properties([=[${name}.${suite}]=] PROPERTIES TIMEOUT 1800 LABELS [=[${LABELS}]=]"
        " ENVIRONMENT [=[${ENVIRONMENT}]=])\n")
    endif()
  endforeach()
  file(WRITE ${OUTPUT} "${content}")
  return()
endif()

set(KVEVICT_SUITES_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(kvevict_add_suites program)
  cmake_parse_arguments(ARG "" "" "LABELS;ENVIRONMENT" ${ARGN})
  set(listed ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites.cmake)
  set(included ${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake)
  add_custom_command(TARGET ${program} POST_BUILD BYPRODUCTS ${listed} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DOUTPUT=${listed} "-DLABELS=${ARG_LABELS}"
            "-DENVIRONMENT=${ARG_ENVIRONMENT}" -P ${KVEVICT_SUITES_SCRIPT})
  file(WRITE ${included} "if(EXISTS [=[${listed}]=])\n  include([=[${listed}]=])\n"
    "else()\n  add_test(${program}_NOT_BUILT ${program}_NOT_BUILT)\n"
    "  set_tests_properties(${program}_NOT_BUILT PROPERTIES LABELS [=[${ARG_LABELS}]=])\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${included})
endfunction()
