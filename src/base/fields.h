// One field list per struct. Writing, reading, comparing, help and schema come from it:
//
//   struct Target {
//     std::string metric = "top1";
//     double at_least = 0.9;
//     static constexpr auto fields() {
//       return std::tuple{field("metric", &Target::metric, "what is measured"),
//                         field("at_least", &Target::at_least, "the least value that is released")};
//     }
//   };
//
// base/json.h and base/yaml.h read and write such structs. An enum takes part by specialising EnumNames.
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace sightline {

template <class Struct, class Member>
struct Field {
  const char* name;
  Member Struct::*member;
  const char* help;
};

template <class Struct, class Member>
constexpr Field<Struct, Member> field(const char* name, Member Struct::*member, const char* help = "") {
  return {name, member, help};
}

template <class T>
concept HasFields = requires {
  T::fields();
};

// Calls visit(field) for each field in the order of the list.
template <HasFields T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  std::apply([&](const auto&... each) { (visit(each), ...); }, T::fields());
}

template <HasFields T>
bool equal_fields(const T& a, const T& b) {
  bool equal = true;
  for_each_field<T>([&](const auto& f) { equal = equal && a.*(f.member) == b.*(f.member); });
  return equal;
}

// Specialise with: static constexpr std::array<const char*, N> names{...}; in the order of the enumerators, which count from 0.
template <class Enum>
struct EnumNames;

template <class T>
concept NamedEnum = std::is_enum_v<T> && requires {
  EnumNames<T>::names.size();
};

template <NamedEnum Enum>
constexpr const char* enum_name(Enum value) {
  return EnumNames<Enum>::names[static_cast<std::size_t>(value)];
}

template <NamedEnum Enum>
constexpr bool enum_from(std::string_view name, Enum& value) {
  for (std::size_t i = 0; i < EnumNames<Enum>::names.size(); ++i) {
    if (name == EnumNames<Enum>::names[i]) {
      value = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

}  // namespace sightline
