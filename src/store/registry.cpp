#include "store/registry.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "store/sqlite.h"

namespace sightline::store {
namespace {

constexpr std::int64_t application = 0x53474C4E;  // "SGLN" in SQLite's application_id

// Row n brings a file of format n (user_version) to format n + 1. A row that was released is never changed.
constexpr std::array<const char*, 2> migrations{R"(
  CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    demand TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT 'running',
    sentence TEXT NOT NULL DEFAULT '',
    process TEXT NOT NULL DEFAULT '');
  CREATE INDEX runs_by_demand ON runs (demand);
  CREATE TABLE names (
    name TEXT PRIMARY KEY,
    last_version INTEGER NOT NULL);
  CREATE TABLE releases (
    name TEXT NOT NULL REFERENCES names (name),
    version INTEGER NOT NULL,
    package TEXT NOT NULL,
    evaluation TEXT NOT NULL,
    report TEXT NOT NULL,
    created TEXT NOT NULL,
    run INTEGER REFERENCES runs (id),
    in_force INTEGER NOT NULL,
    figures TEXT NOT NULL,
    lineage TEXT NOT NULL,
    PRIMARY KEY (name, version));
  CREATE UNIQUE INDEX one_in_force ON releases (name) WHERE in_force = 1;
)",
                                                R"(
  CREATE TABLE backbones (
    name TEXT PRIMARY KEY,
    tree TEXT NOT NULL,
    created TEXT NOT NULL,
    about TEXT NOT NULL,
    figures TEXT NOT NULL);
)"};
constexpr auto newest = static_cast<std::int64_t>(migrations.size());

constexpr const char* release_columns =
    "SELECT name, version, package, evaluation, report, created, coalesce(run, 0), in_force, figures, lineage FROM releases ";

Result<Release> read_release(const Statement& row, const std::string& source) {
  Release release{.name = row.text(0),
                  .version = row.integer(1),
                  .package = row.text(2),
                  .evaluation = row.text(3),
                  .report = row.text(4),
                  .created = row.text(5),
                  .run = row.integer(6),
                  .in_force = row.integer(7) != 0,
                  .figures = {},
                  .lineage = {}};
  const std::string where = fmt::format("{}: release {} version {}", source, release.name, release.version);
  SIGHTLINE_TRY(release.figures, parse_json(row.text(8), where));
  SIGHTLINE_TRY(release.lineage, parse_json(row.text(9), where));
  return release;
}

// "HOST BOOT PID START": names a process beyond the reuse of its number.
struct Process {
  std::string host, boot;
  long id = 0;
  std::string start;
  std::string text() const { return fmt::format("{} {} {} {}", host, boot, id, start); }
};

std::string first_line(const std::string& path) {
  const auto content = read_file(path);
  return content.ok() ? trim(content->substr(0, content->find('\n'))) : "";
}

// Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so count from its closing bracket.
std::string start_of(long id) {
  const std::string stat = first_line(fmt::format("/proc/{}/stat", id));
  const std::size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return "";
  const std::vector<std::string> fields = split(stat.substr(bracket + 1), ' ');
  return fields.size() > 20 ? fields[20] : "";
}

Process this_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const long id = ::getpid();
  return {std::string(host.data()), first_line("/proc/sys/kernel/random/boot_id"), id, start_of(id)};
}

// False when in doubt: another machine's process cannot be asked.
bool is_gone(const std::string& text, const Process& self) {
  const std::vector<std::string> fields = split(text, ' ');
  if (fields.size() != 4 || fields[0] != self.host) return false;
  if (fields[1] != self.boot) return true;
  const long id = std::strtol(fields[2].c_str(), nullptr, 10);
  return id > 0 && start_of(id) != fields[3];
}

Result<void> check_digest(const Digest& digest, const char* what, bool optional) {
  if (is_digest(digest) || (optional && digest.empty())) return {};
  return Error{ErrorKind::internal, fmt::format("the release's {} is no digest: \"{}\"", what, digest.substr(0, 80))};
}

