#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "store/blob_store.h"

namespace sightline::store {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view tree_begin = R"({"sightline_tree":1,)";
constexpr std::uint64_t largest_tree = 256U << 20U;
constexpr std::size_t longest_path = 4095, longest_name = 255;

struct TreeFile {
  std::uint64_t bytes = 0;
  Digest sha256;
  static constexpr auto fields() { return std::tuple{field("bytes", &TreeFile::bytes), field("sha256", &TreeFile::sha256)}; }
};
struct TreeText {
  int sightline_tree = 0;
  std::map<std::string, TreeFile> files;
  static constexpr auto fields() {
    return std::tuple{field("sightline_tree", &TreeText::sightline_tree), field("files", &TreeText::files)};
  }
};

// Overlong forms and surrogates are refused too: two spellings of a name must not be one file.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80U                    ? 0
                             : lead >= 0xC2U && lead < 0xE0U ? 1
                             : (lead & 0xF0U) == 0xE0U       ? 2
                             : lead >= 0xF0U && lead < 0xF5U ? 3
                                                             : 4;
    if (more == 4 || i + more >= text.size()) return false;
    std::uint32_t code = lead & (more == 0 ? 0x7FU : 0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80U) return false;
      code = (code << 6U) | (next & 0x3FU);
    }
    if ((more == 2 && (code < 0x800U || (code >= 0xD800U && code < 0xE000U))) || (more == 3 && (code < 0x10000U || code > 0x10FFFFU)))
      return false;
    i += more + 1;
  }
  return true;
}

Error not_a_tree(const std::string& source, const std::string& why) {
  return {ErrorKind::invalid_data, fmt::format("{} is not the list of a stored folder: {}", source, why)};
}

// Hidden files too: what a folder holds is stored, or the caller is told.
Result<std::vector<std::string>> regular_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code code;
  for (fs::recursive_directory_iterator each(folder, code), end; !code && each != end; each.increment(code)) {
    const fs::file_status status = each->symlink_status(code);
    if (code) break;
    if (fs::is_directory(status)) continue;
    const std::string path = each->path().lexically_relative(folder).string();
    if (!fs::is_regular_file(status))
      return Error{ErrorKind::invalid_data, fmt::format("{}/{} is not a regular file (a symbolic link or a device); a stored folder holds "
                                                        "files and folders only",
                                                        folder, path)};
    if (!is_tree_path(path))
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{}: the name holds control characters, a backslash or broken UTF-8; rename it", folder, path)};
    files.push_back(path);
  }
  if (code) {
    errno = code.value();
    return system_error("cannot list", folder);
  }
  return files;
}

Result<void> rename_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) return system_error("cannot put into place", to);
    if (path_exists(to)) return Error{ErrorKind::conflict, to + " exists already"};
    return rename_path(from, to);
  }
  return sync_directory(fs::path(to).parent_path().string());
}

}  // namespace

bool is_tree_path(std::string_view path) {
  if (path.empty() || path.size() > longest_path || !is_utf8(path)) return false;
  std::size_t name = 0;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '/') {
      if (static_cast<unsigned char>(path[i]) < 0x20U || path[i] == 0x7F || path[i] == '\\') return false;
      continue;
    }
    const std::string_view part = path.substr(name, i - name);
    if (part.empty() || part == "." || part == ".." || part.size() > longest_name) return false;
    name = i + 1;
  }
  return true;
}

Result<std::map<std::string, TreeEntry>> parse_tree(std::string_view text, const std::string& source) {
  if (!text.starts_with(tree_begin)) return not_a_tree(source, "it begins otherwise");
  if (text.size() > largest_tree) return not_a_tree(source, fmt::format("longer than {} bytes", largest_tree));
  SIGHTLINE_TRY(const Json json, parse_json(text, source));
  TreeText tree;
  if (const auto read = from_json(json, tree, source); !read.ok()) return read.error();
  std::map<std::string, TreeEntry> entries;
  for (const auto& [path, file] : tree.files) {
    if (!is_tree_path(path))
      return not_a_tree(source, fmt::format("the path {:?} leads out of it or is no plain name", path.substr(0, 200)));
    if (!is_digest(file.sha256)) return not_a_tree(source, "a digest is not 64 hexadecimal characters");
    entries[path] = {file.sha256, file.bytes};
  }
  return entries;
}

