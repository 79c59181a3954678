#include "base/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace sightline {

enum class Fruit { apple, pear };
template <>
struct EnumNames<Fruit> {
  static constexpr std::array<const char*, 2> names{"apple", "pear"};
};

namespace {
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Target {
  std::string metric = "top1";
  double at_least = 0.9;
  static constexpr auto fields() { return std::tuple{field("metric", &Target::metric), field("at_least", &Target::at_least)}; }
};
struct Demand {
  std::string name;
  Target target;
  int epochs = 12;
  bool exact = false;
  Fruit fruit = Fruit::apple;
  std::optional<std::int64_t> seed;
  std::vector<std::string> classes;
  static constexpr auto fields() {
    return std::tuple{field("name", &Demand::name),      field("target", &Demand::target), field("epochs", &Demand::epochs),
                      field("exact", &Demand::exact),    field("fruit", &Demand::fruit),   field("seed", &Demand::seed),
                      field("classes", &Demand::classes)};
  }
};

Result<Demand> read(const std::string& text) {
  SIGHTLINE_TRY(const YamlNode node, parse_yaml(text, "demand.yaml"));
  Demand demand;
  SIGHTLINE_CHECK(read_yaml(node, demand));
  return demand;
}
std::string message_of(const std::string& text) {
  const auto demand = read(text);
  EXPECT_FALSE(demand.ok()) << text;
  if (demand.ok()) return "";
  EXPECT_EQ(demand.error().kind, ErrorKind::invalid_data);
  return demand.error().message;
}

TEST(Yaml, ReadsStructs) {
  const auto demand = read(
      "# a demand\nname: größe\ntarget: {metric: macro_f1, at_least: 0.92}\nepochs: 3\nexact: yes\nfruit: pear\nseed: 7\nclasses:\n  - a\n "
      " - \"b c\"\n");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->name, "größe");
  EXPECT_EQ(demand->target.metric, "macro_f1");
  EXPECT_EQ(demand->target.at_least, 0.92);
  EXPECT_EQ(demand->epochs, 3);
  EXPECT_TRUE(demand->exact);
  EXPECT_EQ(demand->fruit, Fruit::pear);
  EXPECT_EQ(demand->seed, 7);
  EXPECT_EQ(demand->classes, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(read("classes: a")->classes, std::vector<std::string>{"a"}) << "one thing is a list of one";
}

TEST(Yaml, MissingKeysKeepTheirDefaults) {
  const auto demand = read("name: x");
  ASSERT_TRUE(demand.ok());
  EXPECT_EQ(demand->target.at_least, 0.9);
  EXPECT_EQ(demand->seed, std::nullopt);
}

TEST(Yaml, DuplicateKeysNameBothLines) {
  const std::string message = message_of("name: a\nepochs: 3\nname: b\n");
  EXPECT_THAT(message, StartsWith("demand.yaml:3: "));
  EXPECT_THAT(message, HasSubstr("first in line 1"));
  EXPECT_THAT(message_of("target:\n  metric: a\n  metric: b\n"), StartsWith("demand.yaml:3: "));
}

TEST(Yaml, UnknownKeysNameTheLineAndTheNearestMatch) {
  std::string message = message_of("name: a\nepoch: 3\n");
  EXPECT_THAT(message, StartsWith("demand.yaml:2: unknown key \"epoch\""));
  EXPECT_THAT(message, HasSubstr("did you mean \"epochs\"?"));
  message = message_of("name: a\ntarget:\n  metrik: top1\n");
  EXPECT_THAT(message, StartsWith("demand.yaml:3: "));
  EXPECT_THAT(message, HasSubstr("did you mean \"metric\"?"));
  EXPECT_THAT(message_of("zzzzzzzz: 1"), ::testing::Not(HasSubstr("did you mean")));
}

TEST(Yaml, WrongTypesNameTheLine) {
  EXPECT_THAT(message_of("name: a\nepochs: three"), StartsWith("demand.yaml:2: \"three\" is not an integer"));
  EXPECT_THAT(message_of("epochs: 3.5"), HasSubstr("not an integer"));
  EXPECT_THAT(message_of("epochs: 99999999999"), HasSubstr("out of range"));
  EXPECT_THAT(message_of("epochs: 99999999999999999999999"), HasSubstr("not an integer"));
  EXPECT_THAT(message_of("epochs: [3]"), StartsWith("demand.yaml:1: "));
  EXPECT_THAT(message_of("target: {at_least: nan}"), HasSubstr("not a number"));
  EXPECT_THAT(message_of("target: {at_least: 0.9x}"), HasSubstr("not a number"));
  EXPECT_THAT(message_of("target: top1"), HasSubstr("block"));
  EXPECT_THAT(message_of("exact: maybe"), HasSubstr("true or false"));
  EXPECT_THAT(message_of("fruit: peer"), HasSubstr("did you mean \"pear\"?"));
  EXPECT_THAT(message_of("classes: {a: b}"), HasSubstr("list"));
  EXPECT_THAT(message_of("name: {a: b}"), HasSubstr("text"));
}

TEST(Yaml, BrokenTextNamesTheLine) {
  EXPECT_THAT(message_of("name: a\ntarget: {metric: b\nepochs: 3\n"), StartsWith("demand.yaml:"));
  EXPECT_THAT(message_of("\tname: a\n"), StartsWith("demand.yaml:"));
  EXPECT_THAT(message_of("? [a]\n: b\n"), HasSubstr("plain text"));
  EXPECT_THAT(message_of("name: &x a\nfruit: *x\n"), HasSubstr("alias"));
  EXPECT_THAT(message_of("name: a\n---\nname: b\n"), HasSubstr("second document"));
  EXPECT_THAT(message_of("- a\n- b\n"), HasSubstr("block"));
}

TEST(Yaml, AnEmptyFileIsAnEmptyNode) {
  for (const char* text : {"", "\n\n", "# nothing\n", "---\n"}) {
    const auto node = parse_yaml(text, "x");
    ASSERT_TRUE(node.ok()) << node.error().message;
    EXPECT_EQ(node->kind, YamlNode::Kind::null);
    EXPECT_GE(node->line, 1);
  }
}

TEST(Yaml, BombsAreRefusedQuickly) {
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& unit :
       {std::string("["), std::string("{"), std::string("- "), std::string("[{a: "), std::string("? "), std::string("{{")}) {
    std::string bomb;
    while (bomb.size() < 200'000) bomb += unit;
    EXPECT_FALSE(parse_yaml(bomb, "bomb").ok()) << unit;
  }
  EXPECT_FALSE(parse_yaml(std::string((1U << 20U) + 1, 'a'), "long").ok());
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 10);
}

TEST(Yaml, ManyShortListsAreNotABomb) {
  std::string text = "classes:\n";
  for (int i = 0; i < 3'000; ++i) text += "  - \"[x]\"\n";
  EXPECT_TRUE(read(text).ok());
  std::string nested = "[";
  for (int i = 0; i < 3'000; ++i) nested += "[a],";
  const auto lists = parse_yaml(nested + "[b]]", "lists");
  ASSERT_TRUE(lists.ok()) << lists.error().message;
  EXPECT_EQ(lists->items.size(), 3'001U);
}

}  // namespace
}  // namespace sightline
