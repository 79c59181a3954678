#include "store/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/files.h"

namespace sightline::store {
namespace fs = std::filesystem;
namespace {

constexpr int busy_milliseconds = 10'000;

// "file:" URI with what has a meaning in one escaped.
std::string uri_of(const std::string& path, const char* options) {
  std::string uri = "file:";
  for (const char c : absolute_path(path)) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + options;
}

bool has_content(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

}  // namespace

Result<void> Database::connect(const std::string& name, int flags) {
  if (handle_ != nullptr) sqlite3_close(std::exchange(handle_, nullptr));
  const int code = sqlite3_open_v2(name.c_str(), &handle_, flags | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, nullptr);
  if (code != SQLITE_OK) return error(code);
  sqlite3_busy_timeout(handle_, busy_milliseconds);
  return integer("SELECT count(*) FROM sqlite_master").ok() ? Result<void>() : Result<void>(error(sqlite3_extended_errcode(handle_)));
}

// In a folder that cannot be written SQLite cannot make its shared memory; an immutable file needs none. What a killed writer left in the
// -wal file would not be seen then, so that case reads a copy.
Result<void> Database::open_for_reading() {
  read_only_ = true;
  if (!has_content(path_ + "-wal")) return connect(uri_of(path_, "?immutable=1"), SQLITE_OPEN_READONLY);
  std::string folder = fs::temp_directory_path().string() + "/sightline-registry-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return system_error("cannot create", folder);
  std::error_code code;
  fs::copy_file(path_, folder + "/registry.db", code);
  if (!code) fs::copy_file(path_ + "-wal", folder + "/registry.db-wal", code);
  Result<void> opened = code ? Result<void>(Error{ErrorKind::io, fmt::format("cannot copy {}: {}", path_, code.message())})
                             : connect(folder + "/registry.db", SQLITE_OPEN_READWRITE);
  if (opened.ok()) opened = execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA query_only = 1");
  (void)remove_all(folder);  // the open file lives on without a name
  return opened;
}

Result<Database> Database::open(const std::string& path) {
  Database database;
  database.path_ = path;
  const std::string folder = fs::path(path).parent_path().string();
  const bool writable =
      ::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0 && (!path_exists(path) || ::access(path.c_str(), W_OK) == 0);
  if (!writable && path_exists(path)) {
    SIGHTLINE_CHECK(database.open_for_reading());
    return database;
  }
  SIGHTLINE_CHECK(database.connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  SIGHTLINE_CHECK(database.execute("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL"));
  return database;
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)), read_only_(other.read_only_) {}
Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  std::swap(read_only_, other.read_only_);
  return *this;
}
Database::~Database() {
  if (handle_ != nullptr) sqlite3_close(handle_);
}

Error Database::error(int code) const {
  const char* said = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorKind::invalid_data,
              fmt::format("{} is damaged ({}); put a backup back with `sightline restore`, or move the file away to "
                          "begin an empty registry (its releases are forgotten, their files stay)",
                          path_, said)};
    case SQLITE_FULL:
      return {ErrorKind::io, fmt::format("cannot write {}: the disk is full: free some space and run the same command again", path_)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorKind::conflict,
              fmt::format("{} is held by another process for more than {} s; try again", path_, busy_milliseconds / 1000)};
    case SQLITE_READONLY:
      return {ErrorKind::io, fmt::format("cannot write {}: it is read-only; choose another place with --workspace", path_)};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_IOERR: return {ErrorKind::io, fmt::format("cannot use {}: {} (check the disk and the permissions)", path_, said)};
    case SQLITE_CONSTRAINT: return {ErrorKind::conflict, fmt::format("{}: {}", path_, said)};
    default: return {ErrorKind::internal, fmt::format("{}: {}", path_, said)};
  }
}

Result<void> Database::execute(const std::string& sql) const {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<std::int64_t> Database::integer(const std::string& sql) const {
  Statement statement(*this, sql);
  SIGHTLINE_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

Result<void> Database::copy_to(const std::string& path) const {
  SIGHTLINE_TRY(const Database target, open(path));
  sqlite3_backup* backup = sqlite3_backup_init(target.handle_, "main", handle_, "main");
  if (backup == nullptr) return target.error(sqlite3_extended_errcode(target.handle_));
  int code = SQLITE_OK;
  do {
    code = sqlite3_backup_step(backup, -1);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) sqlite3_sleep(10);
  } while (code == SQLITE_BUSY || code == SQLITE_LOCKED);
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return target.error(code);
  return target.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  code_ = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &statement_, nullptr);
}
Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}
Statement& Statement::bind(const std::string& value) {
  if (code_ == SQLITE_OK)
    code_ = sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);  // NOLINT
  return *this;
}
Statement& Statement::bind_null() {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, ++bound_);
  return *this;
}

Result<bool> Statement::step() {
  if (code_ != SQLITE_OK && code_ != SQLITE_ROW) return database_.error(code_);
  code_ = sqlite3_step(statement_);
  if (code_ == SQLITE_ROW) return true;
  if (code_ == SQLITE_DONE) return false;
  return database_.error(code_);
}

Result<void> Statement::run() {
  while (true) {
    SIGHTLINE_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes == nullptr ? "" : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}

Result<Transaction> Transaction::begin(const Database& database) {
  SIGHTLINE_CHECK(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}
Transaction::Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
Transaction::~Transaction() {
  if (database_ != nullptr) (void)database_->execute("ROLLBACK");
}
Result<void> Transaction::commit() {
  SIGHTLINE_CHECK(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace sightline::store
