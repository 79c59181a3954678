#include "app/cli/console.h"

#include <istream>
#include <ostream>

#include "base/text.h"

namespace sightline::cli {
namespace {

std::string painted(bool wanted, Colour colour, std::string_view text) {
  if (!wanted) return std::string(text);
  const char* code = "0";
  switch (colour) {
    case Colour::bold: code = "1"; break;
    case Colour::dim: code = "2"; break;
    case Colour::red: code = "31"; break;
    case Colour::green: code = "32"; break;
    case Colour::yellow: code = "33"; break;
    case Colour::cyan: code = "36"; break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace

std::string Console::paint(Colour colour, std::string_view text) const { return painted(colour_out, colour, text); }

void Console::write_line(const std::string& text) const { out << text << '\n'; }
void Console::write_remark(const std::string& text) const {
  out.flush();
  err << text << '\n';
}
void Console::write_warning(const std::string& text) const {
  out.flush();
  err << painted(colour_err, Colour::yellow, "warning:") << ' ' << text << '\n';
}

void Console::table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) const {
  if (json) return;
  const std::string text = sightline::table(header, rows);
  const std::size_t first = text.find('\n');
  out << paint(Colour::bold, std::string_view(text).substr(0, first)) << text.substr(first);
}

void Console::document(const Json& json_document) const {
  if (json) out << json_text(json_document, 2) << '\n';
}

void Console::json_line(const Json& object) const { out << json_text(object, -1) << '\n'; }

int Console::fail(const Error& error) const {
  out.flush();
  if (json) {
    out << json_text(Json{{"error", {{"kind", name_of(error.kind)}, {"message", error.message}}}}, 2) << '\n';
  } else {
    err << painted(colour_err, Colour::red, "error:") << ' ' << error.message << '\n';
  }
  return exit_code_of(error.kind);
}

}  // namespace sightline::cli
