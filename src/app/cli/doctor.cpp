#include <dlfcn.h>
#include <link.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "app/cli/model_source.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/machine.h"
#include "base/text.h"
#include "image/video.h"
#include "line/worker.h"
#include "runtime/precision.h"
#include "store/workspace.h"

namespace sightline::cli {
namespace {

namespace fs = std::filesystem;

enum class State { fine, note, missing };

struct Finding {
  std::string what;
  State state = State::fine;
  std::string says;
  std::string remedy{};
};

Finding check_processor() {
  Finding finding{
      .what = "processor",
      .says = fmt::format("{}; {} usable; {}, kernels for {}", processor_name(), plural(static_cast<std::uint64_t>(usable_cores()), "core"),
                          simd_level(), runtime::instruction_set())};
  if (simd_level() != "avx512_vnni" && simd_level() != "avx512" && simd_level() != "avx2") {
    finding.state = State::note;
    finding.remedy = "without AVX2 everything works, but many times slower";
  }
  return finding;
}

Finding check_memory() {
  Finding finding{.what = "memory", .says = fmt::format("{} of {} free", human_bytes(available_memory()), human_bytes(total_memory()))};
  if (available_memory() < 1'000'000'000) {
    finding.state = State::note;
    finding.remedy = "training wants about 1 GB; close other programs, or use smaller images and batches";
  }
  return finding;
}

// The nearest folder that exists decides, for a workspace that is still to be made.
Finding check_disk(const std::string& workspace) {
  fs::path place = absolute_path(workspace);
  std::error_code code;
  while (!fs::exists(place, code) && place.has_parent_path() && place != place.parent_path()) place = place.parent_path();
  const fs::space_info space = fs::space(place, code);
  if (code) return {.what = "disk", .state = State::note, .says = fmt::format("{}: {}", place.string(), code.message())};
  Finding finding{.what = "disk",
                  .says = fmt::format("{} of {} free at {}", human_bytes(space.available), human_bytes(space.capacity), place.string())};
  if (space.available < 2'000'000'000) {
    finding.state = State::note;
    finding.remedy =
        "a workspace holds a copy of the images at network size; --workspace DIR puts it elsewhere, `sightline gc` frees what no release "
        "needs";
  }
  return finding;
}

struct Library {
  const char* file;  // how its shared object begins
  const char* what;
};

// The first four are named by their release; of the others the file tells the version of its interface only.
constexpr std::array libraries{
    Library{"libdnnl.so", "oneDNN"},         Library{"libopencv_core.so", "OpenCV"},      Library{"libsqlite3.so", "SQLite"},
    Library{"libopenblas.so", "OpenBLAS"},   Library{"libprotobuf.so", "libprotobuf.so"}, Library{"libjpeg.so", "libjpeg.so"},
    Library{"libpng16.so", "libpng16.so"},   Library{"libwebp.so", "libwebp.so"},         Library{"libtiff.so", "libtiff.so"},
    Library{"libcrypto.so", "libcrypto.so"},
};

// What this process has really loaded, by the version in the file's real name ("libdnnl.so.2" is a link to "libdnnl.so.2.6").
std::vector<std::pair<std::string, std::string>> loaded_libraries() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        if (info->dlpi_name != nullptr && *info->dlpi_name != '\0')
          static_cast<std::vector<std::string>*>(into)->emplace_back(info->dlpi_name);
        return 0;
      },
      &paths);
  std::vector<std::pair<std::string, std::string>> found;
  for (const Library& library : libraries) {
    for (const std::string& path : paths) {
      if (!fs::path(path).filename().string().starts_with(library.file)) continue;
      std::error_code code;
      const std::string real = fs::canonical(path, code).filename().string();
      const std::size_t at = real.find(".so.");
      found.emplace_back(library.what, code || at == std::string::npos ? "?" : real.substr(at + 4));
      break;
    }
  }
  // Two whose file names say nothing of their versions.
  using TextFunction = const char* (*)();
  const auto replace = [&](const char* what, const char* symbol) {
    void* function = ::dlsym(RTLD_DEFAULT, symbol);
    if (function == nullptr) return;
    TextFunction call = nullptr;
    std::memcpy(&call, &function, sizeof call);
    for (auto& [name, version] : found) {
      if (name == what) version = call();
      if (version.starts_with("OpenBLAS ")) version = split(version, ' ')[1];  // its configuration follows
    }
  };
  replace("SQLite", "sqlite3_libversion");
  replace("OpenBLAS", "openblas_get_config");
  return found;
}

Finding check_libraries() {
  std::vector<std::string> parts;
  for (const auto& [name, version] : loaded_libraries()) parts.push_back(fmt::format("{} {}", name, version));
  return {.what = "libraries", .says = join(parts, ", ")};
}

std::string first_line_of(const std::string& program, const char* argument) {
  std::string quoted = "'";
  for (const char c : program) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  std::FILE* pipe = ::popen(fmt::format("{}' {} 2>/dev/null", quoted, argument).c_str(), "re");
  if (pipe == nullptr) return "";
  std::array<char, 512> text{};
  const std::size_t got = std::fread(text.data(), 1, text.size() - 1, pipe);
  if (::pclose(pipe) != 0) return "";
  return trim(split(std::string_view(text.data(), got), '\n').front());
}

