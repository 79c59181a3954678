#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <istream>
#include <iterator>

#include "app/cli/model_source.h"
#include "app/cli/picture_feed.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "evaluation/decisions.h"
#include "image/levels.h"
#include "tasks/anomaly.h"
#include "tasks/classify.h"
#include "tasks/embed.h"
#include "tasks/restore.h"

namespace sightline::cli {
namespace {

constexpr std::size_t batch_size = 32;

struct Options {
  std::string model;
  std::vector<std::string> images;
  int top = 1;
  int threads = 0;
  bool lines = false;
  std::string task;
  double score = annotation::sure_score;  // of what is told, least
  double every_s = 1;                     // from one frame of a video to the next
  std::string drawn;                      // folder for pictures with the answers drawn onto them; "": none
};

struct Answer {
  std::string path, file;                    // of a frame with its time, and without
  std::optional<std::int64_t> milliseconds;  // of a frame
  std::vector<tasks::ClassScore> classes;
  std::optional<std::string> decision;               // by thresholds; "" when no class is sure enough
  std::optional<std::vector<std::string>> set;       // that holds the right class as often as the model states
  std::optional<annotation::Annotation> annotation;  // of models for other tasks than classify
  std::optional<tasks::Told> told;                   // of it, where it is not kept
  std::string drawn;                                 // the file that shows it
  std::string mask, instances;                       // files with the numbers of classes and of objects at each pixel
  std::string restored, deviation;                   // files with the picture as it should look, and how far off that may be
  std::string failure;
  bool left_out = false;  // no picture, and nobody asked for this very file
};

bool is_called_like_a_picture(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 8> pictures{".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".jpe"};
  return std::find(pictures.begin(), pictures.end(), extension) != pictures.end();
}

Result<image::Image> decode_picture(const Picture& picture, const std::string& bytes, int channels, Answer& answer) {
  const auto span = std::as_bytes(std::span(bytes));
  if (!picture.given && !is_called_like_a_picture(picture.file) && image::format_of(span) == image::Format::unknown) answer.left_out = true;
  return image::decode(span, {.channels = channels});
}

Result<image::Image> read_picture(Picture& picture, const std::string& standard_input, int channels, Answer& answer) {
  if (picture.failure) return *picture.failure;
  if (picture.milliseconds)
    return channels == 0 || channels == picture.frame.channels ? std::move(picture.frame)
                                                               : image::convert_channels(picture.frame, channels);
  if (picture.file == "-") return decode_picture(picture, standard_input, channels, answer);
  SIGHTLINE_TRY(const std::string bytes, read_file(picture.file));
  return decode_picture(picture, bytes, channels, answer);
}

// shop/left/1.jpg becomes FOLDER/shop_left_1.png, so that pictures of one name from several folders stay apart; a frame has its time in the
// name (shop_clip_12.000s.png). kind: "" or "_mask".
Result<std::string> write_beside(const std::string& folder, const Answer& answer, const char* kind, const std::string& png) {
  std::string name =
      answer.file == "-" ? "stdin" : std::filesystem::path(answer.file).lexically_normal().relative_path().replace_extension().string();
  if (answer.milliseconds) name += fmt::format("_{}.{:03}s", *answer.milliseconds / 1000, *answer.milliseconds % 1000);
  std::ranges::replace(name, '/', '_');
  const std::string file = fmt::format("{}/{}{}.png", folder, name, kind);
  SIGHTLINE_CHECK(make_directories(folder));
  SIGHTLINE_CHECK(write_file(file, png));
  return file;
}

// A map as a picture of numbers, in as many bits as they take: classes in 8, objects in 16.
template <class T>
std::string levels_png(const Tensor& map, int bits) {
  image::Levels levels{.width = static_cast<int>(map.dim(1)), .height = static_cast<int>(map.dim(0)), .bits = bits, .values = {}};
  for (const T value : map.values<T>()) levels.values.push_back(static_cast<std::uint16_t>(value));
  return image::encode_levels(levels);
}

Result<void> write_answer(const Options& options, const package::Model& model, image::Image& picture, Answer& answer) {
  const annotation::Annotation& said = *answer.annotation;
  if (said.mask.defined()) {
    SIGHTLINE_TRY(answer.mask, write_beside(options.drawn, answer, "_mask", levels_png<std::uint8_t>(said.mask, 8)));
  }
  if (said.instances.defined()) {
    SIGHTLINE_TRY(answer.instances, write_beside(options.drawn, answer, "_instances", levels_png<std::int32_t>(said.instances, 16)));
  }
  if (said.restored.defined()) {
    SIGHTLINE_TRY(answer.restored, write_beside(options.drawn, answer, "", image::encode_png(tasks::picture_of(said.restored))));
    SIGHTLINE_TRY(answer.deviation, write_beside(options.drawn, answer, "_deviation", tasks::deviation_png(said.deviation)));
  }
  if (model.task_row().draw == nullptr) return {};
  model.task_row().draw(picture, said, model.labels());
  SIGHTLINE_TRY(answer.drawn, write_beside(options.drawn, answer, "", image::encode_png(picture)));
  return {};
}

// Decodes and resizes in parallel, then asks the network once for all that could be read.
Result<std::vector<Answer>> answer_batch(std::span<Picture> pictures, const std::string& standard_input, const Options& options,
                                         package::Model& model, const std::optional<package::Decisions>& decisions) {
  std::vector<Answer> answers(pictures.size());
  std::vector<Tensor> prepared(pictures.size());
  std::vector<image::Image> decoded(pictures.size());  // of models that annotate
  const int channels = model.preprocessing().channels;
  SIGHTLINE_CHECK(parallel_for(
      pictures.size(),
      [&](std::size_t i) -> Result<void> {
        answers[i].path = pictures[i].path();
        answers[i].file = pictures[i].file;
        answers[i].milliseconds = pictures[i].milliseconds;
        Result<image::Image> picture = read_picture(pictures[i], standard_input, channels, answers[i]);
        if (picture.ok()) {
          if (!model.tiled()) prepared[i] = model.prepare(*picture);
          if (model.annotates()) decoded[i] = *std::move(picture);
        } else {
          answers[i].failure = picture.error().message;
        }
        return {};
      },
      options.threads));

  if (model.tiled()) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (decoded[i].pixels.empty()) continue;
      SIGHTLINE_CHECK(check_interrupt());
      SIGHTLINE_TRY(answers[i].annotation, model.answer(decoded[i]));
      if (!options.drawn.empty()) SIGHTLINE_CHECK(write_answer(options, model, decoded[i], answers[i]));
      // Told, and no longer needed: a folder of large pictures would not fit into memory.
      answers[i].told = model.task_row().tell(*answers[i].annotation, model.labels());
      answers[i].annotation = annotation::Annotation();
      decoded[i] = {};
    }
    return answers;
  }
  std::vector<std::size_t> readable;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].defined()) readable.push_back(i);
  }
  if (readable.empty()) return answers;
  const package::Preprocessing& wanted = model.preprocessing();
  Tensor batch(Dtype::u8, {static_cast<std::int64_t>(readable.size()), wanted.height, wanted.width, wanted.channels});
  for (std::size_t row = 0; row < readable.size(); ++row) {
    const auto bytes = prepared[readable[row]].bytes();
    std::copy(bytes.begin(), bytes.end(), batch.bytes().begin() + static_cast<std::ptrdiff_t>(row * bytes.size()));
  }
  if (model.annotates()) {
    std::vector<image::Placement> placements;
    for (const std::size_t i : readable) placements.push_back(model.placement(decoded[i].width, decoded[i].height));
    SIGHTLINE_TRY(std::vector<annotation::Annotation> said, model.annotations(batch, placements));
    for (std::size_t row = 0; row < readable.size(); ++row) {
      Answer& answer = answers[readable[row]];
      image::Image& picture = decoded[readable[row]];
      answer.annotation = annotation::at_least(std::move(said[row]), options.score);
      if (model.task_row().from_good)
        answer.annotation->objects = tasks::alarmed_regions(*answer.annotation, picture.width, picture.height);
      if (options.drawn.empty() || model.task_row().draw == nullptr) continue;
      SIGHTLINE_CHECK(write_answer(options, model, picture, answer));
    }
    return answers;
  }
  SIGHTLINE_TRY(const Tensor probabilities, model.probabilities(batch));
  for (std::size_t row = 0; row < readable.size(); ++row) {
    const auto at = static_cast<std::int64_t>(row);
    const Tensor one = probabilities.rows(at, at + 1);
    Answer& answer = answers[readable[row]];
    answer.classes = tasks::top_classes(one.values<float>(), model.labels(), options.top);
    if (decisions && !decisions->thresholds.empty()) {
      const int said = package::decided_class(*decisions, one.values<float>());
      answer.decision = said < 0 ? "" : model.labels()[static_cast<std::size_t>(said)];
    }
    if (decisions && decisions->sets) {
      answer.set.emplace();
      for (const int each : package::prediction_set(*decisions->sets, one.values<float>()))
        answer.set->push_back(model.labels()[static_cast<std::size_t>(each)]);
    }
  }
  return answers;
}