Result<Digest> BlobStore::put_tree(const std::string& folder, const std::map<std::string, Digest>& known) {
  if (!is_directory(folder)) return Error{ErrorKind::not_found, folder + " is no folder"};
  SIGHTLINE_TRY(const std::vector<std::string> files, regular_files(folder));
  TreeText tree;
  for (const std::string& path : files) {
    TreeFile file;
    const auto shared = known.find(path);
    std::error_code code;
    if (shared != known.end() && fs::equivalent(folder + "/" + path, path_of(shared->second), code) && !code) {
      file.sha256 = shared->second;
    } else {
      SIGHTLINE_TRY(file.sha256, put_file(folder + "/" + path));
    }
    SIGHTLINE_TRY(file.bytes, bytes_of(file.sha256));
    tree.files[path] = file;
  }
  return put(fmt::format("{}\"files\":{}}}", tree_begin, json_text(to_json(tree.files))));
}

bool BlobStore::is_tree(const Digest& digest) const {
  const Descriptor fd(::open(path_of(digest).c_str(), O_RDONLY | O_CLOEXEC));
  std::string begin(tree_begin.size(), '\0');
  return fd.valid() && ::pread(fd.get(), begin.data(), begin.size(), 0) == static_cast<ssize_t>(begin.size()) && begin == tree_begin;
}

Result<std::map<std::string, TreeEntry>> BlobStore::tree_entries(const Digest& digest) const {
  SIGHTLINE_TRY(const std::uint64_t bytes, bytes_of(digest));
  if (!is_tree(digest) || bytes > largest_tree) return not_a_tree("the blob " + digest.substr(0, 12), "it begins otherwise");
  SIGHTLINE_TRY(const std::string text, get(digest));
  return parse_tree(text, "the blob " + digest.substr(0, 12));
}

Result<std::map<std::string, Digest>> BlobStore::tree(const Digest& digest) const {
  SIGHTLINE_TRY(const auto entries, tree_entries(digest));
  std::map<std::string, Digest> files;
  for (const auto& [path, entry] : entries) files[path] = entry.digest;
  return files;
}

Result<void> BlobStore::fill_folder(const std::map<std::string, TreeEntry>& entries, const std::string& folder, Links links) const {
  std::set<std::string> folders{folder};
  for (const auto& [path, entry] : entries) {
    const Result<std::uint64_t> bytes = bytes_of(entry.digest);
    if (!bytes.ok()) return bytes.error().in(path);
    if (*bytes != entry.bytes) {
      return Error{ErrorKind::invalid_data, fmt::format("{}: the blob {} has {} bytes instead of {}; run `sightline fsck --repair`", path,
                                                        entry.digest.substr(0, 12), *bytes, entry.bytes)};
    }
    const std::string target = folder + "/" + path;
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string parent = folder + "/" + path.substr(0, slash);
      if (folders.insert(parent).second && ::mkdir(parent.c_str(), 0755) != 0) return system_error("cannot create the folder", parent);
    }
    if (links == Links::allowed && ::link(path_of(entry.digest).c_str(), target.c_str()) == 0) continue;
    // No hard links here: another file system, one that has none, or too many of them.
    SIGHTLINE_TRY(const std::string content, get(entry.digest));
    if (sha256_of(content) != entry.digest) {
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: the blob {} is damaged; run `sightline fsck --repair`", path, entry.digest.substr(0, 12))};
    }
    SIGHTLINE_CHECK(write_file(target, content));
  }
  for (const std::string& each : folders) SIGHTLINE_CHECK(sync_directory(each));
  return {};
}

Result<void> BlobStore::materialize(const Digest& tree, const std::string& folder, Links links) const {
  SIGHTLINE_TRY(const auto entries, tree_entries(tree));
  std::string place = fs::path(folder).lexically_normal().string();
  while (place.size() > 1 && place.ends_with('/')) place.pop_back();
  std::error_code code;
  if (fs::symlink_status(place, code).type() != fs::file_type::not_found) return Error{ErrorKind::conflict, place + " exists already"};
  const std::string parent = fs::path(place).parent_path().string();
  if (!parent.empty()) SIGHTLINE_CHECK(make_directories(parent));
  std::string partial = place + ".partial-XXXXXX";
  if (::mkdtemp(partial.data()) == nullptr) return system_error("cannot create a folder beside", place);
  Result<void> done =
      ::chmod(partial.c_str(), 0755) == 0 ? fill_folder(entries, partial, links) : system_error("cannot change the mode of", partial);
  if (done.ok()) done = rename_new(partial, place);
  if (!done.ok()) (void)remove_all(partial);
  return done;
}

}  // namespace sightline::store
