#include "app/cli/rival.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/temporary_folder.h"
#include "base/text.h"

namespace sightline::embedded {
// src/app/cli/onnxruntime.js. Part of the program, so that the two always speak the same protocol and an installed program needs no file
// beside it.
extern const char* const onnxruntime_script;
}  // namespace sightline::embedded

namespace sightline::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_line = 1U << 26U;
constexpr const char* remedy =
    "`scripts/install-deps rival` installs it in a source tree; elsewhere $SIGHTLINE_RIVALS names the folder "
    "whose node_modules holds onnxruntime-node";

bool holds_rival(const fs::path& folder) { return path_exists((folder / "node_modules/onnxruntime-node/package.json").string()); }

Result<std::string> find_node() {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path != nullptr ? path : "", ':')) {
    const std::string program = folder + "/node";
    if (!folder.empty() && ::access(program.c_str(), X_OK) == 0 && !is_directory(program)) return program;
  }
  return Error{ErrorKind::not_found, fmt::format("Node, which runs ONNX Runtime here, is not on PATH; {}", remedy)};
}

std::optional<Dtype> dtype_named(const std::string& name) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::i8, Dtype::u8, Dtype::i32, Dtype::i64, Dtype::boolean}) {
    if (name == name_of(dtype)) return dtype;
  }
  return std::nullopt;
}

