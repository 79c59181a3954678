#include "app/video/decoder.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <utility>

namespace sightline::video {
namespace {

// Containers that hold their media themselves: a playlist or an image sequence would open other files.
constexpr const char* containers =
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc,mpegvideo,m4v,ivf,mjpeg,dv,mxf,nut,rm,wtv,yuv4mpegpipe";
constexpr int decoding_threads = 2;

std::mutex words_mutex;
std::string last_words;  // of the libraries, the last error or worse

void keep_words(void* source, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  std::array<char, 512> line{};
  int prefix = 0;
  av_log_format_line2(source, level, format, arguments, line.data(), static_cast<int>(line.size()), &prefix);
  std::string text(line.data());
  if (text.starts_with('[')) text.erase(0, std::min(text.size(), text.find("] ") + 2));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const std::lock_guard lock(words_mutex);
  if (!text.empty()) last_words = std::move(text);
}

// What the libraries said, or what the number means.
std::string words_for(int code) {
  const std::lock_guard lock(words_mutex);
  if (!last_words.empty()) return std::exchange(last_words, {});
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

std::string not_a_video(int code) {
  std::string words = words_for(code);
  if (words.find("whitelist") != std::string::npos) words = "it is of a kind that is not taken: playlists and sequences name other files";
  if (words == "moov atom not found" || words == "error reading header") words += ": an MP4 file that was cut off, or something else";
  return "not a video that can be read (" + words + ")";
}

// EXIF's number for a display matrix, which sends (x, y) to (a·x + c·y, b·x + d·y). Turns by other angles than right ones are passed over.
int orientation_of(const AVStream& stream) {
  const auto* matrix = reinterpret_cast<const std::int32_t*>(av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
  if (matrix == nullptr) return 1;
  const auto sign = [](std::int32_t value) { return (value > 0) - (value < 0); };
  const std::array<int, 4> turn{sign(matrix[0]), sign(matrix[1]), sign(matrix[3]), sign(matrix[4])};  // a b c d
  constexpr std::array<std::array<int, 4>, 8> turns{
      {{1, 0, 0, 1}, {-1, 0, 0, 1}, {-1, 0, 0, -1}, {1, 0, 0, -1}, {0, 1, 1, 0}, {0, 1, -1, 0}, {0, -1, -1, 0}, {0, -1, 1, 0}}};
  const auto found = std::find(turns.begin(), turns.end(), turn);
  return found == turns.end() ? 1 : static_cast<int>(found - turns.begin()) + 1;
}

// Streams whose packets have no times of their own, or, as AVI with pictures that need later ones, wrong ones: their pictures come at an
// even rate from the start.
bool is_counted(const AVFormatContext& input, const AVCodecContext& codec) {
  return (input.iformat->flags & AVFMT_NOTIMESTAMPS) != 0 || (std::string(input.iformat->name) == "avi" && codec.has_b_frames > 0);
}

bool is_indexed(const AVFormatContext& input) {
  const std::string name = input.iformat->name;
  return name.starts_with("mov,") || name.starts_with("matroska") || name == "avi";
}

}  // namespace

struct Decoder::State {
  std::string path;
  std::int64_t max_pixels = 0;
  AVFormatContext* input = nullptr;
  AVCodecContext* codec = nullptr;
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  SwsContext* scaling = nullptr;
  AVStream* stream = nullptr;
  std::int64_t start = 0;          // of the stream, in its time base
  std::vector<std::int64_t> keys;  // time stamps of key frames; empty: decoded from the start
  std::ptrdiff_t run = -1;         // which key frame what is decoded began with, as asked for; -1: nothing is decoded yet
  bool exact_run = false;          // and not with an earlier one
  bool drained = false;
  bool counted = false;
  std::int64_t last = -1;             // the last frame that came, in milliseconds
  std::int64_t count = 0, after = 0;  // frames that came; where the last one ends, in the stream's time base
  Ending ending;

  State(std::string file, std::int64_t most) : path(std::move(file)), max_pixels(most) {
    av_log_set_callback(keep_words);
    open();
    counted = is_counted(*input, *codec);
    if (counted || !is_indexed(*input)) return;
    // Matroska reads its index when somebody seeks.
    if (av_seek_frame(input, stream->index, start, AVSEEK_FLAG_BACKWARD) < 0) {
      open();
      return;
    }
    for (int i = 0; i < avformat_index_get_entries_count(stream); ++i) {
      const AVIndexEntry* entry = avformat_index_get_entry(stream, i);
      if ((entry->flags & AVINDEX_KEYFRAME) != 0) keys.push_back(entry->timestamp);
    }
    std::sort(keys.begin(), keys.end());
  }
  ~State() {
    close();
    av_packet_free(&packet);
    av_frame_free(&frame);
    sws_freeContext(scaling);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void close() {
    avcodec_free_context(&codec);
    avformat_close_input(&input);
  }

  void open() {
    close();
    (void)words_for(0);
    AVDictionary* options = nullptr;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", containers, 0);
    int code = avformat_open_input(&input, ("file:" + path).c_str(), nullptr, &options);
    av_dict_free(&options);
    if (code < 0) throw Failure(not_a_video(code));
    code = avformat_find_stream_info(input, nullptr);
    if (code < 0) throw Failure(not_a_video(code));
    const AVCodec* kind = nullptr;
    const int best = av_find_best_stream(input, AVMEDIA_TYPE_VIDEO, -1, -1, &kind, 0);
    if (best == AVERROR_DECODER_NOT_FOUND) throw Failure("there is no decoder for its pictures");
    if (best < 0 || (input->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0)
      throw Failure("no pictures in it (only sound or data)");
    stream = input->streams[best];
    for (unsigned i = 0; i < input->nb_streams; ++i)
      if (input->streams[i] != stream) input->streams[i]->discard = AVDISCARD_ALL;
    start = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
    codec = avcodec_alloc_context3(kind);
    if (codec == nullptr || avcodec_parameters_to_context(codec, stream->codecpar) < 0) throw Failure("its stream of pictures is broken");
    codec->max_pixels = max_pixels;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    codec->thread_count = decoding_threads;
    codec->pkt_timebase = stream->time_base;
    if (static_cast<std::int64_t>(codec->width) * codec->height > max_pixels)
      throw Failure(std::to_string(codec->width) + "×" + std::to_string(codec->height) + " pixels are more than the limit of " +
                    std::to_string(max_pixels));
    code = avcodec_open2(codec, kind, nullptr);
    if (code < 0) throw Failure("its pictures cannot be decoded (" + words_for(code) + ")");
    begin(0);
  }

  void begin(std::ptrdiff_t key) {
    run = key;
    exact_run = true;
    drained = false;
    last = -1;
    count = 0;
    after = start;
  }

  std::int64_t milliseconds_of(std::int64_t time) const {
    return av_rescale_q_rnd(time - start, stream->time_base, {1, 1000}, static_cast<AVRounding>(AV_ROUND_DOWN));
  }

  // The last key frame at or before a time; 0 when there is none or no index.
  std::ptrdiff_t key_for(std::int64_t milliseconds) const {
    // Rounded up: a frame is at a millisecond when its time, rounded down, is.
    const std::int64_t time = start + av_rescale_q_rnd(milliseconds + 1, {1, 1000}, stream->time_base, AV_ROUND_UP) - 1;
    const auto next = std::upper_bound(keys.begin(), keys.end(), time);
    return std::max<std::ptrdiff_t>(0, next - keys.begin() - 1);
  }

  void restart(std::ptrdiff_t key) {
    if (keys.empty()) return open();
    if (av_seek_frame(input, stream->index, keys[static_cast<std::size_t>(key)], AVSEEK_FLAG_BACKWARD) < 0) {
      keys.clear();
      return open();
    }
    avcodec_flush_buffers(codec);
    begin(key);
  }

  // Hands the decoder one more packet. Pictures before `wanted` that no other one needs are not decoded.
  void feed(std::int64_t wanted) {
    int code = 0;
    do {
      av_packet_unref(packet);
      code = av_read_frame(input, packet);
    } while (code >= 0 && packet->stream_index != stream->index);
    if (code < 0) {
      if (code != AVERROR_EOF) ending.complaint = words_for(code);
      drained = true;
      (void)avcodec_send_packet(codec, nullptr);
      return;
    }
    const std::int64_t time = packet->pts;
    if (time != AV_NOPTS_VALUE) ending.milliseconds = std::max(ending.milliseconds, milliseconds_of(time + packet->duration));
    codec->skip_frame = !counted && time != AV_NOPTS_VALUE && milliseconds_of(time) < wanted ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
    code = avcodec_send_packet(codec, packet);
    av_packet_unref(packet);
    if (code < 0 && code != AVERROR(EAGAIN)) ++ending.damaged;
  }

  // The next whole frame; false at the end.
  bool next(std::int64_t wanted) {
    while (true) {
      av_frame_unref(frame);
      const int code = avcodec_receive_frame(codec, frame);
      if (code == AVERROR(EAGAIN) && !drained) {
        feed(wanted);
      } else if (code == AVERROR_EOF || code == AVERROR(EAGAIN)) {
        return false;
      } else if (code < 0) {
        ++ending.damaged;
        if (drained) return false;
      } else {
        const AVRational each = stream->avg_frame_rate.num > 0 ? av_inv_q(stream->avg_frame_rate) : AVRational{1, 25};
        std::int64_t time = counted ? start + av_rescale_q(count, each, stream->time_base) : frame->best_effort_timestamp;
        if (time == AV_NOPTS_VALUE) time = after;
        after = time + av_rescale_q(1, each, stream->time_base);
        ++count;
        if ((frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0) {
          ++ending.damaged;
          continue;
        }
        last = milliseconds_of(time);
        ending.milliseconds = std::max(ending.milliseconds, milliseconds_of(after));
        if (last >= 0) return true;
      }
    }
  }

  void take(Frame& out) {
    const auto format = static_cast<AVPixelFormat>(frame->format);
    scaling = sws_getCachedContext(scaling, frame->width, frame->height, format, frame->width, frame->height, AV_PIX_FMT_RGB24,
                                   SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr);
    if (scaling == nullptr) throw Failure("its pixels have a format that cannot be converted");
    const bool full = frame->color_range == AVCOL_RANGE_JPEG || std::string(av_get_pix_fmt_name(format)).starts_with("yuvj");
    const int* coefficients = sws_getCoefficients(frame->colorspace);
    (void)sws_setColorspaceDetails(scaling, coefficients, full ? 1 : 0, coefficients, 1, 0, 1 << 16, 1 << 16);
    out.milliseconds = last;
    out.width = frame->width;
    out.height = frame->height;
    // The scaler writes whole vectors: behind the last row there must be room.
    constexpr std::size_t slack = 64;
    const int row = 3 * frame->width;
    const std::size_t bytes = static_cast<std::size_t>(row) * static_cast<std::size_t>(frame->height);
    out.pixels.resize(bytes + slack);
    const std::array<std::uint8_t*, 4> planes{out.pixels.data(), nullptr, nullptr, nullptr};
    const std::array<int, 4> strides{row, 0, 0, 0};
    sws_scale(scaling, frame->data, frame->linesize, 0, frame->height, planes.data(), strides.data());
    out.pixels.resize(bytes);
  }

  bool find(std::int64_t wanted) {
    std::ptrdiff_t key = key_for(wanted), from = key;
    bool fresh = run != key || !exact_run || last >= wanted;
    if (fresh) restart(key);
    while (next(wanted)) {
      if (keys.empty()) key = from = 0;  // the index was of no use
      // An index may count in decoding order: the key frame is then shown a little later than it says.
      if (fresh && last > wanted && from > 0) {
        restart(--from);
        run = key;
        exact_run = false;
        continue;
      }
      fresh = false;
      if (last >= wanted) return true;
    }
    return false;
  }
};

Decoder::Decoder(const std::string& path, std::int64_t max_pixels) : state_(std::make_unique<State>(path, max_pixels)) {}
Decoder::~Decoder() = default;

int Decoder::width() const { return state_->codec->width; }
int Decoder::height() const { return state_->codec->height; }
int Decoder::orientation() const { return orientation_of(*state_->stream); }
std::string Decoder::codec() const { return avcodec_get_name(state_->codec->codec_id); }

std::int64_t Decoder::milliseconds() const {
  const State& state = *state_;
  if (state.stream->duration > 0) return av_rescale_q(state.stream->duration, state.stream->time_base, {1, 1000});
  const bool guessed = state.input->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
  return state.input->duration > 0 && !guessed ? state.input->duration / (AV_TIME_BASE / 1000) : -1;
}

bool Decoder::at(std::int64_t milliseconds, Frame& frame, Ending& ending) {
  State& state = *state_;
  bool found = state.find(milliseconds);
  // The same frame, asked for by its own time, must be the same.
  if (found && state.key_for(state.last) != state.run) found = state.find(state.last);
  if (found) {
    state.take(frame);
  } else {
    ending = state.ending;
  }
  return found;
}

}  // namespace sightline::video
