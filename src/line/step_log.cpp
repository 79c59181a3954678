#include "line/step_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/log.h"

namespace sightline::line {
namespace {

constexpr std::string_view key_begin = R"({"key":")", pipeline_begin = R"(","pipeline":)", step_begin = R"(,"step":)";
constexpr std::string_view sum_begin = R"(,"sum":")", sum_end = "\"}";
constexpr std::size_t sum_digits = 16;

// What the index needs, first and in this order, so that it is found without parsing; then the rest; then the checksum of all before it.
std::string line_of(const StepRecord& record) {
  Json rest = to_json(record);
  for (const char* key : {"key", "pipeline", "step"}) rest.erase(key);
  std::string line = fmt::format("{}{}{}{}{}{},{}", key_begin, record.key, pipeline_begin, json_text(record.pipeline), step_begin,
                                 json_text(record.step), json_text(rest).substr(1));
  line.pop_back();
  return fmt::format("{}{}{}{}\n", line, sum_begin, sha256_of(line).substr(0, sum_digits), sum_end);
}

std::string step_index(std::string_view quoted_pipeline, std::string_view quoted_step) {
  std::string index(quoted_pipeline);
  index += '\n';
  index += quoted_step;
  return index;
}

// The quoted JSON string at the front of text, taken off it.
std::optional<std::string_view> take_string(std::string_view& text) {
  if (text.empty() || text.front() != '"') return std::nullopt;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      const std::string_view taken = text.substr(0, i + 1);
      text.remove_prefix(i + 1);
      return taken;
    }
  }
  return std::nullopt;
}

struct Head {
  Digest key;
  std::string step;  // as step_index() says
};

// The checked line's head, or nothing when the line is bad.
std::optional<Head> head_of(std::string_view line) {
  const std::size_t tail = sum_begin.size() + sum_digits + sum_end.size();
  if (line.size() < key_begin.size() + 64 + tail) return std::nullopt;
  const std::string_view body = line.substr(0, line.size() - tail);
  if (!line.substr(body.size()).starts_with(sum_begin) || !line.ends_with(sum_end)) return std::nullopt;
  if (line.substr(body.size() + sum_begin.size(), sum_digits) != sha256_of(body).substr(0, sum_digits)) return std::nullopt;
  if (!body.starts_with(key_begin)) return std::nullopt;
  Head head{Digest(body.substr(key_begin.size(), 64)), ""};
  std::string_view rest = body.substr(key_begin.size() + 64);
  if (!is_digest(head.key) || !rest.starts_with(pipeline_begin)) return std::nullopt;
  rest.remove_prefix(pipeline_begin.size());
  const auto pipeline = take_string(rest);
  if (!pipeline || !rest.starts_with(step_begin)) return std::nullopt;
  rest.remove_prefix(step_begin.size());
  const auto step = take_string(rest);
  if (!step) return std::nullopt;
  head.step = step_index(*pipeline, *step);
  return head;
}

std::optional<StepRecord> record_of(std::string_view line) {
  const std::size_t tail = sum_begin.size() + sum_digits + sum_end.size();
  Result<Json> json = parse_json(std::string(line.substr(0, line.size() - tail)) + "}", "a record");
  if (!json.ok()) return std::nullopt;
  StepRecord record;
  if (!from_json(*json, record, "").ok()) return std::nullopt;
  return record;
}

// The file, locked against other writers; the one that has the name, should repair() have replaced it while we waited.
Result<Descriptor> open_locked(const std::string& path, int flags) {
  while (true) {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0644));
    if (!fd.valid()) return system_error("cannot write", path);
    int status = 0;
    do {
      status = ::flock(fd.get(), LOCK_EX);
    } while (status != 0 && errno == EINTR);
    if (status != 0) return system_error("cannot lock", path);
    struct stat held {
    }, named{};
    if (::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino) return fd;
  }
}

}  // namespace

Result<StepLog> StepLog::open(const std::string& path) {
  StepLog log;
  log.path_ = path;
  SIGHTLINE_CHECK(log.reload());
  return log;
}

Result<void> StepLog::reload() {
  const Descriptor fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.valid()) return read_from(fd.get());
  if (errno != ENOENT) return system_error("cannot open", path_);
  forget();
  return {};
}

void StepLog::forget() {
  text_.clear();
  lines_.clear();
  by_key_.clear();
  by_step_.clear();
  records_.clear();
}

