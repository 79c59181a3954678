// A small XML document as a tree, for annotation files that strangers wrote. Expat parses; a document type is refused, so that there are no
// entities but the five of XML, nothing is fetched and nothing grows. The only place that includes expat is xml.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sightline::dataset {

struct XmlElement {
  std::string name;
  std::string text;  // of its own, trimmed; comments and instructions are left out
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<XmlElement> children;
  int line = 0;  // of its start, from 1

  const XmlElement* find(std::string_view child) const;  // the first of that name
};

// The root element; text in UTF-8. Errors: invalid_data with "SOURCE:LINE: …"; at most 64 levels and 100,000 elements.
Result<XmlElement> parse_xml(std::string_view text, const std::string& source);

// The element without white space between elements; parse_xml gives the same element back.
std::string xml_text(const XmlElement& element);
std::string escape_xml(std::string_view text);

}  // namespace sightline::dataset
