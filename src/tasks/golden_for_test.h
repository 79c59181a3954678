// Figures held to what a golden script wrote (tests/golden/).
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/json.h"
#include "tasks/tasks.h"

namespace sightline::tasks {

// All values of `expected` and no others; tolerance 0: to the last bit.
inline void expect_values(const std::map<std::string, double>& got, const Json& expected, double tolerance) {
  EXPECT_EQ(got.size(), expected.size());
  for (const auto& [name, value] : expected.items()) {
    const auto found = got.find(name);
    if (found == got.end()) {
      ADD_FAILURE() << name << " is missing";
    } else if (tolerance > 0) {
      EXPECT_NEAR(found->second, value.get<double>(), tolerance) << name;
    } else {
      EXPECT_EQ(found->second, value.get<double>()) << name << " differs by " << found->second - value.get<double>();
    }
  }
}

inline void expect_figures(const Figures& got, const Json& expected, double tolerance) {
  EXPECT_EQ(got.count, expected["count"].get<std::int64_t>());
  expect_values(got.values, expected["values"], tolerance);
  ASSERT_EQ(got.per_class.size(), expected["per_class"].size());
  for (std::size_t k = 0; k < got.per_class.size(); ++k) {
    SCOPED_TRACE(got.per_class[k].name);
    EXPECT_EQ(got.per_class[k].count, expected["per_class"][k]["count"].get<std::int64_t>());
    expect_values(got.per_class[k].values, expected["per_class"][k]["values"], tolerance);
  }
}

}  // namespace sightline::tasks
