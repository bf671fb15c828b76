# SPDX-License-Identifier: Apache-2.0

# sallyport_module(NAME [SOURCES a.cc ...] [USES other ...] [LIBS lib ...])
# A static library sp_NAME of userspace/NAME; USES names other modules, LIBS outside libraries.
function(sallyport_module name)
  cmake_parse_arguments(M "" "" "SOURCES;USES;LIBS" ${ARGN})
  add_library(sp_${name} STATIC ${M_SOURCES})
  target_include_directories(sp_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR}/userspace)
  list(TRANSFORM M_USES PREPEND sp_)
  target_link_libraries(sp_${name} PUBLIC ${M_USES} ${M_LIBS})
endfunction()

# sallyport_test(NAME [THREADS] [SOURCES a.cc ...] [USES module ...] [LIBS lib ...] [LABEL unit|kernel|interop]
#                [TIMEOUT s])
# A GoogleTest program NAME, one ctest entry. `unit` tests also run under the address and undefined-behaviour
# sanitizers, those with THREADS under the thread sanitizer too.
function(sallyport_test name)
  cmake_parse_arguments(T "THREADS" "LABEL;TIMEOUT" "SOURCES;USES;LIBS" ${ARGN})
  if(NOT T_LABEL)
    set(T_LABEL unit)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/userspace ${CMAKE_SOURCE_DIR})
  list(TRANSFORM T_USES PREPEND sp_)
  target_link_libraries(${name} PRIVATE ${T_USES} ${T_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  add_test(NAME ${name} COMMAND ${name})
  if(T_LABEL STREQUAL "unit")
    add_dependencies(unit_tests ${name})
  endif()
  if(T_THREADS)
    list(APPEND T_LABEL threads)
    add_dependencies(threaded_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${T_LABEL}" TIMEOUT ${T_TIMEOUT})
endfunction()