Finding check_training() {
  const auto worker = line::find_worker("sightline-train");
  if (!worker.ok())
    return {.what = "training", .state = State::missing, .says = "sightline-train was not found", .remedy = worker.error().message};
  const std::string version = first_line_of(*worker, "--version");
  if (version.empty())
    return {.what = "training",
            .state = State::missing,
            .says = *worker + " does not start",
            .remedy = "its libraries may be missing: run it with --version to see which, and install libtorch1.13"};
  return {.what = "training", .says = fmt::format("{} ({})", version, *worker)};
}

Finding check_video() {
  const auto decoder = image::find_video_decoder();
  if (!decoder.ok())
    return {.what = "video", .state = State::note, .says = "sightline-video was not found", .remedy = decoder.error().message};
  const std::string version = first_line_of(*decoder, "--version");
  if (version.empty())
    return {.what = "video",
            .state = State::note,
            .says = *decoder + " does not start",
            .remedy = "its libraries may be missing: run it with --version to see which, and install libavformat59 and libswscale6"};
  return {.what = "video", .says = fmt::format("{} ({})", version, *decoder)};
}

Finding check_gpu() {
  std::vector<std::string> devices;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator("/dev", code)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("nvidia") && name.size() > 6 && name.find_first_not_of("0123456789", 6) == std::string::npos)
      devices.push_back(entry.path().string());
  }
  if (devices.empty()) return {.what = "GPU", .says = "none found; none is needed"};
  std::sort(devices.begin(), devices.end());
  std::string driver;
  std::ifstream file("/proc/driver/nvidia/version");
  std::getline(file, driver);
  return {.what = "GPU",
          .state = State::note,
          .says = fmt::format("{}{}", join(devices, ", "), driver.empty() ? "" : " (" + driver + ")"),
          .remedy = "models are trained and run on the processor; the GPU is not used"};
}

Finding check_fashion_mnist() {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (is_directory(folder)) return {.what = "example data", .says = folder};
  return {.what = "example data",
          .state = State::missing,
          .says = "Fashion-MNIST, which `make demo` uses, is not installed",
          .remedy = "sudo apt-get install dataset-fashion-mnist"};
}

Finding check_workspace(const std::string& root) {
  if (!path_exists(root + "/format"))
    return {.what = "workspace", .says = fmt::format("none at {} yet; `sightline build` makes it", absolute_path(root))};
  const auto workspace = store::Workspace::open(root, false);
  if (!workspace.ok())
    return {.what = "workspace", .state = State::missing, .says = workspace.error().message, .remedy = "`sightline fsck` says more"};
  const auto releases = workspace->registry().releases();
  if (!releases.ok())
    return {.what = "workspace", .state = State::missing, .says = releases.error().message, .remedy = "`sightline fsck` says more"};
  return {.what = "workspace", .says = fmt::format("{}: {}", absolute_path(root), plural(releases->size(), "release"))};
}

const char* name_of(State state) { return state == State::fine ? "ok" : state == State::note ? "note" : "missing"; }

Result<int> examine(Console& console) {
  const std::string workspace = workspace_root(console);
  utsname system{};
  ::uname(&system);
  const std::array findings{
      Finding{.what = "program",
              .says = fmt::format("sightline {} on {} {} {}", SIGHTLINE_VERSION, system.sysname, system.release, system.machine)},
      check_processor(),
      check_memory(),
      check_disk(workspace),
      check_libraries(),
      check_training(),
      check_video(),
      check_gpu(),
      check_fashion_mnist(),
      check_workspace(workspace),
  };
  Json document = Json::array();
  bool all_fine = true;
  for (const Finding& finding : findings) {
    const Colour colour = finding.state == State::fine ? Colour::green : finding.state == State::note ? Colour::yellow : Colour::red;
    console.say("{}{} {:<13}{}", console.paint(colour, name_of(finding.state)), std::string(8 - std::strlen(name_of(finding.state)), ' '),
                finding.what, finding.says);
    if (!finding.remedy.empty()) console.say("{:22}→ {}", "", finding.remedy);
    all_fine = all_fine && finding.state != State::missing;
    document.push_back({{"what", finding.what}, {"state", name_of(finding.state)}, {"says", finding.says}, {"remedy", finding.remedy}});
  }
  if (all_fine) console.say("Nothing is missing.");
  Json versions = Json::object();
  for (const auto& [name, version] : loaded_libraries()) versions[name] = version;
  console.document(
      {{"version", SIGHTLINE_VERSION}, {"cores", usable_cores()}, {"simd", simd_level()}, {"libraries", versions}, {"checks", document}});
  return 0;
}

Action declare(Arguments&) { return examine; }

constexpr std::array examples{
    Example{"sightline doctor", "what this machine has, what is missing, and how to install it"},
    Example{"sightline doctor --json > machine.json", "the same, to attach to a report of a problem"},
};

}  // namespace

constexpr Verb doctor_verb{
    .name = "doctor",
    .group = Group::machine,
    .summary = "say what this machine has and what is missing",
    .details =
        "Looks at processor, memory, disk, loaded libraries, the training program, GPU, example data and workspace. Changes "
        "nothing. The exit code is 0 even if something is missing: the model can still be used.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
