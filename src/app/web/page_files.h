// The files of the web page, gzip-compressed, as they lie in the program (cmake/page.cmake makes their bytes).
#pragma once

#include <string_view>
#include <vector>

namespace sightline::web {

struct PageFile {
  const char* name;  // "app.js"
  std::string_view packed;
};
std::vector<PageFile> page_files();

}  // namespace sightline::web
