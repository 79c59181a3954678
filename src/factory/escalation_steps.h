// The rungs above the head on the frozen backbone, as steps (escalation.h has the rule). Each judge tells what was reached, keeps the
// better of two models and says whether the next rung is wanted; a rung that is not wanted is skipped by the line.
//
//   head → judge → cuts → pilot → cuts-head → judge-cuts → tail-data → tail → judge-tail → whole-data → whole → judge-whole
//        → scratch-pilot → scratch-data → scratch → judge-scratch → package
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "factory/build.h"
#include "factory/escalation.h"

namespace sightline::factory {

struct Worker {
  std::function<Result<std::string>()> program, version;  // asked only when something is to be trained
};

// The steps between head and package.
std::vector<line::Step> escalation_steps(const BuildContext& build, const Worker& worker);

// For the steps behind: "model", "history" or "account" of every judge that may have run, and what the head on several cuts is made of.
void add_judged_inputs(line::Step& step, const std::vector<std::string>& outputs);
// Of the last judge of a rung above the head that ran; nothing when none did.
Result<std::optional<std::string>> judged(line::StepContext& context, const std::string& output);

// What is in force by the judges: a frozen backbone with a head (these are the step's inputs of it), or a net of its own.
struct InForce {
  std::string backbone = "backbone", head = "head", history = "history";
  std::string model;  // ONNX; "" for a frozen backbone with a head
};
Result<InForce> in_force(line::StepContext& context);

// "account": how the recipe was chosen, a row for each rung that was tried.
Result<std::vector<Reached>> parse_account(const std::string& text);

}  // namespace sightline::factory
