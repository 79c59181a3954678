#include "evaluation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "evaluation/report_html.h"
#include "evaluation/report_plots.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHostile = "<script>alert(\"x\")</script>'&";

ReportInput sample_input(std::size_t classes) {
  ReportInput input;
  input.demand.name = "apparel";
  input.demand.target.at_least = 0.5;
  input.created = "2026-01-02 03:04 UTC";
  Evaluation& evaluation = input.evaluation;
  evaluation.split = "test";
  std::vector<float> probabilities;
  std::vector<std::int32_t> labels;
  for (std::size_t k = 0; k < classes; ++k) {
    evaluation.classes.push_back(k == 1 ? kHostile : "class " + std::to_string(k));
    for (std::size_t i = 0; i < 4; ++i) {
      labels.push_back(static_cast<std::int32_t>(k));
      const std::size_t predicted = i == 3 ? (k + 1) % classes : k;
      for (std::size_t j = 0; j < classes; ++j) probabilities.push_back(j == predicted ? 0.9F : 0.1F / static_cast<float>(classes - 1));
    }
  }
  const Tensor answers = Tensor::of<float>({static_cast<std::int64_t>(labels.size()), static_cast<std::int64_t>(classes)}, probabilities);
  evaluation.figures = tasks::measure(answers, labels, evaluation.classes);
  evaluation.intervals["top1"] = {0.7, 0.8};
  evaluation.reliability_before = evaluation.reliability_after = tasks::reliability(answers, labels);
  evaluation.temperature = 1.4;
  evaluation.latency = {.p50 = 1, .p95 = 2, .p99 = 3, .count = 10, .threads = 1};
  evaluation.worst = {{std::string(kHostile) + ".png", 0, 1, 0.9, 0.1}};
  input.history = {
      {"epochs", {{{"epoch", 1}, {"loss", 2.0}, {"validation_top1", 0.4}}, {{"epoch", 2}, {"loss", 1.0}, {"validation_top1", 0.6}}}}};
  input.lineage = {{"seed", 7}, {kHostile, {{"deep", {{"deeper", kHostile}}}}}};
  input.verdict = gate(input.demand, evaluation, std::nullopt);
  return input;
}