Json json_of_answer(const Answer& answer, const package::Model& model) {
  Json json = {{"file", answer.file}};
  if (answer.milliseconds) json["time_s"] = static_cast<double>(*answer.milliseconds) / 1000;
  if (!answer.failure.empty()) {
    json["error"] = answer.failure;
    return json;
  }
  if (answer.annotation) {
    json.update(answer.told ? answer.told->json : model.task_row().tell(*answer.annotation, model.labels()).json);
    if (!answer.drawn.empty()) json["drawn"] = answer.drawn;
    if (!answer.mask.empty()) json["mask"] = answer.mask;
    if (!answer.instances.empty()) json["instances"] = answer.instances;
    if (!answer.restored.empty()) json["restored"] = answer.restored;
    if (!answer.deviation.empty()) json["deviation_map"] = answer.deviation;
    return json;
  }
  json["classes"] = to_json(answer.classes);
  if (answer.decision) json["decision"] = answer.decision->empty() ? Json(nullptr) : Json(*answer.decision);
  if (answer.set) json["set"] = *answer.set;
  return json;
}

void print_annotations(const Console& console, const std::vector<Answer>& answers, const package::Model& model) {
  const tasks::Task& task = model.task_row();
  std::vector<std::string> head{"file"};
  head.insert(head.end(), task.columns.begin(), task.columns.end());
  std::vector<std::vector<std::string>> rows;
  for (const Answer& answer : answers) {
    if (!answer.annotation) continue;
    bool first = true;
    tasks::Told told = answer.told ? *answer.told : task.tell(*answer.annotation, model.labels());
    for (std::vector<std::string>& row : told.rows) {
      row.insert(row.begin(), first ? answer.path : "");
      rows.push_back(std::move(row));
      first = false;
    }
  }
  if (!rows.empty()) console.table(head, rows);
}

