// What the judges of escalation tell each other: the account, a row for each rung that was tried, and which of what they left is in force.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "factory/build.h"
#include "factory/escalation.h"
#include "factory/escalation_steps.h"

namespace sightline::factory {

// Judges of the rungs above the head, the last one first.
inline constexpr std::array judges{"judge-scratch", "judge-whole", "judge-tail", "judge-cuts"};
// What stands in a judge's "model" when the head on several cuts is in force.
inline constexpr const char* several_cuts = "the head on several cuts";
inline constexpr std::size_t least_validation = 20;  // pictures: fewer say nothing about two models

using Account = std::vector<Reached>;
Result<Account> read_account(line::StepContext& context, const std::string& input);
Result<void> put_account(line::StepContext& context, const Account& account);
const Reached& best_of(const Account& account);
void add_decision(Reached& reached, const std::string& sentence);

// The budget's part that the rungs above the heads have not taken.
double seconds_left(const demand::Demand& demand, const Account& account);
// That the steps behind these inputs took.
double seconds_behind(const line::StepContext& context, std::initializer_list<const char*> inputs);

// The figure "unwanted", which the next steps are skipped by: why the next rung is not taken; and the sentences.
void say_what_is_next(const BuildContext& build, line::StepContext& context, Account& account, const std::optional<Prospect>& prospect);

// These outputs of the judges that come before `than` (of all, when it is none), as optional inputs.
void add_earlier_judges(line::Step& step, const std::string& than, const std::vector<std::string>& outputs);

// The rungs that are trained (escalation_training.cpp): last stages, whole net, from scratch.
std::vector<line::Step> training_rungs(const BuildContext& build, const Worker& worker);

}  // namespace sightline::factory