Result<void> StepLog::read_from(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error("cannot read", path_);
  const auto size = static_cast<std::size_t>(info.st_size);
  if (info.st_ino != inode_ || size < text_.size()) forget();
  inode_ = info.st_ino;
  const std::size_t before = text_.size();
  text_.resize(std::max(size, before));
  std::size_t done = before;
  while (done < text_.size()) {
    const ssize_t got = ::pread(fd, text_.data() + done, text_.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = system_error("cannot read", path_);
      text_.resize(before);
      return error;
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  const std::size_t newline = done > before ? text_.rfind('\n', done - 1) : std::string::npos;
  text_.resize(newline == std::string::npos ? before : std::max(before, newline + 1));
  Result<void> indexed = index(before);
  if (!indexed.ok()) forget();
  return indexed;
}

Result<void> StepLog::index(std::size_t from) {
  while (from < text_.size()) {
    const std::size_t end = text_.find('\n', from);
    auto head = head_of(std::string_view(text_).substr(from, end - from));
    if (!head) {
      return Error{
          ErrorKind::invalid_data,
          fmt::format("{}:{}: this record is damaged (its checksum does not fit); `sightline fsck --repair` sets bad lines aside in "
                      "{}.bad, and their steps run again",
                      path_, lines_.size() + 1, path_)};
    }
    by_key_[head->key] = lines_.size();
    by_step_[std::move(head->step)] = lines_.size();
    lines_.push_back({from, end, nullptr});
    from = end + 1;
  }
  return {};
}

const StepRecord* StepLog::parsed(std::size_t index) const {
  const Line& line = lines_[index];
  if (line.record == nullptr) {
    auto record = record_of(std::string_view(text_).substr(line.begin, line.end - line.begin));
    if (!record) {  // a whole line that another version wrote: its step runs again
      log_warning("{}:{}: this record cannot be read by this version and is passed over", path_, index + 1);
      return nullptr;
    }
    line.record = std::make_unique<StepRecord>(*std::move(record));
  }
  return line.record.get();
}

const StepRecord* StepLog::find(const Digest& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : parsed(found->second);
}

const StepRecord* StepLog::last(const std::string& pipeline, const std::string& step) const {
  const auto found = by_step_.find(step_index(json_text(pipeline), json_text(step)));
  return found == by_step_.end() ? nullptr : parsed(found->second);
}

const std::vector<StepRecord>& StepLog::records() const {
  if (records_.size() != lines_.size()) {
    records_.clear();
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const StepRecord* record = parsed(i);
      records_.push_back(record != nullptr ? *record : StepRecord{});
    }
  }
  return records_;
}

std::vector<Digest> StepLog::current_outputs() const {
  std::vector<Digest> digests;
  for (const auto& [step, index] : by_step_) {
    const StepRecord* record = parsed(index);
    if (record == nullptr) continue;
    for (const auto& [name, digest] : record->outputs) digests.push_back(digest);
  }
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  return digests;
}

Result<void> StepLog::append(const StepRecord& record) {
  if (!is_digest(record.key)) return Error{ErrorKind::internal, fmt::format("the record of step \"{}\" has no key", record.step)};
  SIGHTLINE_TRY(const Descriptor fd, open_locked(path_, O_CREAT | O_APPEND));
  const bool fresh = text_.empty();
  SIGHTLINE_CHECK(read_from(fd.get()));
  const auto good = static_cast<off_t>(text_.size());
  if (::ftruncate(fd.get(), good) != 0) return system_error("cannot cut the torn end off", path_);
  if (!write_all(fd.get(), line_of(record)) || ::fsync(fd.get()) != 0) {
    Error error = system_error("cannot append to", path_);
    (void)!::ftruncate(fd.get(), good);
    return error;
  }
  if (fresh) SIGHTLINE_CHECK(sync_directory(std::filesystem::path(path_).parent_path().string()));
  return read_from(fd.get());
}

Result<std::size_t> StepLog::repair(const std::string& path) {
  if (!path_exists(path)) return 0;
  SIGHTLINE_TRY(const Descriptor fd, open_locked(path, 0));
  SIGHTLINE_TRY(const std::string text, read_file(path));
  std::string good, bad;
  std::size_t count = 0;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(text).substr(begin, end + 1 - begin);
    const bool whole = head_of(line.substr(0, line.size() - 1)).has_value();
    (whole ? good : bad) += line;
    count += whole ? 0 : 1;
  }
  if (count == 0) return 0;
  const std::string aside = path + ".bad";
  if (path_exists(aside)) {
    SIGHTLINE_TRY(const std::string before, read_file(aside));
    bad = before + bad;
  }
  SIGHTLINE_CHECK(write_file(aside, bad));
  SIGHTLINE_CHECK(write_file(path, good));
  return count;
}

}  // namespace sightline::line
