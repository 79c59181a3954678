#include <unistd.h>

#include <array>
#include <filesystem>

#include "app/cli/model_source.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model, folder, onnx;
};

Error exists_already(const std::string& path) {
  return {ErrorKind::conflict, fmt::format("{}: exists already; name another path, or remove it", path)};
}

std::string without_slash(const std::string& path) {
  const fs::path full(absolute_path(path));
  return (full.has_filename() ? full : full.parent_path()).string();
}

Result<std::uint64_t> copy_files(const std::string& from, const std::string& to) {
  SIGHTLINE_TRY(const auto files, list_files(from, [](const std::string&, const std::string&) {}));
  std::uint64_t bytes = 0;
  for (const std::string& file : files) {
    const std::string target = fmt::format("{}/{}", to, file);
    SIGHTLINE_CHECK(make_directories(fs::path(target).parent_path().string()));
    SIGHTLINE_TRY(const std::string content, read_file(fmt::format("{}/{}", from, file)));
    SIGHTLINE_CHECK(write_file(target, content));
    bytes += content.size();
  }
  return bytes;
}

// Like every folder that matters: written beside, opened as its users will, renamed.
Result<std::uint64_t> export_folder(const std::string& from, const std::string& to) {
  const std::string target = without_slash(to);
  if (path_exists(target)) return exists_already(to);
  const std::string temporary = fmt::format("{}.writing-{}", target, ::getpid());
  const auto fill = [&]() -> Result<std::uint64_t> {
    SIGHTLINE_CHECK(remove_all(temporary));
    SIGHTLINE_CHECK(make_directories(temporary));
    SIGHTLINE_TRY(const std::uint64_t bytes, copy_files(from, temporary));
    const auto reopened = package::Model::open(temporary);
    if (!reopened.ok()) return reopened.error().in("the copy does not verify");
    if (path_exists(target)) return exists_already(to);
    SIGHTLINE_CHECK(rename_path(temporary, target));
    return bytes;
  };
  auto bytes = fill();
  if (!bytes.ok()) (void)remove_all(temporary);
  return bytes;
}

Result<int> export_model(const Options& options, Console& console) {
  if (options.folder.empty() && options.onnx.empty())
    return Error{ErrorKind::usage, "say where to: DIR for the whole package, --onnx FILE for the network alone"};
  SIGHTLINE_TRY(const FoundModel found, find_model(console, options.model));
  Json document{{"model", json_of(found)}};
  if (!options.folder.empty()) {
    if (found.kind == FoundModel::Kind::onnx)
      return Error{ErrorKind::unsupported, fmt::format("{} is a bare .onnx file, not a package; --onnx FILE copies it", found.path)};
    SIGHTLINE_TRY(const std::uint64_t bytes, export_folder(found.path, options.folder));
    console.say("{}  {}, opened and verified", options.folder, human_bytes(bytes));
    document["folder"] = absolute_path(options.folder);
    document["bytes"] = bytes;
  }
  if (!options.onnx.empty()) {
    if (path_exists(options.onnx)) return exists_already(options.onnx);
    SIGHTLINE_TRY(const std::string content, read_file(found.kind == FoundModel::Kind::onnx ? found.path : found.path + "/1/model.onnx"));
    SIGHTLINE_CHECK(make_directories(fs::path(absolute_path(options.onnx)).parent_path().string()));
    SIGHTLINE_CHECK(write_file(options.onnx, content));
    console.say("{}  {}", options.onnx, human_bytes(content.size()));
    document["onnx"] = absolute_path(options.onnx);
  }
  console.document(document);
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.positional("DIR", options->folder, "the folder to make; it must not exist", false);
  arguments.option("--onnx", options->onnx, "FILE", "also, or only: the network alone, as an ONNX file that any ONNX program reads");
  return [options](Console& console) { return export_model(*options, console); };
}

constexpr std::array examples{
    Example{"sightline export apparel models/apparel", "the package in force, as a folder that Triton serves as it is"},
    Example{"sightline export apparel:2 --onnx apparel.onnx", "only the network of version 2"},
};

}  // namespace

constexpr Verb export_verb{
    .name = "export",
    .group = Group::use,
    .summary = "copy a model out of the workspace, to be used elsewhere",
    .details =
        "The folder is copied whole (network, labels, lineage, card, golden samples), opened again and verified before it "
        "gets its name. It is a valid entry of a Triton model repository.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
