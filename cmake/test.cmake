# SPDX-License-Identifier: Apache-2.0
# cloister_test(NAME SOURCES... LIBS libs...): one GoogleTest binary, registered with ctest under NAME.
# CLOISTER_SOURCE_DIR and CLOISTER_EVAL_DIR tell a test where the tree and the (optional) evaluation data are.
find_package(GTest REQUIRED)
find_package(Threads REQUIRED)
function(cloister_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock GTest::gtest_main Threads::Threads)
  target_compile_definitions(${NAME} PRIVATE
    CLOISTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    CLOISTER_EVAL_DIR="${CMAKE_SOURCE_DIR}/../shared/eval")
  add_test(NAME ${NAME} COMMAND ${NAME})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  if(CLOISTER_SANITIZE STREQUAL "thread")
    set_tests_properties(${NAME} PROPERTIES ENVIRONMENT
      "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan_suppressions.txt")
  endif()
endfunction()
