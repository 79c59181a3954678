#include "factory/build_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/clock.h"
#include "base/progress_events.h"

namespace sightline::factory {
namespace {

const char* word_of(line::Decision decision) {
  switch (decision) {
    case line::Decision::reuse: return "reuse";
    case line::Decision::skip: return "skip";
    case line::Decision::run: return "run";
    case line::Decision::unknown: return "unknown";
  }
  return "";
}

const char* state_of(const line::Planned& planned, const line::StepRecord* finished) {
  if (planned.decision == line::Decision::skip) return "skipped";
  if (finished == nullptr) return "running";
  return planned.decision == line::Decision::reuse ? "reused" : "done";
}

bool lives(std::int64_t process) { return process > 0 && (::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM); }

void fold(const Json& line, BuildState& state) {
  const std::string event = line.value("event", "");
  if (event == "begin") {
    state = {.name = state.name, .begun = line.value("when", ""), .outcome = "running"};
    state.process = line.value("process", std::int64_t{0});
    state.metric = line.value("metric", "");
    state.target = line.value("target", 0.0);
    state.steps = line.value("steps", Json::array());
    for (Json& step : state.steps) step["state"] = "waiting";
  } else if (event == "step") {
    for (Json& step : state.steps) {
      if (step.value("step", "") != line.value("step", "")) continue;
      for (const char* key : {"state", "seconds", "figures", "sentence", "when"})
        if (line.contains(key)) step[key] = line[key];
    }
    state.progress = nullptr;
  } else if (event == "progress") {
    state.progress = line;
  } else if (event == "epoch") {
    // Another training begins with its first epoch.
    if (line.value("epoch", 0) <= 1) state.epochs = Json::array();
    state.epochs.push_back(line);
  } else if (event == "candidate") {
    state.candidates.push_back(line);
  } else if (event == "end") {
    state.outcome = line.value("outcome", "");
    state.sentence = line.value("sentence", "");
    state.progress = nullptr;
  }
}

}  // namespace

std::string build_journal_path(const std::string& workspace_root, const std::string& name) {
  return workspace_root + "/builds/" + name + ".jsonl";
}

BuildJournal::BuildJournal(const std::string& workspace_root, const std::string& name) : path_(build_journal_path(workspace_root, name)) {}

BuildJournal::~BuildJournal() { set_progress_listener({}); }

Result<void> BuildJournal::begin(const std::vector<line::Planned>& planned, const demand::Demand& demand) {
  SIGHTLINE_CHECK(make_directories(path_.substr(0, path_.rfind('/'))));
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (!file_.valid()) return system_error("cannot write", path_);
  Json steps = Json::array();
  for (const line::Planned& each : planned)
    steps.push_back({{"step", each.step},
                     {"says", each.says},
                     {"decision", word_of(each.decision)},
                     {"sentence", each.sentence},
                     {"expected_seconds", each.expected_seconds}});
  write({{"event", "begin"},
         {"when", utc_now()},
         {"process", ::getpid()},
         {"metric", demand.target.metric},
         {"target", demand.target.at_least},
         {"steps", steps}});
  set_progress_listener([this](const std::string& kind, const Json& data) {
    if (!data.is_object()) return;
    Json line = data;
    line["event"] = kind;
    write(std::move(line));
  });
  return {};
}

void BuildJournal::step(const line::Planned& planned, const line::StepRecord* finished) {
  {
    const std::lock_guard lock(mutex_);
    step_ = finished == nullptr ? planned.step : "";
  }
  Json line{{"event", "step"}, {"step", planned.step}, {"state", state_of(planned, finished)}, {"sentence", planned.sentence}};
  line["when"] = utc_now();
  if (finished != nullptr && planned.decision != line::Decision::reuse) line["seconds"] = finished->seconds;
  if (finished != nullptr) line["figures"] = finished->figures;
  write(std::move(line));
}

void BuildJournal::end(const std::string& outcome, const std::string& sentence) {
  set_progress_listener({});
  write({{"event", "end"}, {"outcome", outcome}, {"sentence", sentence}, {"when", utc_now()}});
}

void BuildJournal::write(Json line) {
  const std::lock_guard lock(mutex_);
  if (!step_.empty() && !line.contains("step")) line["of"] = step_;
  (void)write_all(file_.get(), json_text(line) + "\n");
}

Result<BuildState> read_build_journal(const std::string& workspace_root, const std::string& name) {
  SIGHTLINE_CHECK(store::check_release_name(name));
  const std::string path = build_journal_path(workspace_root, name);
  if (!path_exists(path)) return Error{ErrorKind::not_found, fmt::format("no build of \"{}\" has left a journal in this workspace", name)};
  SIGHTLINE_TRY(const std::string text, read_file(path));
  BuildState state{.name = name, .outcome = "running"};
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const Json line =
        Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (line.is_object()) fold(line, state);
  }
  if (state.outcome == "running" && !lives(state.process)) {
    state.outcome = "interrupted";
    state.sentence = "its process is gone";
    state.progress = nullptr;
  }
  return state;
}

}  // namespace sightline::factory