std::vector<std::vector<float>> embeddings_of(const std::vector<Answer>& answers) {
  std::vector<std::vector<float>> embeddings;
  for (const Answer& answer : answers) embeddings.push_back(answer.annotation ? answer.annotation->embedding : std::vector<float>());
  return embeddings;
}

// Its answers say which pictures are alike.
bool compares(const package::Model& model) { return model.task_row().open_classes && !model.tiled(); }

// The picture that is most like each.
void print_neighbours(const Console& console, const std::vector<Answer>& answers) {
  const std::vector<std::vector<float>> embeddings = embeddings_of(answers);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (embeddings[i].empty()) continue;
    const std::vector<tasks::Neighbour> most = tasks::nearest(embeddings, i, 1);
    rows.push_back({answers[i].path, std::to_string(embeddings[i].size()), most.empty() ? "(no other)" : answers[most[0].place].path,
                    most.empty() ? "" : fmt::format("{:.4f}", most[0].score)});
  }
  if (!rows.empty()) console.table({"file", "numbers", "most like", "cosine"}, rows);
}

// Each picture beside those that are most like it.
Result<void> draw_neighbours(const std::string& folder, std::vector<Answer>& answers) {
  constexpr std::size_t most = 5;
  constexpr int side = 128;
  const std::vector<std::vector<float>> embeddings = embeddings_of(answers);
  const dataset::FrameReader frames;
  const auto read = [&](const Answer& answer) {
    return answer.milliseconds ? frames.read(answer.file, *answer.milliseconds) : image::read_image(answer.file);
  };
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (embeddings[i].empty() || answers[i].path == "-") continue;
    SIGHTLINE_CHECK(check_interrupt());
    std::vector<image::Image> pictures;
    SIGHTLINE_TRY(image::Image asked, read(answers[i]));
    pictures.push_back(std::move(asked));
    std::vector<std::string> words{std::filesystem::path(answers[i].path).filename().string()};
    for (const tasks::Neighbour& each : tasks::nearest(embeddings, i, most)) {
      if (answers[each.place].path == "-") continue;
      SIGHTLINE_TRY(image::Image picture, read(answers[each.place]));
      pictures.push_back(std::move(picture));
      words.push_back(fmt::format("{:.3f} {}", each.score, std::filesystem::path(answers[each.place].path).filename().string()));
    }
    std::vector<tasks::Tile> tiles;
    for (std::size_t k = 0; k < pictures.size(); ++k) tiles.push_back({&pictures[k], words[k]});
    SIGHTLINE_TRY(answers[i].drawn, write_beside(folder, answers[i], "", image::encode_png(tasks::draw_neighbours(tiles, side))));
  }
  return {};
}

