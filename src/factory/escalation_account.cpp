#include "factory/escalation_account.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::factory {

Result<Account> read_account(line::StepContext& context, const std::string& input) {
  SIGHTLINE_TRY(const std::string text, context.read_input(input));
  return parse_account(text);
}

Result<void> put_account(line::StepContext& context, const Account& account) {
  return context.put("account", json_text(to_json(account), 1));
}

double seconds_left(const demand::Demand& demand, const Account& account) {
  double seconds = seconds_of(demand.budget);
  for (const Reached& rung : account)
    if (rung.rung != Rung::head && rung.rung != Rung::cuts) seconds -= rung.seconds;
  return seconds;
}

const Reached& best_of(const Account& account) {
  return *std::find_if(account.rbegin(), account.rend(), [](const Reached& rung) { return rung.kept; });
}

double seconds_behind(const line::StepContext& context, std::initializer_list<const char*> inputs) {
  double seconds = 0;
  for (const char* input : inputs)
    if (const line::StepRecord* made = context.maker(input)) seconds += made->seconds;
  return seconds;
}

void add_decision(Reached& reached, const std::string& sentence) { reached.decision += (reached.decision.empty() ? "" : "; ") + sentence; }

void say_what_is_next(const BuildContext& build, line::StepContext& context, Account& account, const std::optional<Prospect>& prospect) {
  const demand::Target& target = build.demand.target;
  std::string unwanted;
  if (meets(target, best_of(account))) {
    unwanted = sentence_of_met(target, best_of(account));
    add_decision(account.back(), unwanted);
  } else if (prospect) {
    const Decision decision = decide(target, best_of(account), *prospect, seconds_left(build.demand, account));
    if (!decision.next) unwanted = decision.sentence;
    add_decision(account.back(), decision.sentence);
  }
  context.figure("unwanted", unwanted);
  Json reasons = Json::array();
  for (const std::string* sentence : {&account.back().sentence, &account.back().decision})
    if (!sentence->empty()) reasons.push_back(*sentence);
  context.figure("reasons", reasons);
}

void add_earlier_judges(line::Step& step, const std::string& than, const std::vector<std::string>& outputs) {
  const auto own = std::find(judges.begin(), judges.end(), than);
  for (auto judge = own == judges.end() ? judges.begin() : own + 1; judge != judges.end(); ++judge)
    for (const std::string& output : outputs)
      step.inputs.push_back({.name = fmt::format("{} of {}", output, *judge), .step = *judge, .output = output, .optional = true});
}

void add_judged_inputs(line::Step& step, const std::vector<std::string>& outputs) {
  add_earlier_judges(step, "", outputs);
  step.inputs.push_back({.name = "cuts", .step = "cuts", .output = "backbone", .optional = true});
  step.inputs.push_back({.name = "cuts-head", .step = "cuts-head", .output = "head", .optional = true});
  step.inputs.push_back({.name = "cuts-history", .step = "cuts-head", .output = "history", .optional = true});
}

Result<std::optional<std::string>> judged(line::StepContext& context, const std::string& output) {
  for (const char* judge : judges) {
    const std::string input = fmt::format("{} of {}", output, judge);
    if (!context.has_input(input)) continue;
    SIGHTLINE_TRY(std::string text, context.read_input(input));
    return std::optional(std::move(text));
  }
  return std::optional<std::string>();
}

Result<InForce> in_force(line::StepContext& context) {
  SIGHTLINE_TRY(const std::optional<std::string> model, judged(context, "model"));
  if (!model || model->empty()) return InForce{};
  if (*model == several_cuts) return InForce{.backbone = "cuts", .head = "cuts-head", .history = "cuts-history", .model = {}};
  return InForce{.model = *model};
}

Result<std::vector<Reached>> parse_account(const std::string& text) {
  SIGHTLINE_TRY(const Json json, parse_json(text, "how the recipe was chosen"));
  std::vector<Reached> account;
  SIGHTLINE_CHECK(from_json(json, account, "account"));
  return account;
}

}  // namespace sightline::factory