// Every tag that is opened is closed in its order: a name that broke out would break this too.
void expect_balanced(const std::string& html) {
  static const std::vector<std::string> kVoid{"meta", "img", "br", "!doctype"};
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(tag.starts_with('/') ? 1 : 0, tag.find_first_of(" \n", 1) - (tag.starts_with('/') ? 1 : 0));
    if (tag.starts_with('/')) {
      ASSERT_FALSE(open.empty()) << tag;
      ASSERT_EQ(open.back(), name) << html.substr(at > 80 ? at - 80 : 0, 120);
      open.pop_back();
    } else if (!tag.ends_with('/') && std::find(kVoid.begin(), kVoid.end(), name) == kVoid.end()) {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

TEST(Report, SaysWhatWasDecidedAndMeasured) {
  const auto html = write_report(sample_input(4));
  ASSERT_TRUE(html.ok()) << html.error().message;
  EXPECT_THAT(*html, HasSubstr("Released"));
  EXPECT_THAT(*html, HasSubstr("top1 0.7500 (95% interval 0.7000 to 0.8000, 16 images) reaches the target 0.5000"));
  EXPECT_THAT(*html, HasSubstr("4 of 16 answers are wrong"));
  EXPECT_THAT(*html, HasSubstr("Best validation top1 0.6000 at epoch 2 of 2"));
  EXPECT_THAT(*html, HasSubstr("given class 2, predicted class 3: 1 (25% of the given)"));
  expect_balanced(*html);
}

TEST(Report, NamesOfOthersStayText) {
  const auto html = write_report(sample_input(4));
  ASSERT_TRUE(html.ok());
  EXPECT_THAT(*html, Not(HasSubstr("<script")));
  EXPECT_THAT(*html, HasSubstr("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39;&amp;"));
}

TEST(Report, NothingIsFetched) {
  const auto html = write_report(sample_input(4));
  ASSERT_TRUE(html.ok());
  EXPECT_THAT(*html, Not(HasSubstr("http:")));
  EXPECT_THAT(*html, Not(HasSubstr("https:")));
  EXPECT_THAT(*html, HasSubstr("default-src 'none'"));
}

TEST(Report, ManyClassesStaySmall) {
  const auto html = write_report(sample_input(300));
  ASSERT_TRUE(html.ok());
  EXPECT_LT(html->size(), 3'000'000U);
  expect_balanced(*html);
}

TEST(Report, StandsWithNextToNothing) {
  ReportInput input;
  input.verdict = gate(input.demand, input.evaluation, std::nullopt);
  const auto html = write_report(input);
  ASSERT_TRUE(html.ok()) << html.error().message;
  EXPECT_THAT(*html, HasSubstr("Refused"));
  EXPECT_THAT(*html, Not(HasSubstr("nan")));
  expect_balanced(*html);
}

TEST(Report, OddHistoriesAreNotDrawnWrong) {
  EXPECT_TRUE(read_history(Json::parse("[1, 2]")).train_loss.empty());
  EXPECT_TRUE(read_history(Json::parse(R"({"epochs": {"a": 1}})")).train_loss.empty());
  const History history = read_history(Json::parse(R"({"epochs": [3, {"loss": "much"}, {"epoch": 3, "loss": 0.5}, {"loss": 0.25}]})"));
  ASSERT_EQ(history.train_loss.size(), 2U);
  EXPECT_EQ(history.train_loss[0], (std::pair<double, double>{3, 0.5}));
  EXPECT_EQ(history.train_loss[1], (std::pair<double, double>{4, 0.25}));  // a missing epoch is its place in the list
  EXPECT_EQ(line_plot({{"empty", true, {}}}, "epoch", "nothing"), "");
  EXPECT_THAT(line_plot({{"one", true, {{1, 0.0}}}}, "epoch", "one point"), Not(HasSubstr("nan")));
  // Epochs are counted, shares are not; a line that says its name elsewhere has the room for itself.
  EXPECT_THAT(line_plot({{"loss", true, {{1, 30}, {2, 10}}}}, "epoch", "two epochs"), Not(HasSubstr(">1.5<")));
  const std::string shares = line_plot({{"found", true, {{0, 0}, {0.1, 0.5}, {0.2, 1}}, false}}, "error", "shares");
  EXPECT_THAT(shares, HasSubstr(">0.1<"));
  EXPECT_THAT(shares, Not(HasSubstr(">found<")));
}

TEST(ReportHtml, BytesThatAreNotTextAreReplaced) {
  EXPECT_EQ(html_text("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(html_text("caf\xE9!"), "caf\xEF\xBF\xBD!");               // Latin-1
  EXPECT_EQ(html_text("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");       // overlong
  EXPECT_EQ(html_text("\xED\xA0\x80").substr(0, 3), "\xEF\xBF\xBD");  // surrogate
  EXPECT_EQ(html_text(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(html_text("\xE2\x80\xAE"
                      "gpj.exe"),
            "\xEF\xBF\xBDgpj.exe");                              // a direction override
  EXPECT_EQ(html_text("\xF0\x9F"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // cut off
}

TEST(ReportHtml, LongNamesAreShortenedByCharacters) {
  EXPECT_EQ(shortened("Stra\xC3\x9F"
                      "e",
                      6),
            "Stra\xC3\x9F"
            "e");
  EXPECT_EQ(shortened("Stra\xC3\x9F"
                      "e",
                      5),
            "Stra\xE2\x80\xA6");
  EXPECT_EQ(shortened_path("folder/file.png", 9),
            "\xE2\x80\xA6"
            "file.png");
  EXPECT_EQ(code_points("Stra\xC3\x9F"
                        "e"),
            6U);
}

}  // namespace
}  // namespace sightline::evaluation