void print_table(const Console& console, const std::vector<Answer>& answers, const package::Model& model) {
  if (compares(model)) return print_neighbours(console, answers);
  if (model.annotates()) return print_annotations(console, answers, model);
  const bool decides = std::ranges::any_of(answers, [](const Answer& answer) { return answer.decision.has_value(); });
  const bool has_sets = std::ranges::any_of(answers, [](const Answer& answer) { return answer.set.has_value(); });
  std::vector<std::string> head{"file", "label", "probability"};
  if (decides) head.emplace_back("decision");
  if (has_sets) head.emplace_back("set");
  std::vector<std::vector<std::string>> rows;
  for (const Answer& answer : answers) {
    for (const tasks::ClassScore& score : answer.classes) {
      const bool first = &score == answer.classes.data();
      rows.push_back({first ? answer.path : "", score.name, fmt::format("{:.4f}", score.probability)});
      if (decides) rows.back().push_back(!first || !answer.decision ? "" : answer.decision->empty() ? "(not sure)" : *answer.decision);
      if (has_sets) rows.back().push_back(first && answer.set ? join(*answer.set, ", ") : "");
    }
  }
  if (!rows.empty()) console.table(head, rows);
}

// Gives the exit code.
int print_answers(const Console& console, const Options& options, const OpenModel& opened, const std::vector<Answer>& answers) {
  Json answered = Json::array(), failed = Json::array(), left_out = Json::array();
  std::vector<std::string> failures;
  for (const Answer& answer : answers) {
    if (answer.left_out) {
      left_out.push_back(answer.path);
    } else if (!answer.failure.empty()) {
      failed.push_back(json_of_answer(answer, opened.model));
      failures.push_back(answer.failure.starts_with(answer.path + ": ") ? answer.failure
                                                                        : fmt::format("{}: {}", answer.path, answer.failure));
    } else if (console.json) {
      answered.push_back(json_of_answer(answer, opened.model));
    }
  }
  if (!options.lines) {
    print_table(console, answers, opened.model);
    console.document({{"model", json_of(opened.source)}, {"answers", answered}, {"failed", failed}, {"left_out", left_out}});
  }
  if (!left_out.empty())
    console.remark("{} in the folder that {} no picture, for example {}", plural(left_out.size(), "file"),
                   left_out.size() == 1 ? "is" : "are", left_out[0].get<std::string>());
  if (failures.empty()) return 0;
  if (!console.json) {
    for (const std::string& failure : failures) console.warn("{}", failure);
    console.warn("{} could not be read", plural(failures.size(), "file"));
  }
  return exit_code_of(ErrorKind::invalid_data);
}

