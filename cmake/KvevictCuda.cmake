# With KVEVICT_CUDA: the part of the room tensors that moves rows in CUDA memory. Without a CUDA toolkit it is left
# out, and what needs it says so when it is asked for.

if(KVEVICT_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(STATUS "KVEVICT_CUDA is on, but no CUDA compiler was found: tensors in CUDA memory will be refused")
  else()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
    endif()
    enable_language(CUDA)
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it of CUDA 13
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    find_package(CUDAToolkit REQUIRED)
    add_library(kvevict_tensors_cuda STATIC src/tensors/device_move.cu)
    set_target_properties(kvevict_tensors_cuda PROPERTIES
      CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON POSITION_INDEPENDENT_CODE ON)
    target_include_directories(kvevict_tensors_cuda PRIVATE include src)
    target_link_libraries(kvevict_tensors_cuda PUBLIC CUDA::cudart_static)
    target_compile_definitions(kvevict_tensors PUBLIC KVEVICT_WITH_CUDA)
    # each needs the other: the room calls the move, which needs the room's walk over rows
    target_link_libraries(kvevict_tensors PUBLIC kvevict_tensors_cuda)
    target_link_libraries(kvevict_tensors_cuda PUBLIC kvevict_tensors)
  endif()
endif()
