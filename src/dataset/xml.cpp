#include "dataset/xml.h"

#include <expat.h>
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "base/text.h"

namespace sightline::dataset {
namespace {

constexpr std::size_t deepest = 64;
constexpr std::size_t most_elements = 100'000;

struct Building {
  XML_Parser parser = nullptr;
  std::vector<XmlElement> open;  // the root's path
  XmlElement root;
  std::size_t elements = 0;
  std::string problem;

  void stop(std::string why) {
    if (problem.empty()) problem = std::move(why);
    XML_StopParser(parser, XML_FALSE);
  }
};

void start(void* data, const XML_Char* name, const XML_Char** attributes) {
  auto& building = *static_cast<Building*>(data);
  if (building.open.size() >= deepest) return building.stop(fmt::format("nested deeper than {} levels", deepest));
  if (++building.elements > most_elements) return building.stop(fmt::format("more than {} elements", most_elements));
  XmlElement& element = building.open.emplace_back();
  element.name = name;
  element.line = static_cast<int>(XML_GetCurrentLineNumber(building.parser));
  for (; *attributes != nullptr; attributes += 2) element.attributes.emplace_back(attributes[0], attributes[1]);
}

void end(void* data, const XML_Char* /*name*/) {
  auto& building = *static_cast<Building*>(data);
  if (building.open.empty()) return;  // after stop() a last call may come
  XmlElement element = std::move(building.open.back());
  building.open.pop_back();
  element.text = trim(element.text);
  (building.open.empty() ? building.root : building.open.back().children.emplace_back()) = std::move(element);
}

void characters(void* data, const XML_Char* text, int length) {
  auto& building = *static_cast<Building*>(data);
  if (!building.open.empty()) building.open.back().text.append(text, static_cast<std::size_t>(length));
}

void document_type(void* data, const XML_Char* /*name*/, const XML_Char* /*system*/, const XML_Char* /*public_id*/, int /*internal*/) {
  static_cast<Building*>(data)->stop("a document type (<!DOCTYPE …>) is not accepted in annotations; remove it");
}

void append(std::string& out, const XmlElement& element) {
  out += "<" + element.name;
  for (const auto& [key, value] : element.attributes) out += fmt::format(" {}=\"{}\"", key, escape_xml(value));
  if (element.text.empty() && element.children.empty()) {
    out += "/>";
    return;
  }
  out += ">" + escape_xml(element.text);
  for (const XmlElement& child : element.children) append(out, child);
  out += "</" + element.name + ">";
}

}  // namespace

const XmlElement* XmlElement::find(std::string_view child) const {
  const auto found = std::find_if(children.begin(), children.end(), [&](const XmlElement& each) { return each.name == child; });
  return found == children.end() ? nullptr : &*found;
}

Result<XmlElement> parse_xml(std::string_view text, const std::string& source) {
  if (text.size() > static_cast<std::size_t>(INT_MAX)) return Error{ErrorKind::invalid_data, source + ": more than 2 GiB of XML"};
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(XML_ParserCreate(nullptr), XML_ParserFree);
  if (parser == nullptr) return Error{ErrorKind::internal, source + ": out of memory"};
  Building building{.parser = parser.get()};
  XML_SetUserData(parser.get(), &building);
  XML_SetElementHandler(parser.get(), start, end);
  XML_SetCharacterDataHandler(parser.get(), characters);
  XML_SetStartDoctypeDeclHandler(parser.get(), document_type);
  if (XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) != XML_STATUS_OK) {
    if (building.problem.empty()) building.problem = fmt::format("not valid XML: {}", XML_ErrorString(XML_GetErrorCode(parser.get())));
    return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", source, XML_GetCurrentLineNumber(parser.get()), building.problem)};
  }
  return std::move(building.root);
}

std::string xml_text(const XmlElement& element) {
  std::string out;
  append(out, element);
  return out;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\r': out += "&#13;"; break;
      case '\t': out += "&#9;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace sightline::dataset
