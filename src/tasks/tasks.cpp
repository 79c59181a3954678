#include "tasks/tasks.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/text.h"
#include "tasks/anomaly.h"
#include "tasks/anomaly_metrics.h"
#include "tasks/attributes.h"
#include "tasks/attributes_metrics.h"
#include "tasks/detect.h"
#include "tasks/detect_metrics.h"
#include "tasks/embed.h"
#include "tasks/embed_metrics.h"
#include "tasks/landmarks.h"
#include "tasks/landmarks_metrics.h"
#include "tasks/read.h"
#include "tasks/read_metrics.h"
#include "tasks/restore.h"
#include "tasks/restore_metrics.h"
#include "tasks/segment.h"
#include "tasks/segment_metrics.h"

namespace sightline::tasks {

namespace {
constexpr std::array kClassifyMetrics{
    Metric{"top1", "share of images whose most probable class is the given one"},
    Metric{"top5", "share of images whose given class is among the five most probable (1 when there are at most five classes)"},
    Metric{"macro_f1", "mean over the classes of the harmonic mean of precision and recall"},
    Metric{"balanced_accuracy", "mean over the classes of the share of their pictures that is recognised"},
};
constexpr std::array kDetectMetrics{
    Metric{"mAP50", "average precision of boxes that overlap an object by half (IoU 0.5), mean over the classes"},
    Metric{"mAP50-95", "the same, mean over the overlaps 0.50, 0.55, ..., 0.95"},
    Metric{"AR100", "share of objects that the 100 best boxes of a picture find, mean over the same overlaps and the classes"},
};
constexpr std::array kAnomalyMetrics{
    Metric{"image_auroc", "probability that a picture that is not good has a higher score than a good one"},
    Metric{"pixel_auroc", "the same of pixels, where masks say which are not good"},
    Metric{"aupro", "mean share of each defect that is found, while up to 0.3 of the good pixels are taken for bad"},
    Metric{"average_precision", "precision over the pictures that are not good, in the order of their scores"},
};
constexpr std::array kSegmentMetrics{
    Metric{"mIoU", "pixels of a class that are found, over those that are given or found, mean over the classes"},
    Metric{"dice", "twice the pixels of a class that are found, over the given and the found ones, mean over the classes"},
    Metric{"boundary_f1",
           "harmonic mean of the shares of found and given border pixels within two pixels of each other, mean over the classes"},
    Metric{"mask_ap", "right objects over right, wrong and missed ones, mean over the overlaps 0.50, 0.55, ..., 0.95 and the pictures"},
    Metric{"mask_ap50", "the same at the overlap 0.5"},
};
constexpr std::array kEmbedMetrics{
    Metric{"verification_accuracy",
           "share of pairs that are rightly told to show the same thing or not, by a threshold from the other folds"},
    Metric{"roc_auc", "probability that a pair of one identity is more alike than one of two"},
    Metric{"tar_at_fmr_1e-2", "share of pairs of one identity that are accepted where 1 of 100 pairs of two is"},
    Metric{"tar_at_fmr_1e-3", "the same where 1 of 1,000 is; wants 30,000 pairs of two"},
    Metric{"rank1", "share of pictures whose nearest other picture shows the same identity"},
};
constexpr std::array kAttributesMetrics{
    Metric{"mAP", "mean over the labels of the average precision"},
    Metric{"macro_f1", "mean over the labels of the harmonic mean of precision and recall of what is said"},
    Metric{"accuracy", "mean over the questions of the share of pictures that are answered rightly"},
};
constexpr std::array kLandmarksMetrics{
    Metric{"pck_0.1", "share of points within a tenth of the unit of where they are: between the eyes, or the size of what they cover"},
    Metric{"pck_0.05", "the same within a twentieth"},
    Metric{"success_0.1", "share of pictures whose points are off by at most a tenth of the unit in the mean"},
    Metric{"auc_0.1", "area under the share of pictures whose mean error is at most e, for e up to a tenth of the unit, over a tenth"},
};
constexpr std::array kReadMetrics{
    Metric{"text_accuracy", "share of pictures whose whole text is read as it is"},
    Metric{"character_accuracy", "1 - edit distance / characters, over all pictures"},
    Metric{"top5", "share of pictures whose text is among the five most probable readings"},
};
constexpr std::array kRestoreMetrics{
    Metric{"psnr", "10 log10(255² / mean squared difference) in dB, mean over the pictures", most_psnr},
    Metric{"ssim", "structural similarity of what is restored and what is true, mean over the pictures"},
    Metric{"psnr_gain", "by how many dB what is restored is nearer to the truth than what was shown", most_psnr},
};

// Of outputs that say everything themselves.
template <auto decode>
Result<std::vector<annotation::Annotation>> of_outputs(const Outputs& outputs, std::span<const image::Placement> placements,
                                                       const Terms& /*terms*/) {
  return decode(outputs, placements);
}

std::vector<Task>& table() {
  static std::vector<Task> rows{
      Task{"classify", "one label per picture", kClassifyMetrics},
      Task{.name = "detect",
           .description = "boxes of things in a picture",
           .metrics = kDetectMetrics,
           .check_outputs = check_detect_outputs,
           .decode = of_outputs<decode_detect>,
           .columns = kDetectColumns,
           .tell = tell_detect,
           .meter = detect_meter,
           .draw = draw_detect,
           .draw_truth = draw_detect_truth},
      Task{.name = "anomaly",
           .description = "what is not as it should be, learned from good pictures only",
           .metrics = kAnomalyMetrics,
           .from_good = true,
           .check_outputs = check_anomaly_outputs,
           .decode = of_outputs<decode_anomaly>,
           .columns = kAnomalyColumns,
           .tell = tell_anomaly,
           .meter = anomaly_meter,
           .draw = draw_anomaly,
           .draw_truth = draw_anomaly_truth},
      Task{.name = "segment",
           .description = "what stands at every pixel, and where one object ends and the next begins",
           .metrics = kSegmentMetrics,
           .check_outputs = check_segment_outputs,
           .decode = of_outputs<decode_segment>,
           .columns = kSegmentColumns,
           .tell = tell_segment,
           .meter = segment_meter,
           .draw = draw_segment,
           .draw_truth = draw_segment_truth},
      Task{.name = "embed",
           .description = "a vector per picture: those of one identity lie close together",
           .metrics = kEmbedMetrics,
           .open_classes = true,
           .check_outputs = check_embed_outputs,
           .decode = of_outputs<decode_embed>,
           .columns = kEmbedColumns,
           .tell = tell_embed,
           .meter = embed_meter},
      Task{.name = "attributes",
           .description = "several questions about one picture",
           .metrics = kAttributesMetrics,
           .check_outputs = check_attributes_outputs,
           .decode = of_outputs<decode_attributes>,
           .columns = kAttributesColumns,
           .tell = tell_attributes,
           .meter = attributes_meter,
           .draw = draw_attributes,
           .draw_truth = draw_attributes_truth},
      Task{.name = "landmarks",
           .description = "where each of some named points of a thing lies",
           .metrics = kLandmarksMetrics,
           .check_outputs = check_landmarks_outputs,
           .decode = decode_landmarks,
           .columns = kLandmarksColumns,
           .tell = tell_landmarks,
           .meter = landmarks_meter,
           .draw = draw_landmarks,
           .draw_truth = draw_landmarks_truth},
      Task{.name = "read",
           .description = "what is written in a picture: a line of text, a plate",
           .metrics = kReadMetrics,
           .check_outputs = check_read_outputs,
           .decode = decode_read,
           .columns = kReadColumns,
           .tell = tell_read,
           .meter = read_meter,
           .draw = draw_read,
           .draw_truth = draw_read_truth},
      Task{.name = "restore",
           .description = "how a picture should look that is noisy, blurred or small, and how sure that is",
           .metrics = kRestoreMetrics,
           .open_classes = true,
           .check_outputs = check_restore_outputs,
           .decode = of_outputs<decode_restore>,
           .columns = kRestoreColumns,
           .tell = tell_restore,
           .meter = restore_meter,
           .show = show_restore,
           .tiled = true,
           .strip = strip_of_restore},
  };
  return rows;
}
}  // namespace

std::vector<std::string> names_of(std::span<const Metric> metrics) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics) names.emplace_back(metric.name);
  return names;
}

std::span<const Task> all_tasks() { return table(); }

Result<void> add_task(const Task& task) {
  if (find_task(task.name).ok()) return Error{ErrorKind::conflict, fmt::format("there is a task \"{}\" already", task.name)};
  table().push_back(task);
  return {};
}

Result<const Task*> find_task(const std::string& name) {
  std::vector<std::string> names;
  for (const Task& task : table()) {
    if (name == task.name) return &task;
    names.emplace_back(task.name);
  }
  return Error{ErrorKind::not_found,
               fmt::format("no task is called \"{}\"{} (there is: {})", name, did_you_mean(name, names), join(names, ", "))};
}

}  // namespace sightline::tasks