Result<void> upgrade(const Database& database) {
  // SQLite does not wait for other processes while it changes the journal mode.
  SIGHTLINE_TRY(const FileLock lock, FileLock::acquire(database.path() + ".lock"));
  SIGHTLINE_CHECK(database.execute("PRAGMA journal_mode = WAL"));
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  SIGHTLINE_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  for (auto step = static_cast<std::size_t>(version); step < migrations.size(); ++step) SIGHTLINE_CHECK(database.execute(migrations[step]));
  SIGHTLINE_CHECK(database.execute(fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", newest, application)));
  return transaction.commit();
}

}  // namespace

struct Registry::State {
  Database database;
};

Registry::Registry(std::unique_ptr<State> state) : state_(std::move(state)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Result<void> check_release_name(const std::string& name) {
  bool plain = !name.empty() && name.size() <= 64 && name.front() != '.';
  for (const char c : name) plain = plain && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.');
  if (plain) return {};
  return Error{ErrorKind::usage,
               fmt::format("{:?} is no name for a model: use letters, digits, - _ and ., not beginning with a dot, at most "
                           "64 of them",
                           name.substr(0, 100))};
}

Result<Registry> Registry::open(const std::string& path) {
  SIGHTLINE_TRY(Database database, Database::open(path));
  std::int64_t version = 0, owner = 0, tables = 0;
  {
    // In one statement, which sees one state: another process may be making the tables at this moment.
    Statement state(database,
                    "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), "
                    "(SELECT count(*) FROM sqlite_master)");
    SIGHTLINE_CHECK(state.step());
    version = state.integer(0);
    owner = state.integer(1);
    tables = state.integer(2);
  }
  if (owner != application || version != newest) {
    if (owner != application && (tables > 0 || owner != 0))
      return Error{ErrorKind::invalid_data,
                   path + " is a database, but not a Sightline registry; move it away or choose another --workspace"};
    if (version > newest)
      return Error{ErrorKind::conflict, fmt::format("{} was written by a newer Sightline (format {}, this one knows {}); upgrade sightline",
                                                    path, version, newest)};
    if (version < 0) return Error{ErrorKind::invalid_data, fmt::format("{}: format {} does not exist", path, version)};
    if (database.read_only())
      return Error{ErrorKind::io, fmt::format("{} is of an older format and cannot be written; open it once where it can", path)};
    SIGHTLINE_CHECK(upgrade(database));
  }
  return Registry(std::make_unique<State>(State{std::move(database)}));
}

Result<std::int64_t> Registry::begin_run(const std::string& demand) {
  const Database& database = state_->database;
  const Process self = this_process();
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  std::vector<std::int64_t> gone;
  Statement open_runs(database, "SELECT id, process FROM runs WHERE outcome = 'running'");
  while (true) {
    SIGHTLINE_TRY(const bool row, open_runs.step());
    if (!row) break;
    if (is_gone(open_runs.text(1), self)) gone.push_back(open_runs.integer(0));
  }
  for (const std::int64_t id : gone) {
    SIGHTLINE_CHECK(
        Statement(database, "UPDATE runs SET outcome = 'interrupted', sentence = 'its process was killed' WHERE id = ?").bind(id).run());
  }
  SIGHTLINE_CHECK(Statement(database, "INSERT INTO runs (demand, started, process) VALUES (?, ?, ?)")
                      .bind(demand)
                      .bind(utc_now())
                      .bind(self.text())
                      .run());
  SIGHTLINE_TRY(const std::int64_t id, database.integer("SELECT last_insert_rowid()"));
  SIGHTLINE_CHECK(transaction.commit());
  return id;
}

Result<void> Registry::end_run(std::int64_t id, const std::string& outcome, const std::string& sentence) {
  const Database& database = state_->database;
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  SIGHTLINE_CHECK(Statement(database, "UPDATE runs SET finished = ?, outcome = ?, sentence = ? WHERE id = ?")
                      .bind(utc_now())
                      .bind(outcome)
                      .bind(sentence)
                      .bind(id)
                      .run());
  SIGHTLINE_TRY(const std::int64_t changed, database.integer("SELECT changes()"));
  if (changed == 0) return Error{ErrorKind::not_found, fmt::format("there is no run {}", id)};
  return transaction.commit();
}

Result<std::vector<Run>> Registry::runs(const std::string& demand) const {
  Statement rows(state_->database,
                 "SELECT id, demand, started, finished, outcome, sentence FROM runs WHERE ?1 = '' OR demand = ?1 ORDER BY id");
  rows.bind(demand);
  std::vector<Run> runs;
  while (true) {
    SIGHTLINE_TRY(const bool row, rows.step());
    if (!row) return runs;
    runs.push_back({rows.integer(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4), rows.text(5)});
  }
}

Result<std::int64_t> Registry::add_release(const Release& release) {
  SIGHTLINE_CHECK(check_release_name(release.name));
  SIGHTLINE_CHECK(check_digest(release.package, "package", false));
  SIGHTLINE_CHECK(check_digest(release.evaluation, "evaluation", true));
  SIGHTLINE_CHECK(check_digest(release.report, "report", true));
  const Database& database = state_->database;
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  {
    Statement same(database, "SELECT version FROM releases WHERE name = ? AND package = ? AND in_force = 1");
    SIGHTLINE_TRY(const bool found, same.bind(release.name).bind(release.package).step());
    if (found) return same.integer(0);
  }
  SIGHTLINE_CHECK(Statement(database, "INSERT INTO names VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1")
                      .bind(release.name)
                      .run());
  std::int64_t version = 0;
  {
    Statement last(database, "SELECT last_version FROM names WHERE name = ?");
    SIGHTLINE_CHECK(last.bind(release.name).step());
    version = last.integer(0);
  }
  if (release.in_force) SIGHTLINE_CHECK(Statement(database, "UPDATE releases SET in_force = 0 WHERE name = ?").bind(release.name).run());
  Statement insert(database, "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?)");
  insert.bind(release.name).bind(version).bind(release.package).bind(release.evaluation).bind(release.report);
  insert.bind(release.created.empty() ? utc_now() : release.created).bind(release.run).bind(release.in_force ? 1 : 0);
  SIGHTLINE_CHECK(insert.bind(json_text(release.figures)).bind(json_text(release.lineage)).run());
  SIGHTLINE_CHECK(transaction.commit());
  return version;
}

Result<std::vector<Release>> Registry::releases(const std::string& name) const {
  Statement rows(state_->database, fmt::format("{} WHERE ?1 = '' OR name = ?1 ORDER BY name, version", release_columns));
  rows.bind(name);
  std::vector<Release> releases;
  while (true) {
    SIGHTLINE_TRY(const bool row, rows.step());
    if (!row) return releases;
    SIGHTLINE_TRY(Release release, read_release(rows, state_->database.path()));
    releases.push_back(std::move(release));
  }
}

Result<std::optional<Release>> Registry::release(const std::string& name, std::int64_t version) const {
  Statement rows(state_->database, fmt::format("{} WHERE name = ?1 AND (version = ?2 OR (?2 = 0 AND in_force = 1))", release_columns));
  SIGHTLINE_TRY(const bool row, rows.bind(name).bind(version).step());
  if (!row) return std::optional<Release>();
  SIGHTLINE_TRY(Release release, read_release(rows, state_->database.path()));
  return std::optional<Release>(std::move(release));
}

Result<void> Registry::set_in_force(const std::string& name, std::int64_t version) {
  const Database& database = state_->database;
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  SIGHTLINE_CHECK(Statement(database, "UPDATE releases SET in_force = 0 WHERE name = ?").bind(name).run());
  SIGHTLINE_CHECK(Statement(database, "UPDATE releases SET in_force = 1 WHERE name = ? AND version = ?").bind(name).bind(version).run());
  SIGHTLINE_TRY(const std::int64_t changed, database.integer("SELECT changes()"));
  if (changed == 0)
    return Error{ErrorKind::not_found,
                 fmt::format("there is no version {} of \"{}\"; `sightline list` shows what there is", version, name)};
  return transaction.commit();
}

Result<void> Registry::remove_release(const std::string& name, std::int64_t version) {
  const Database& database = state_->database;
  SIGHTLINE_TRY(Transaction transaction, Transaction::begin(database));
  {
    Statement found(database, "SELECT in_force FROM releases WHERE name = ? AND version = ?");
    SIGHTLINE_TRY(const bool row, found.bind(name).bind(version).step());
    if (!row)
      return Error{ErrorKind::not_found,
                   fmt::format("there is no version {} of \"{}\"; `sightline list` shows what there is", version, name)};
    if (found.integer(0) != 0) {
      return Error{
          ErrorKind::refused,
          fmt::format("version {} of \"{}\" is in force; put another one in force first (`sightline rollback {}`)", version, name, name)};
    }
  }
  SIGHTLINE_CHECK(Statement(database, "DELETE FROM releases WHERE name = ? AND version = ?").bind(name).bind(version).run());
  return transaction.commit();
}

namespace {
Result<Backbone> read_backbone(const Statement& row, const std::string& source) {
  Backbone backbone{.name = row.text(0), .tree = row.text(1), .created = row.text(2), .about = {}, .figures = {}};
  const std::string where = fmt::format("{}: backbone {}", source, backbone.name);
  SIGHTLINE_TRY(backbone.about, parse_json(row.text(3), where));
  SIGHTLINE_TRY(backbone.figures, parse_json(row.text(4), where));
  return backbone;
}
}  // namespace

Result<void> Registry::put_backbone(const Backbone& backbone) {
  SIGHTLINE_CHECK(check_release_name(backbone.name));
  SIGHTLINE_CHECK(check_digest(backbone.tree, "tree", false));
  Statement insert(state_->database, "INSERT OR REPLACE INTO backbones VALUES (?, ?, ?, ?, ?)");
  insert.bind(backbone.name).bind(backbone.tree).bind(backbone.created.empty() ? utc_now() : backbone.created);
  return insert.bind(json_text(backbone.about)).bind(json_text(backbone.figures)).run();
}

Result<std::vector<Backbone>> Registry::backbones() const {
  Statement rows(state_->database, "SELECT name, tree, created, about, figures FROM backbones ORDER BY name");
  std::vector<Backbone> backbones;
  while (true) {
    SIGHTLINE_TRY(const bool row, rows.step());
    if (!row) return backbones;
    SIGHTLINE_TRY(Backbone backbone, read_backbone(rows, state_->database.path()));
    backbones.push_back(std::move(backbone));
  }
}

Result<std::optional<Backbone>> Registry::backbone(const std::string& name) const {
  Statement rows(state_->database, "SELECT name, tree, created, about, figures FROM backbones WHERE name = ?");
  SIGHTLINE_TRY(const bool row, rows.bind(name).step());
  if (!row) return std::optional<Backbone>();
  SIGHTLINE_TRY(Backbone backbone, read_backbone(rows, state_->database.path()));
  return std::optional<Backbone>(std::move(backbone));
}

Result<void> Registry::remove_backbone(const std::string& name) {
  const Database& database = state_->database;
  SIGHTLINE_CHECK(Statement(database, "DELETE FROM backbones WHERE name = ?").bind(name).run());
  SIGHTLINE_TRY(const std::int64_t changed, database.integer("SELECT changes()"));
  if (changed == 0)
    return Error{ErrorKind::not_found, fmt::format("there is no backbone \"{}\"; `sightline backbone list` shows what there is", name)};
  return {};
}

Result<void> Registry::check() const {
  const Database& database = state_->database;
  Statement integrity(database, "PRAGMA integrity_check(1)");
  SIGHTLINE_TRY(const bool row, integrity.step());
  if (row && integrity.text(0) != "ok") {
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} is damaged ({}); put a backup back with `sightline restore`", database.path(), integrity.text(0))};
  }
  struct Invariant {
    const char* count;
    const char* broken;
  };
  constexpr std::array<Invariant, 3> invariants{{
      {"SELECT count(*) FROM pragma_foreign_key_check", "rows that point at rows that are not there"},
      {"SELECT count(*) FROM releases JOIN names USING (name) WHERE version < 1 OR version > last_version",
       "releases with impossible version numbers"},
      {"SELECT count(*) FROM runs WHERE started = ''", "runs that never began"},
  }};
  for (const Invariant& each : invariants) {
    SIGHTLINE_TRY(const std::int64_t count, database.integer(each.count));
    if (count != 0)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{} holds {} {}; put a backup back with `sightline restore`", database.path(), count, each.broken)};
  }
  SIGHTLINE_TRY(const std::vector<Release> all, releases());
  for (const Release& release : all) {
    if (!check_release_name(release.name).ok() || !check_digest(release.package, "package", false).ok() ||
        !check_digest(release.evaluation, "evaluation", true).ok() || !check_digest(release.report, "report", true).ok()) {
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: release {:?} version {} holds a bad name or digest; put a backup back with `sightline restore`",
                               database.path(), release.name, release.version)};
    }
  }
  return {};
}

Result<void> Registry::backup_to(const std::string& path) const {
  if (path_exists(path)) return Error{ErrorKind::conflict, path + " exists already"};
  return state_->database.copy_to(path);
}

}  // namespace sightline::store
