// sightline-video FILE MAX_PIXELS: frames of a video, for image/video.h. It is asked and answers in lines; DURATION is -1 when the file
// does not say it, and pixels are RGB, without padding.
//
//   (at the start)    video DURATION_MS WIDTH HEIGHT ORIENTATION CODEC
//   at MILLISECONDS   frame MILLISECONDS WIDTH HEIGHT, then the pixels      the first whole frame at or after this time
//                     end MILLISECONDS DAMAGED COMPLAINT                    there is none
//   (at any time)     error MESSAGE                                         and that is the end
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "app/video/decoder.h"
#include "app/video/sandbox.h"
#include "base/files.h"
#include "base/version.h"

namespace {

using namespace sightline;

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return text;
}

void say(const std::string& line) {
  if (!write_all(STDOUT_FILENO, line)) std::_Exit(0);  // nobody listens
}

void answer(const std::string& path, std::int64_t max_pixels) {
  video::Decoder decoder(path, max_pixels);
  say(fmt::format("video {} {} {} {} {}\n", decoder.milliseconds(), decoder.width(), decoder.height(), decoder.orientation(),
                  decoder.codec()));
  video::Frame frame;
  video::Ending ending;
  char* line = nullptr;
  std::size_t room = 0;
  while (::getline(&line, &room, stdin) > 0) {
    long long wanted = 0;
    if (std::sscanf(line, "at %lld", &wanted) != 1 || wanted < 0) throw video::Failure("asked for what is not understood");
    if (decoder.at(wanted, frame, ending)) {
      say(fmt::format("frame {} {} {}\n", frame.milliseconds, frame.width, frame.height));
      const std::string_view pixels(reinterpret_cast<const char*>(frame.pixels.data()), frame.pixels.size());
      if (!write_all(STDOUT_FILENO, pixels)) std::_Exit(0);
    } else {
      say(fmt::format("end {} {} {}\n", ending.milliseconds, ending.damaged, one_line(ending.complaint)));
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "--version") {
    fmt::print("sightline-video {}\n", version);
    return 0;
  }
  if (count != 3 || std::atoll(words[2]) <= 0) {
    fmt::print(stderr, "sightline-video FILE MAX_PIXELS: decodes frames for sightline, which starts it\n");
    return 2;
  }
  video::enter_sandbox();
  try {
    answer(words[1], std::atoll(words[2]));
  } catch (const std::bad_alloc&) {
    say("error it takes more memory than is allowed\n");
  } catch (const std::exception& e) {
    say("error " + one_line(e.what()) + "\n");
  }
  std::fflush(nullptr);
  std::_Exit(0);  // threads of the decoder are not waited for
}
