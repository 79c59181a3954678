#include "app/cli/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <stdexcept>

#include "app/cli/call_for_test.h"
#include "app/cli/help.h"
#include "app/cli/verbs.h"

namespace sightline::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Run, AloneItSaysWhatItIsAndHowToBegin) {
  const Outcome outcome = call({});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_THAT(outcome.out, HasSubstr("production line"));
  EXPECT_THAT(outcome.out, HasSubstr("sightline init"));
  EXPECT_THAT(outcome.out, HasSubstr("sightline build"));
  EXPECT_THAT(outcome.out, HasSubstr("sightline predict"));
  for (const Verb* verb : all_verbs()) {
    EXPECT_THAT(outcome.out, HasSubstr(verb->summary)) << verb->name;
    EXPECT_THAT(outcome.out, HasSubstr(title_of(verb->group)));
  }
}

TEST(Run, VersionAndHelpAreFoundWhereverTheyStand) {
  EXPECT_THAT(call({"--version"}).out, StartsWith("sightline "));
  EXPECT_EQ(call({"--version", "--json"}).json()["version"], SIGHTLINE_VERSION);
  const std::string page = call({"help", "completion"}).out;
  EXPECT_EQ(call({"completion", "--help"}).out, page);
  EXPECT_EQ(call({"completion", "-h"}).out, page);
  EXPECT_EQ(call({"--help", "completion"}).out, page);
  EXPECT_EQ(call({"--help"}).out, call({}).out);
}

TEST(Run, AMistypedVerbGetsItsNearestMatch) {
  const Outcome outcome = call({"completoin"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, HasSubstr("did you mean \"completion\"?"));
  EXPECT_EQ(call({"help", "completoin"}).code, 2);
  EXPECT_EQ(call({""}).code, 2);
}

TEST(Run, AMistypedOptionGetsItsNearestMatchEvenWhenSomethingElseIsMissing) {
  const Outcome outcome = call({"completion", "--qiet"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unknown option --qiet; did you mean \"--quiet\"?"));
  EXPECT_THAT(outcome.err, HasSubstr("usage: sightline completion SHELL"));
  EXPECT_THAT(call({"--verzion"}).err, HasSubstr("did you mean \"--version\"?"));
}

TEST(Run, MissingSurplusAndImpossibleArgumentsAreUsageErrors) {
  EXPECT_THAT(call({"completion"}).err, HasSubstr("SHELL is required"));
  EXPECT_THAT(call({"completion", "bash", "zsh"}).err, HasSubstr("unexpected argument \"zsh\""));
  EXPECT_THAT(call({"completion", "bahs"}).err, HasSubstr("\"bahs\" is not one of bash, zsh, fish; did you mean \"bash\"?"));
  EXPECT_EQ(call({"completion", "bahs"}).code, 2);
  EXPECT_EQ(call({"--workspace"}).code, 2);
}

TEST(Run, ErrorsAreJsonOnStdoutWhenAskedFor) {
  const Outcome outcome = call({"completion", "--json", "bahs"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_EQ(outcome.json()["error"]["kind"], "usage");
  EXPECT_THAT(outcome.json()["error"]["message"], HasSubstr("did you mean"));
  EXPECT_EQ(call({"--json", "nonesuch"}).json()["error"]["kind"], "usage");
}

TEST(Run, OptionsOfEveryVerbMayStandBeforeIt) {
  EXPECT_EQ(call({"--workspace", "there", "--json", "completion", "bash"}).json()["shell"], "bash");
}

TEST(Run, HelpAsJsonHoldsEveryVerbWithItsArguments) {
  const Json page = call({"help", "--json"}).json();
  ASSERT_EQ(page["verbs"].size(), all_verbs().size());
  EXPECT_EQ(call({"help", "--json", "completion"}).json()["arguments"][0]["choices"], (Json{"bash", "zsh", "fish"}));
}

TEST(Run, OutputThatCannotBeWrittenIsAnError) {
  std::istringstream in;
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(run({"--version"}, in, out, err), exit_code_of(ErrorKind::io));
  EXPECT_THAT(err.str(), HasSubstr("could not be written"));
}

class EveryVerb : public ::testing::TestWithParam<const Verb*> {};

TEST_P(EveryVerb, HasAPageWithUsageArgumentsAndExamples) {
  const Verb& verb = *GetParam();
  const Outcome outcome = call({"help", verb.name});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr(std::string("usage: sightline ") + verb.name));
  EXPECT_THAT(outcome.out, HasSubstr("--json"));
  EXPECT_THAT(outcome.out, HasSubstr("Examples"));
  ASSERT_FALSE(verb.examples.empty());
  for (const Example& example : verb.examples) {
    EXPECT_THAT(example.command, HasSubstr(std::string("sightline ") + verb.name));
    EXPECT_STRNE(example.says, "");
    EXPECT_THAT(outcome.out, HasSubstr(example.command));
  }
  for (const Argument& argument : arguments_of(verb)) {
    EXPECT_THAT(argument.help, Not(IsEmpty())) << argument.name;
    EXPECT_THAT(outcome.out, HasSubstr(argument.name));
  }
}

TEST_P(EveryVerb, IsCompletedWithItsOptions) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = call({"completion", shell}).out;
    EXPECT_THAT(script, HasSubstr(GetParam()->name)) << shell;
    for (const Argument& argument : arguments_of(*GetParam())) {
      if (!argument.positional) {
        EXPECT_THAT(script, HasSubstr(argument.name.substr(2))) << shell;
      }
    }
  }
}

TEST_P(EveryVerb, RefusesAnOptionThatItDoesNotHave) {
  const Outcome outcome = call({GetParam()->name, "--no-such-option-anywhere"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unknown option --no-such-option-anywhere"));
}

INSTANTIATE_TEST_SUITE_P(Table, EveryVerb, ::testing::ValuesIn(all_verbs().begin(), all_verbs().end()),
                         [](const auto& row) { return std::string(row.param->name); });

TEST(Verbs, NamesAreUniqueAndSummariesOneLine) {
  std::set<std::string> names;
  for (const Verb* verb : all_verbs()) {
    EXPECT_TRUE(names.insert(verb->name).second) << verb->name;
    EXPECT_THAT(verb->summary, Not(HasSubstr("\n")));
    EXPECT_LE(std::string_view(verb->summary).size(), 80U) << verb->name;
  }
}

}  // namespace
}  // namespace sightline::cli
