// SQLite in our own words: a connection and statements that give Results. Only the registry includes this.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sightline::store {

class Database {
 public:
  // WAL, foreign keys, a busy timeout of 10 s. On a file system that cannot be written it opens for reading (read_only()).
  static Result<Database> open(const std::string& path);
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();

  // Runs statements that give no rows.
  Result<void> execute(const std::string& sql) const;
  Result<std::int64_t> integer(const std::string& sql) const;  // the first column of the first row
  Result<void> copy_to(const std::string& path) const;         // SQLite's online backup
  // What the last call said, as an Error: corrupt data, a full disk, a read-only or busy file each with what to do.
  Error error(int code) const;

  bool read_only() const { return read_only_; }
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }

 private:
  Database() = default;
  Result<void> connect(const std::string& name, int flags);
  Result<void> open_for_reading();

  sqlite3* handle_ = nullptr;
  std::string path_;
  bool read_only_ = false;
};

class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::int64_t value);  // parameters in their order
  Statement& bind(const std::string& value);
  Statement& bind_null();
  Result<bool> step();  // true: a row stands ready
  Result<void> run();   // to the end

  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int code_ = 0, bound_ = 0;
};

// BEGIN IMMEDIATE, undone unless committed.
class Transaction {
 public:
  static Result<Transaction> begin(const Database& database);
  Transaction(Transaction&& other) noexcept;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(const Database& database) : database_(&database) {}
  const Database* database_;
};

}  // namespace sightline::store