Result<int> predict(const Options& options, Console& console) {
  if (options.top < 1) return Error{ErrorKind::usage, "--top must be at least 1"};
  if (!(options.every_s >= 0.001)) return Error{ErrorKind::usage, "--every must be at least 0.001 (seconds)"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  if (!(options.score >= 0 && options.score <= 1)) return Error{ErrorKind::usage, "--score must lie between 0 and 1"};
  SIGHTLINE_TRY(OpenModel opened, open_model(console, options.model, options.threads, options.task));
  if (!options.drawn.empty() && !opened.model.annotates())
    return Error{ErrorKind::usage,
                 fmt::format("--drawn is for models that find something in a picture; {} is a classifier", opened.source.name)};
  SIGHTLINE_TRY(const std::optional<package::Decisions> decisions,
                package::read_decisions(opened.model.graph(), opened.model.labels().size()));
  SIGHTLINE_TRY(PictureFeed feed, PictureFeed::open(options.images, options.every_s, console));
  std::string standard_input;
  if (feed.reads_standard_input()) standard_input.assign(std::istreambuf_iterator<char>(console.in), {});

  std::vector<Answer> answers;
  std::optional<Progress> progress;
  if (feed.files() > 10 * batch_size) progress.emplace("predict", feed.files(), "file");
  while (true) {
    Result<std::vector<Picture>> pictures = feed.next(batch_size, console);
    if (const Result<void> status = pictures.ok() ? check_interrupt() : Result<void>(pictures.error()); !status.ok()) {
      if (!options.lines) print_table(console, answers, opened.model);  // what is known is not lost
      return status.error();
    }
    if (pictures->empty()) break;
    SIGHTLINE_TRY(auto batch, answer_batch(*pictures, standard_input, options, opened.model, decisions));
    for (Answer& answer : batch) {
      if (options.lines && !answer.left_out) console.json_line(json_of_answer(answer, opened.model));
      answers.push_back(std::move(answer));
    }
    if (progress) progress->set(feed.files_begun());
  }
  if (progress) progress->finish();
  if (!options.drawn.empty() && compares(opened.model)) SIGHTLINE_CHECK(draw_neighbours(options.drawn, answers));
  return print_answers(console, options, opened, answers);
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.positional("IMAGE", options->images, "pictures, videos, folders of them, or - for a picture from standard input");
  arguments.option("-k,--top", options->top, "K", "how many classes to print for each picture");
  arguments.flag("--jsonl", options->lines, "one JSON object a line, written while it works");
  arguments.option("--score", options->score, "S", "of a detector: the least score of what is told");
  arguments.option("--every", options->every_s, "SECONDS", "of a video: from one frame that is looked at to the next");
  arguments.option("--drawn", options->drawn, "FOLDER",
                   "write each picture with what was found, a map of how far from good it is, or what is most like it, as PNG");
  arguments.option("--task", options->task, "TASK", "of a bare .onnx file that does not say it itself", task_names());
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) {
    // Lines replace the document.
    if (options->lines) console.json = false;
    return predict(*options, console);
  };
}

constexpr std::array examples{
    Example{"sightline predict apparel shoe.jpg", "the released model says what it sees"},
    Example{"sightline predict apparel:2 photos/ --top 3", "version 2, every picture below a folder, the three best classes"},
    Example{"sightline predict ./apparel/ photos/ --jsonl > answers.jsonl", "a package folder; one JSON object a line, while it works"},
    Example{"sightline predict blood slides/ --drawn found/ --json", "a detector: boxes as JSON, and drawn onto the pictures"},
    Example{"sightline predict tiles line-3/ --drawn maps/ --json", "a model of good pictures: score, alarm and where, and heat maps"},
    Example{"sightline predict faces photos/ --drawn alike/ --json", "an embedder: vectors as JSON, and each picture beside those like it"},
    Example{"sightline predict apparel clip.mp4 --every 0.5 --json", "a video: what it sees at each half second, with the time"},
    Example{"curl -s https://example.org/shoe.jpg | sightline predict resnet.onnx - --json", "a bare ONNX file, and a picture from a pipe"},
};

}  // namespace

constexpr Verb predict_verb{
    .name = "predict",
    .group = Group::use,
    .summary = "ask a model about pictures",
    .details =
        "Prints the most probable class of each picture and its probability; for a model whose demand asked for decisions or prediction "
        "sets also the class that is said (or that it is not sure) and the set; for a detector every object with its score and box "
        "(pixels of the picture: left, top, right, bottom); for a model that learned from good pictures how far from good each is, whether "
        "that is an alarm (above 0.5), and where; for an embedder the picture that is most like it among those given (with --json the "
        "vectors). Of a video the frame at the start and at each second (--every) is a picture, told by its time. Pictures that cannot be "
        "read are listed with the "
        "reason at the end and give exit code 3; all others are answered. In folders, files that are no pictures are left out.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
