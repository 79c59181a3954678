#include "app/cli/data_convert.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "dataset/convert.h"
#include "dataset/import.h"

namespace sightline::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown = 5;

Result<void> copy_picture(const std::string& from, const std::string& to) {
  SIGHTLINE_CHECK(make_directories(fs::path(to).parent_path().string()));
  std::error_code code;
  fs::copy_file(from, to, code);
  if (code) return Error{ErrorKind::io, fmt::format("cannot copy {} to {}: {}", from, to, code.message())};
  return {};
}

// What stands in the way of an exact conversion: unreadable annotations, and what the format has no words for.
std::vector<std::string> all_losses(const dataset::Conversion& conversion) {
  std::vector<std::string> losses;
  for (const dataset::Refusal& refusal : conversion.collection.refused)
    if (refusal.loss != dataset::Loss::none) losses.push_back(refusal.path + ": " + refusal.reason);
  std::sort(losses.begin(), losses.end());
  losses.insert(losses.begin(), conversion.losses.begin(), conversion.losses.end());
  return losses;
}

}  // namespace

Result<int> convert_data(Console& console, const demand::Data& data, const DataConversion& wanted) {
  dataset::BoxFormat to{};
  if (!enum_from(wanted.to, to)) return Error{ErrorKind::usage, "convert wants --to coco, yolo or voc"};
  std::error_code code;
  if (fs::exists(wanted.out, code) && !fs::is_empty(wanted.out, code))
    return Error{ErrorKind::conflict, fmt::format("{} holds something already; name a new folder", wanted.out)};
  SIGHTLINE_TRY(dataset::Collection collection, dataset::read_collection(data));
  const std::string root = is_directory(data.path) ? data.path : fs::path(data.path).parent_path().string();
  if (collection.format != to) dataset::settle_sizes(collection, root);
  const std::string from = enum_name(collection.format);
  const dataset::Conversion conversion = dataset::convert(std::move(collection), to);
  const std::vector<std::string> losses = all_losses(conversion);
  if (wanted.strict && !losses.empty())
    return Error{ErrorKind::refused,
                 fmt::format("nothing is written, because {} cannot carry everything:\n  {}", wanted.to, join(losses, "\n  "))};

  for (const dataset::TextFile& file : dataset::write_collection(conversion.collection)) {
    const std::string path = wanted.out + "/" + file.path;
    SIGHTLINE_CHECK(make_directories(fs::path(path).parent_path().string()));
    SIGHTLINE_CHECK(write_file(path, file.text));
  }
  for (const auto& [old_path, new_path] : conversion.pictures)
    if (!wanted.without_pictures) SIGHTLINE_CHECK(copy_picture(root + "/" + old_path, wanted.out + "/" + new_path));

  std::size_t objects = 0;
  for (const dataset::CollectedPicture& picture : conversion.collection.pictures) objects += picture.objects.size();
  console.document({{"from", from},
                    {"to", wanted.to},
                    {"out", wanted.out},
                    {"images", conversion.collection.pictures.size()},
                    {"objects", objects},
                    {"classes", conversion.collection.categories.size()},
                    {"losses", losses},
                    {"remarks", conversion.remarks}});
  console.say("{} with {} of {}: {} to {}, in {}", plural(conversion.collection.pictures.size(), "image"), plural(objects, "object"),
              plural(conversion.collection.categories.size(), "class"), from, wanted.to, wanted.out);
  if (!losses.empty()) console.say("\n{} (--strict would write nothing):", console.paint(Colour::yellow, "lost"));
  for (std::size_t i = 0; i < losses.size() && (i < conversion.losses.size() + shown); ++i) console.say("  {}", losses[i]);
  if (losses.size() > conversion.losses.size() + shown)
    console.say("  … and {} more (--json for all)", losses.size() - conversion.losses.size() - shown);
  for (const std::string& remark : conversion.remarks) console.remark("{}", remark);
  return 0;
}

}  // namespace sightline::cli