Result<Tensor> read_tensor(const Json& from) {
  const auto dtype = dtype_named(from.value("dtype", ""));
  Shape shape;
  std::int64_t count = 1;
  for (const Json& size : from.value("shape", Json::array())) {
    shape.push_back(size.get<std::int64_t>());
    if (shape.back() < 0 || shape.back() > (std::int64_t{1} << 32) || (count *= shape.back()) > (std::int64_t{1} << 32)) count = -1;
    if (count < 0) break;
  }
  SIGHTLINE_TRY(const std::string bytes, read_file(from.value("file", "")));
  if (!dtype || count < 0 || bytes.size() != static_cast<std::size_t>(count) * size_of(*dtype))
    return Error{ErrorKind::internal, "ONNX Runtime's process answered with a tensor that is none"};
  Tensor tensor(*dtype, shape);
  if (!bytes.empty()) std::memcpy(tensor.data(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

Result<std::string> find_rivals() {
  if (const char* given = std::getenv("SIGHTLINE_RIVALS"); given != nullptr && *given != 0) {
    if (holds_rival(given)) return absolute_path(given);
    return Error{ErrorKind::not_found,
                 fmt::format("$SIGHTLINE_RIVALS is {}, where there is no node_modules/onnxruntime-node; {}", given, remedy)};
  }
  std::error_code code;
  fs::path folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  for (int level = 0; !code && level < 5 && folder.has_relative_path(); ++level, folder = folder.parent_path()) {
    for (const char* name : {"rivals", "build/rivals"}) {
      if (holds_rival(folder / name)) return (folder / name).string();
    }
  }
  return Error{ErrorKind::not_found, fmt::format("ONNX Runtime is not installed: there is no build/rivals above this program; {}", remedy)};
}

struct OnnxRuntime::State {
  TemporaryFolder folder;
  Descriptor to, from;
  pid_t id = -1;
  std::string version, buffer;

  ~State() {
    to.close();
    if (id <= 0) return;
    ::kill(id, SIGKILL);
    while (::waitpid(id, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  std::string last_words() const {
    const auto said = read_file(folder / "errors.txt");
    if (!said.ok() || trim(*said).empty()) return "; it said nothing";
    return "; its last words:\n" + trim(said->substr(said->size() - std::min<std::size_t>(said->size(), 2000)));
  }

  Result<void> start(const std::string& node, const std::string& rivals) {
    if (folder.path().empty()) return system_error("cannot make a temporary folder", fs::temp_directory_path().string());
    std::array<int, 2> in{}, out{};
    // A socket, because writing to one can be told not to raise SIGPIPE when Node has died.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0) return system_error("cannot make a socket for", node);
    to = Descriptor(in[0]);
    const Descriptor input(in[1]);
    if (::pipe2(out.data(), O_CLOEXEC) != 0) return system_error("cannot make a pipe for", node);
    from = Descriptor(out[0]);
    const Descriptor output(out[1]);
    const Descriptor errors(::open((folder / "errors.txt").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    // Everything that allocates is done before the fork: other threads may hold the allocator's lock.
    std::array<const char*, 7> words{node.c_str(), "--expose-gc", "--eval", embedded::onnxruntime_script, "--", rivals.c_str(), nullptr};
    const pid_t parent = ::getpid();
    id = ::fork();
    if (id < 0) return system_error("cannot start", node);
    if (id == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);
      ::dup2(input.get(), STDIN_FILENO);
      ::dup2(output.get(), STDOUT_FILENO);
      ::dup2(errors.get(), STDERR_FILENO);
      ::execv(node.c_str(), const_cast<char**>(words.data()));
      ::_exit(127);
    }
    return {};
  }

  Result<Json> read_answer() {
    std::array<char, 65536> block;
    std::size_t newline = buffer.find('\n');
    while (newline == std::string::npos) {
      const ssize_t got = ::read(from.get(), block.data(), block.size());
      SIGHTLINE_CHECK(check_interrupt());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || buffer.size() > longest_line)
        return Error{ErrorKind::internal, fmt::format("the process that runs ONNX Runtime broke off{}", last_words())};
      const std::size_t before = buffer.size();
      buffer.append(block.data(), static_cast<std::size_t>(got));
      newline = buffer.find('\n', before);
    }
    const std::string line = buffer.substr(0, newline);
    buffer.erase(0, newline + 1);
    SIGHTLINE_TRY(Json answer, parse_json(line, "ONNX Runtime's process"));
    if (!answer.is_object()) return Error{ErrorKind::internal, "ONNX Runtime's process did not answer with an object"};
    if (answer.contains("error")) return Error{ErrorKind::unsupported, fmt::format("ONNX Runtime: {}", answer.value("error", ""))};
    return answer;
  }

  Result<Json> ask(const Json& request) {
    const std::string line = request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t sent = ::send(to.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return Error{ErrorKind::internal, fmt::format("the process that runs ONNX Runtime broke off{}", last_words())};
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return read_answer();
  }

  Result<Json> request_with(const char* command, const graph::Graph& signature, std::span<const Tensor> inputs) {
    Json request{{"do", command}, {"folder", folder.path()}, {"inputs", Json::array()}, {"outputs", Json::array()}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!dtype_named(name_of(inputs[i].dtype())))
        return Error{ErrorKind::unsupported, fmt::format("{} tensors cannot be handed to ONNX Runtime here", name_of(inputs[i].dtype()))};
      const std::string file = folder / fmt::format("input-{}.raw", i);
      const auto bytes = inputs[i].bytes();
      SIGHTLINE_CHECK(write_file(file, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
      request["inputs"].push_back(
          {{"name", signature.inputs[i].name}, {"dtype", name_of(inputs[i].dtype())}, {"shape", inputs[i].shape()}, {"file", file}});
    }
    for (const graph::ValueInfo& output : signature.outputs) request["outputs"].push_back(output.name);
    return request;
  }
};

OnnxRuntime::OnnxRuntime(std::unique_ptr<State> state) : state_(std::move(state)) {}
OnnxRuntime::OnnxRuntime(OnnxRuntime&&) noexcept = default;
OnnxRuntime& OnnxRuntime::operator=(OnnxRuntime&&) noexcept = default;
OnnxRuntime::~OnnxRuntime() = default;

Result<OnnxRuntime> OnnxRuntime::start() {
  SIGHTLINE_TRY(const std::string rivals, find_rivals());
  SIGHTLINE_TRY(const std::string node, find_node());
  auto state = std::make_unique<State>();
  SIGHTLINE_CHECK(state->start(node, rivals));
  SIGHTLINE_TRY(const Json hello, state->read_answer());
  state->version = hello.value("version", "?");
  return OnnxRuntime(std::move(state));
}

const std::string& OnnxRuntime::version() const { return state_->version; }

Result<double> OnnxRuntime::load(const std::string& file, const graph::Graph& signature, std::span<const Tensor> inputs, int threads,
                                 bool optimised) {
  SIGHTLINE_TRY(Json request, state_->request_with("load", signature, inputs));
  request["file"] = absolute_path(file);
  request["threads"] = threads;
  request["optimised"] = optimised;
  SIGHTLINE_TRY(const Json answer, state_->ask(request));
  return answer.value("seconds", 0.0);
}

Result<std::vector<Tensor>> OnnxRuntime::answer(const graph::Graph& signature, std::span<const Tensor> inputs) {
  SIGHTLINE_TRY(const Json request, state_->request_with("inputs", signature, inputs));
  SIGHTLINE_TRY(const Json answer, state_->ask(request));
  std::vector<Tensor> tensors;
  for (const Json& each : answer.value("outputs", Json::array())) {
    SIGHTLINE_TRY(Tensor tensor, read_tensor(each));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Result<std::vector<double>> OnnxRuntime::time(int runs) {
  SIGHTLINE_TRY(const Json answer, state_->ask({{"do", "time"}, {"runs", runs}}));
  return answer.value("seconds", std::vector<double>());
}

Result<OnnxRuntime::Growth> OnnxRuntime::memory() {
  SIGHTLINE_TRY(const Json answer, state_->ask({{"do", "memory"}}));
  const auto bytes = [&](const char* key) { return static_cast<std::uint64_t>(std::max(0.0, answer.value(key, 0.0))); };
  return Growth{.resident = bytes("resident"), .peak = bytes("peak")};
}

}  // namespace sightline::cli
