# The messages and the service of src/net/inference.proto as C++, in the build folder.
set(proto ${CMAKE_SOURCE_DIR}/src/net/inference.proto)
set(made ${CMAKE_BINARY_DIR}/protocol)
file(MAKE_DIRECTORY ${made})
add_custom_command(
  OUTPUT ${made}/inference.pb.cc ${made}/inference.pb.h ${made}/inference.grpc.pb.cc ${made}/inference.grpc.pb.h
  COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}/src/net --cpp_out=${made} --grpc_out=${made} --plugin=protoc-gen-grpc=${GRPC_PLUGIN} ${proto}
  DEPENDS ${proto} VERBATIM)
add_library(sightline_protocol STATIC ${made}/inference.pb.cc ${made}/inference.grpc.pb.cc)
target_include_directories(sightline_protocol SYSTEM PUBLIC ${made})
target_link_libraries(sightline_protocol PUBLIC PkgConfig::GRPC protobuf::libprotobuf)
if(SIGHTLINE_SANITIZE)  # under ThreadSanitizer protobuf's classes have a member more: all who see them must agree
  target_compile_options(sightline_protocol PRIVATE -fsanitize=${SIGHTLINE_SANITIZE})
endif()
target_link_libraries(sightline_net PRIVATE sightline_protocol)
set(SIGHTLINE_TEST_LINK_net sightline_protocol)  # a client for the tests
