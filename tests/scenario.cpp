#include "scenario.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/files.h"
#include "base/random.h"
#include "image/image.h"

namespace sightline::scenario {
namespace fs = std::filesystem;

void write_text(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

namespace {

// Is the point (x, y), in [-1, 1]², inside the shape?
bool inside(int shape, double x, double y) {
  switch (shape) {
    case 0: return x * x + y * y < 0.5;                                                                 // circle
    case 1: return std::abs(x) < 0.25 || std::abs(y) < 0.25;                                            // cross
    case 2: return std::fmod(std::abs(y) * 4, 2) < 1;                                                   // stripes
    case 3: return std::abs(x) < 0.7 && std::abs(y) < 0.7 && (std::abs(x) > 0.4 || std::abs(y) > 0.4);  // frame
    default: return std::abs(x) + y < 0.5 && y > -0.7;                                                  // triangle
  }
}

}  // namespace

void draw_shapes(const std::string& folder, int classes, int per_class, int side, std::uint64_t seed) {
  static constexpr std::array names{"circle", "cross", "stripes", "frame", "triangle"};
  for (int shape = 0; shape < classes; ++shape) {
    const std::string class_folder = folder + "/" + names.at(static_cast<std::size_t>(shape));
    fs::create_directories(class_folder);
    for (int i = 0; i < per_class; ++i) {
      Random random(seed, static_cast<std::uint64_t>(shape), static_cast<std::uint64_t>(i));
      const double scale = random.uniform(0.8, 1.3);
      const double shift_x = random.uniform(-0.25, 0.25);
      const double shift_y = random.uniform(-0.25, 0.25);
      image::Image picture{.width = side, .height = side, .channels = 1};
      for (int row = 0; row < side; ++row) {
        for (int column = 0; column < side; ++column) {
          const double x = (2.0 * column / side - 1 + shift_x) * scale;
          const double y = (2.0 * row / side - 1 + shift_y) * scale;
          const double level = (inside(shape, x, y) ? 190 : 60) + 12 * random.normal();
          picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(level, 0.0, 255.0)));
        }
      }
      write_text(fmt::format("{}/{:03}.png", class_folder, i), image::encode_png(picture));
    }
  }
}

std::string shapes_demand(const std::string& name, const std::string& data, int epochs, const std::string& more) {
  return fmt::format(
      "name: {}\ntask: classify\ndata: {{path: \"{}\"}}\nbudget: {{epochs: {}}}\nrecipe: {{backbone: resnet-xs, side: 16, batch: 16, "
      "augmentation: flip}}\nseed: 3\n{}",
      name, data, epochs, more);
}

Json Outcome::json() const {
  auto parsed = parse_json(out, "stdout");
  return parsed.ok() ? std::move(*parsed) : Json(nullptr);
}

Outcome sightline(const std::vector<std::string>& words, const RunOptions& options) {
  const TemporaryFolder captured;
  const std::string out_path = captured / "out";
  const std::string err_path = captured / "err";
  std::vector<std::string> all{std::string(SIGHTLINE_BIN) + "/sightline"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    for (const std::string& variable : options.environment) ::putenv(const_cast<char*>(variable.c_str()));
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  if (options.kill_after >= 0) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.kill_after);
    siginfo_t info{};
    while (std::chrono::steady_clock::now() < deadline) {
      info.si_pid = 0;
      if (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ::kill(child, options.signal);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = read_text(out_path);
  outcome.err = read_text(err_path);
  return outcome;
}

}  // namespace sightline::scenario
