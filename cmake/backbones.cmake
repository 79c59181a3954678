# The backbones that come with the program: where the built program looks for them, and where the installed one does.
file(GLOB backbones CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/backbones/*.safetensors)
foreach(backbone ${backbones})
  get_filename_component(name ${backbone} NAME)
  configure_file(${backbone} ${CMAKE_BINARY_DIR}/share/sightline/backbones/${name} COPYONLY)
endforeach()
