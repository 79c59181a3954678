# The web page: bundled from src/app/web/page with esbuild and laid into sightline_app_web as gzip-compressed bytes. Bundled again when one of
# its sources changes.
set(page ${CMAKE_SOURCE_DIR}/src/app/web/page)
find_program(NODE node)
if(NOT NODE OR NOT EXISTS ${page}/node_modules/esbuild/package.json OR NOT EXISTS ${page}/node_modules/typescript/package.json)
  message(FATAL_ERROR "The web page is bundled with node and packages of npm that are not here: run scripts/install-deps build")
endif()

file(GLOB page_sources CONFIGURE_DEPENDS ${page}/*.ts ${page}/*.tsx ${page}/*.css ${page}/*.html ${page}/*.svg)
set(page_bundle ${CMAKE_BINARY_DIR}/page)
set(page_files index.html app.js app.css icon.svg)
list(TRANSFORM page_files REPLACE "(.+)" "${page_bundle}/\\1.gz" OUTPUT_VARIABLE page_packed)
add_custom_command(OUTPUT ${page_packed}
  COMMAND ${NODE} ${page}/bundle.mjs ${page_bundle}
  DEPENDS ${page_sources} ${page}/bundle.mjs ${page}/tsconfig.json ${page}/package-lock.json
  COMMENT "Bundling the web page" VERBATIM)

# Assembler includes a file as it is, of whatever size, in no time.
set(page_bytes "// Made by cmake/page.cmake.\n#include \"app/web/page_files.h\"\n")
set(page_rows "")
foreach(name ${page_files})
  string(MAKE_C_IDENTIFIER ${name} symbol)
  string(APPEND page_bytes "asm(\".section .rodata\\n.global page_${symbol}\\npage_${symbol}: .incbin \\\"${page_bundle}/${name}.gz\\\"\\n"
    ".global page_${symbol}_end\\npage_${symbol}_end: .byte 0\\n.previous\");\n"
    "extern \"C\" const char page_${symbol}[], page_${symbol}_end[];\n")
  string(APPEND page_rows "{\"${name}\", {page_${symbol}, page_${symbol}_end}}, ")
endforeach()
string(APPEND page_bytes "namespace sightline::web {\nstd::vector<PageFile> page_files() { return {${page_rows}}; }\n}  // namespace sightline::web\n")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/embedded/page_bytes.cpp CONTENT "${page_bytes}" @ONLY)
set_source_files_properties(${CMAKE_BINARY_DIR}/embedded/page_bytes.cpp PROPERTIES OBJECT_DEPENDS "${page_packed}")
target_sources(sightline_app_web PRIVATE ${CMAKE_BINARY_DIR}/embedded/page_bytes.cpp)
