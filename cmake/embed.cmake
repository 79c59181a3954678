# sightline_embed(TARGET FILE SYMBOL): the text of FILE as `const char* const sightline::embedded::SYMBOL` in TARGET.
function(sightline_embed target file symbol)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  set(made ${CMAKE_BINARY_DIR}/embedded/${symbol}.cpp)
  file(CONFIGURE OUTPUT ${made} CONTENT [[
namespace sightline::embedded {
extern const char* const @symbol@;
const char* const @symbol@ = R"embedded(@text@)embedded";
}  // namespace sightline::embedded
]] @ONLY)
  target_sources(${target} PRIVATE ${made})
endfunction()
