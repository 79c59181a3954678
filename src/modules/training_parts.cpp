#include "modules/training_parts.h"

#include <array>
#include <string_view>

namespace sightline::modules {
namespace {

constexpr const char* ours = "this repository";

template <class Enum, std::size_t N>
constexpr bool in_order(const std::array<TrainingPart, N>& rows) {
  if (N != EnumNames<Enum>::names.size()) return false;
  for (std::size_t i = 0; i < N; ++i)
    if (std::string_view(rows[i].name) != EnumNames<Enum>::names[i]) return false;
  return true;
}

constexpr std::array loss_rows{
    TrainingPart{"cross_entropy", "every picture counts the same; with recipe.smoothing a share of each label is spread over all classes",
                 "Szegedy et al. 2016, arXiv:1512.00567 (smoothing)"},
    TrainingPart{"balanced_cross_entropy", "every class counts the same, however many pictures it has",
                 "King & Zeng 2001, inverse frequency"},
    TrainingPart{"class_balanced", "classes count by the inverse of their effective number of pictures: milder than balanced_cross_entropy",
                 "Cui et al. 2019, arXiv:1901.05555"},
    TrainingPart{"focal", "pictures that are hard count most: weighed by (1 - p)^2, p the probability of the right class",
                 "Lin et al. 2017, arXiv:1708.02002"},
};
static_assert(in_order<Loss>(loss_rows));

constexpr std::array augmentation_rows{
    TrainingPart{"none", "pictures as they are", ours},
    TrainingPart{"flip", "mirrored in every second epoch", "Jordan 2024, arXiv:2404.00498"},
    TrainingPart{"light", "flip, shifts of up to 4% of the side, scales of up to 5%", ours},
    TrainingPart{"strong", "flip, turns of up to 15 degrees, scales, shifts, contrast, brightness, a blanked square",
                 "DeVries & Taylor 2017, arXiv:1708.04552 (the square)"},
    TrainingPart{"light_unflipped", "light without the mirror", ours},
    TrainingPart{"strong_unflipped", "strong without the mirror", ours},
    TrainingPart{
        "mosaic",
        "for detection: every second picture is put together from four, the others are moved and scaled by up to a third; tones; the "
        "last part of training sees light",
        "Bochkovskiy et al. 2020, arXiv:2004.10934; Ge et al. 2021, arXiv:2107.08430 (not to the end)"},
    TrainingPart{"text",
                 "for lines of text, never cut or mirrored: turns of up to 3 degrees, slants, scales down to 0.85, small shifts, contrast, "
                 "brightness, softened edges, noise",
                 ours},
};
static_assert(in_order<Augmentation>(augmentation_rows));

constexpr std::array optimizer_rows{
    TrainingPart{"sgd", "stochastic gradients with Nesterov's momentum", "Sutskever et al. 2013"},
    TrainingPart{"adamw", "steps of about the learning rate, whatever the gradient's size; the default rate is then a fiftieth",
                 "Loshchilov & Hutter 2019, arXiv:1711.05101"},
};
static_assert(in_order<Optimizer>(optimizer_rows));

constexpr std::array schedule_rows{
    TrainingPart{"one_cycle", "the rate rises to its peak along half a cosine and falls along another to nearly nothing",
                 "Smith 2018, arXiv:1803.09820"},
    TrainingPart{"cosine", "the rate rises to its peak in a straight line and falls along half a cosine to nothing",
                 "Loshchilov & Hutter 2017, arXiv:1608.03983"},
};
static_assert(in_order<Schedule>(schedule_rows));

}  // namespace

std::span<const TrainingPart> losses() { return loss_rows; }
std::span<const TrainingPart> augmentations() { return augmentation_rows; }
std::span<const TrainingPart> optimizers() { return optimizer_rows; }
std::span<const TrainingPart> schedules() { return schedule_rows; }

}  // namespace sightline::modules
