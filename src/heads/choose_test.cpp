#include "heads/choose.h"

#include <gmock/gmock.h>

#include <array>
#include <set>
#include <thread>

#include "base/interrupt.h"
#include "base/random.h"
#include "heads/clouds_for_test.h"
#include "heads/selection.h"

namespace sightline::heads {
namespace {

using testing::HasSubstr;

Choice chosen(const Clouds& clouds, int classes, const ChooseOptions& options = {}, const std::vector<std::int64_t>& groups = {}) {
  auto choice = choose_head(clouds.features, clouds.labels, groups, classes, options);
  EXPECT_TRUE(choice.ok()) << (choice.ok() ? "" : choice.error().message);
  return choice.ok() ? *std::move(choice) : Choice{};
}

TEST(ChooseHead, SeparatesWhatIsSeparableWithMoreFeaturesThanSamplesAndFewer) {
  for (const std::int64_t dimensions : {5, 300}) {
    const Clouds train = make_clouds(120, dimensions, 3, 0.2, 3);
    const Choice choice = chosen(train, 3);
    EXPECT_EQ(choice.candidates.size(), 4U);
    EXPECT_EQ(choice.candidates[choice.chosen].accuracy, 1.0);
    EXPECT_EQ(choice.accuracy, 1.0);
    EXPECT_EQ(choice.chosen, 0U) << "the usual one of equals: " << choice.sentence;
    ASSERT_EQ(choice.scores.size(), 1U);
    EXPECT_EQ(choice.scores[0].shape(), (Shape{120, 3}));
    // New samples of the same clouds: their centres depend on the seed alone.
    const Clouds all = make_clouds(400, dimensions, 3, 0.2, 3);
    EXPECT_EQ(accuracy(scores_of(choice.head, all.features), all.labels), 1.0);
    EXPECT_THAT(choice.sentence, HasSubstr("120 samples in 5 folds"));
  }
}

// Two cuts, 200 and 6 wide, in which three classes are told apart by columns that are higher by `early` and `last`.
Clouds two_cuts(std::int64_t count, double early, double last) {
  Clouds clouds{Tensor(Dtype::f32, {count, 206}), {}};
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(17, static_cast<std::uint64_t>(i));
    clouds.labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::int64_t j = 0; j < 206; ++j)
      clouds.features.values<float>()[static_cast<std::size_t>(i * 206 + j)] =
          static_cast<float>(random.normal() + (j % 3 == i % 3 ? (j < 200 ? early : last) : 0));
  }
  return clouds;
}

TEST(ChooseHead, SetsOfCutsCompeteAlsoOnAPartOfManySamples) {
  for (const std::int64_t count : {120, 2000}) {
    const ChooseOptions options{.cut_widths = {200, 6}, .cut_sets = {{"last", {1}}, {"both", {0, 1}}}, .threads = 2};
    const Choice both = chosen(two_cuts(count, 0.5, 1), 3, options),
                 last = chosen(two_cuts(count, 0, 6), 3, options);  // of equals the first
    EXPECT_EQ(both.cut_set, 1U) << both.sentence;
    EXPECT_TRUE(both.head.columns.empty());
    EXPECT_EQ(last.cut_set, 0U) << last.sentence;
    EXPECT_EQ(last.head.columns, (std::vector<std::int64_t>{200, 201, 202, 203, 204, 205}));
    EXPECT_EQ(last.head.features, 206);
    EXPECT_EQ(last.candidates.size(), count == 120 ? 8U : 4U);
    EXPECT_EQ(last.candidates[last.chosen].cuts, "last");
    EXPECT_EQ(last.scores[0].dim(0), count);
    EXPECT_THAT(last.sentence, HasSubstr(count == 120 ? "on last" : "the cuts were chosen before"));
    // One thread gives the same.
    ChooseOptions alone = options;
    alone.threads = 1;
    const Choice again = chosen(two_cuts(count, 0.5, 1), 3, alone);
    EXPECT_TRUE(again.head.linear.weight.same_as(both.head.linear.weight));
  }
  const Choice few = chosen(two_cuts(24, 1, 0), 3, {.cut_widths = {200, 6}, .cut_sets = {{"last", {1}}, {"both", {0, 1}}}});
  EXPECT_EQ(few.cut_set, 0U);
  EXPECT_THAT(few.sentence, HasSubstr("too few to choose cuts by"));
  const Clouds clouds = two_cuts(60, 1, 1);
  for (const CutSet& bad : {CutSet{"none", {}}, CutSet{"far", {2}}, CutSet{"turned", {1, 0}}})
    EXPECT_EQ(choose_head(clouds.features, clouds.labels, {}, 3, {.cut_widths = {200, 6}, .cut_sets = {bad}}).error().kind,
              ErrorKind::usage)
        << bad.name;
}

TEST(ChooseHead, EstimatesWhatNewSamplesWillSee) {
  const Clouds all = make_clouds(4200, 60, 4, 4.0, 11);
  Clouds train{all.features.rows(0, 200), {all.labels.begin(), all.labels.begin() + 200}};
  const Tensor others = all.features.rows(200, 4200);
  const std::vector<std::int32_t> wanted(all.labels.begin() + 200, all.labels.end());
  const Choice choice = chosen(train, 4);
  const double truth = accuracy(scores_of(choice.head, others), wanted);
  EXPECT_NEAR(choice.accuracy, truth, 0.09);  // three standard errors of 200 samples
  EXPECT_LE(choice.accuracy, choice.candidates[choice.chosen].accuracy + 0.02);
  // Probabilities are honest: mean confidence is the accuracy.
  const Tensor probabilities = probabilities_of(choice.head, others);
  double confidence = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto row = probabilities.values<float>().subspan(i * 4, 4);
    confidence += *std::ranges::max_element(row) / static_cast<double>(wanted.size());
  }
  EXPECT_NEAR(confidence, truth, 0.08);
}

TEST(ChooseHead, LabelsByChanceLookLikeChance) {
  Clouds clouds = make_clouds(150, 400, 3, 1, 5);
  Random random(9);
  for (std::int32_t& label : clouds.labels) label = static_cast<std::int32_t>(random.below(3));
  const Choice choice = chosen(clouds, 3);
  EXPECT_LT(choice.accuracy, 0.46);
}

TEST(ChooseHead, FewSamplesDoNotLookWorseThanTheyAre) {
  // Five of each of three overlapping classes. Ten folds, of which some hold one class alone, find 0.14 less than there is.
  double estimated = 0, truth = 0;
  constexpr int trials = 30;
  for (int trial = 0; trial < trials; ++trial) {
    const Clouds all = make_clouds(900, 200, 3, 6.0, static_cast<std::uint64_t>(1000 + trial));
    Clouds few{Tensor(Dtype::f32, {15, 200}), {}};
    std::array<int, 3> count{};
    for (std::int64_t i = 0; few.labels.size() < 15; ++i) {
      const std::int32_t label = all.labels[static_cast<std::size_t>(i)];
      if (++count.at(static_cast<std::size_t>(label)) > 5) continue;
      std::ranges::copy(all.features.rows(i, i + 1).values<float>(),
                        few.features.values<float>().begin() + static_cast<std::ptrdiff_t>(few.labels.size()) * 200);
      few.labels.push_back(label);
    }
    const Choice choice = chosen(few, 3, {.kinds = {Kind::ridge}, .balanced = true});
    EXPECT_EQ(choice.folds, 5);
    estimated += choice.candidates[0].balanced_accuracy / trials;
    const std::vector<std::int32_t> others(all.labels.begin() + 300, all.labels.end());
    truth += accuracy(scores_of(choice.head, all.features.rows(300, 900)), others) / trials;
  }
  EXPECT_NEAR(estimated, truth, 0.05);
}

TEST(ChooseHead, SamplesOfAGroupDoNotJudgeEachOther) {
  Clouds clouds = make_clouds(160, 200, 2, 1, 31);
  std::vector<std::int64_t> groups(160);
  const auto values = clouds.features.values<float>();
  Random random(2);
  for (std::size_t i = 0; i < 160; ++i) {  // four near copies each, labels by chance
    groups[i] = static_cast<std::int64_t>(i / 4);
    clouds.labels[i] = i / 4 % 2 == 0 ? 0 : 1;
    for (std::size_t j = 0; j < 200; ++j)
      values[i * 200 + j] =
          i % 4 == 0 ? static_cast<float>(random.normal()) : values[i / 4 * 800 + j] + static_cast<float>(0.1 * random.normal());
  }
  EXPECT_LT(chosen(clouds, 2, {}, groups).accuracy, 0.7);
  EXPECT_GT(chosen(clouds, 2).accuracy, 0.95);
}

TEST(ChooseHead, ThreadsAndRunsGiveTheSameBits) {
  const Clouds clouds = make_clouds(90, 150, 3, 2.0, 7);
  ChooseOptions options{.seed = 5};
  options.kinds.push_back(Kind::random_features);
  options.hidden = 64;
  options.keep = {20};
  options.balanced = true;
  const Choice once = chosen(clouds, 3, options);
  options.threads = 2;
  const Choice again = chosen(clouds, 3, options);
  Choice beside, other;
  std::thread first([&] { beside = chosen(clouds, 3, options); });
  std::thread second([&] { other = chosen(clouds, 3, options); });
  first.join();
  second.join();
  for (const Choice* each : std::array<const Choice*, 3>{&again, &beside, &other}) {
    EXPECT_TRUE(once.head.linear.weight.same_as(each->head.linear.weight));
    EXPECT_TRUE(once.head.linear.bias.same_as(each->head.linear.bias));
    EXPECT_EQ(once.head.temperature, each->head.temperature);
    EXPECT_TRUE(once.scores[2].same_as(each->scores[2]));
    EXPECT_EQ(once.accuracy, each->accuracy);
    EXPECT_EQ(once.sentence, each->sentence);
  }
}

TEST(ChooseHead, BearsFewAndOddSamples) {
  const std::vector<Kind> every{Kind::ridge, Kind::discriminant, Kind::logistic, Kind::nearest_mean, Kind::random_features};
  for (const bool balanced : {false, true}) {
    const ChooseOptions options{.kinds = every, .balanced = balanced, .hidden = 32};
    // One sample per class.
    Clouds single{Tensor::of<float>({3, 4}, {1, 0, 0, 9, 0, 1, 0, 9, 0, 0, 1, 9}), {0, 1, 2}};
    EXPECT_EQ(chosen(single, 3, options).head.classes(), 3);
    // Two samples in all; a class that has none; a constant feature; copies.
    Clouds two{Tensor::of<float>({2, 3}, {1, 2, 5, 2, 1, 5}), {0, 1}};
    EXPECT_EQ(accuracy(scores_of(chosen(two, 2, options).head, two.features), two.labels), 1.0);
    Clouds gap = make_clouds(30, 8, 2, 0.2, 3);
    const Choice with_gap = chosen(gap, 4, options);
    EXPECT_EQ(with_gap.head.classes(), 4);
    EXPECT_EQ(accuracy(scores_of(with_gap.head, gap.features), gap.labels), 1.0);
    // Nothing varies.
    Clouds flat{Tensor::filled({20, 5}, 4.0F), std::vector<std::int32_t>(20, 0)};
    for (std::size_t i = 0; i < 6; ++i) flat.labels[i] = 1;
    const Choice shares = chosen(flat, 2, options);
    for (const float value : shares.head.linear.weight.values<float>()) EXPECT_TRUE(std::isfinite(value));
    // A thousand to one.
    Clouds rare = make_clouds(1001, 10, 2, 0.3, 8);
    for (std::size_t i = 0; i < 1001; ++i) {
      rare.labels[i] = i == 77 ? 1 : 0;
      for (std::size_t j = 0; j < 10; ++j) rare.features.values<float>()[i * 10 + j] += i == 77 ? 8 : 0;
    }
    const Choice imbalanced = chosen(rare, 2, options);
    for (const float value : imbalanced.scores[0].values<float>()) EXPECT_TRUE(std::isfinite(value));
    EXPECT_GT(imbalanced.accuracy, 0.99);
  }
}

TEST(ChooseHead, BalancedFitsHearTheRareClass) {
  // One class in twenty, overlapping: without balance it is hardly ever named.
  Clouds clouds = make_clouds(1000, 10, 2, 1, 13);
  Random random(4);
  for (std::size_t i = 0; i < 1000; ++i) {
    clouds.labels[i] = i % 20 == 0 ? 1 : 0;
    for (std::size_t j = 0; j < 10; ++j)
      clouds.features.values<float>()[i * 10 + j] = static_cast<float>(random.normal() + (i % 20 == 0 ? 0.5 : 0));
  }
  const Choice plain = chosen(clouds, 2, {.kinds = {Kind::ridge, Kind::logistic, Kind::discriminant}});
  const Choice balanced = chosen(clouds, 2, {.kinds = {Kind::ridge, Kind::logistic, Kind::discriminant}, .balanced = true});
  EXPECT_GT(balanced.balanced_accuracy, 0.7);
  EXPECT_LT(plain.balanced_accuracy, 0.65);
  EXPECT_GT(plain.accuracy, balanced.accuracy);
}

TEST(ChooseHead, KeepsTheColumnsThatMatter) {
  // 4 columns with a signal among 400.
  Clouds clouds = make_clouds(120, 400, 2, 1, 3);
  Random random(6);
  for (std::size_t i = 0; i < 120; ++i)
    for (std::size_t j = 0; j < 400; ++j)
      clouds.features.values<float>()[i * 400 + j] = static_cast<float>(random.normal() + (j % 100 == 7 ? 1.6 * clouds.labels[i] : 0));
  const Choice choice = chosen(clouds, 2, {.kinds = {Kind::ridge}, .keep = {4}});
  EXPECT_EQ(choice.chosen, 1U) << choice.sentence;
  EXPECT_EQ(choice.head.columns, (std::vector<std::int64_t>{7, 107, 207, 307}));
  EXPECT_GT(choice.candidates[1].accuracy, choice.candidates[0].accuracy + 0.1);
  // Of pure noise the best columns look good only to those who chose them on the same samples.
  for (std::int32_t& label : clouds.labels) label = static_cast<std::int32_t>(random.below(2));
  EXPECT_LT(chosen(clouds, 2, {.kinds = {Kind::ridge}, .keep = {4}}).accuracy, 0.65);
}

TEST(ChooseHead, RandomFeaturesBendTheBorder) {
  // Inside against outside of a ball: no linear head can.
  Clouds clouds{Tensor(Dtype::f32, {400, 3}), {}};
  Random random(12);
  for (std::size_t i = 0; i < 400; ++i) {
    double square = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      const double x = random.normal();
      clouds.features.values<float>()[i * 3 + j] = static_cast<float>(x);
      square += x * x;
    }
    clouds.labels.push_back(square > 2.4 ? 1 : 0);
  }
  for (const Activation activation : {Activation::relu, Activation::cosine}) {
    ChooseOptions options{.hidden = 256, .activation = activation};
    options.kinds.push_back(Kind::random_features);
    const Choice choice = chosen(clouds, 2, options);
    EXPECT_EQ(choice.head.kind, Kind::random_features) << choice.sentence;
    EXPECT_GT(choice.accuracy, 0.85);
    EXPECT_GT(accuracy(scores_of(choice.head, clouds.features), clouds.labels), 0.9);
  }
}

TEST(ChooseHead, CutsOfOneSizeAndAnotherCountAlike) {
  // The label is in the small cut; the large one is noise of a huge scale.
  const Clouds small = make_clouds(80, 6, 2, 0.8, 21), noise = make_clouds(80, 600, 2, 1.0, 99);
  Tensor large = noise.features.copy();
  Random random(3);
  for (float& value : large.values<float>()) value = static_cast<float>(1000 * random.normal());
  const auto joined = concatenate(std::vector<Tensor>{small.features, large});
  ASSERT_TRUE(joined.ok());
  EXPECT_EQ(joined->widths, (std::vector<std::int64_t>{6, 600}));
  const Choice alike = chosen({joined->features, small.labels}, 2, {.cut_widths = joined->widths});
  const Choice one = chosen({joined->features, small.labels}, 2);
  EXPECT_GT(alike.accuracy, one.accuracy + 0.05);
}

TEST(ChooseHead, RefusesWhatCannotBeChosen) {
  const Clouds clouds = make_clouds(20, 3, 2, 1, 1);
  const auto error = [&](const std::vector<std::int32_t>& labels, const std::vector<std::int64_t>& groups, const ChooseOptions& options) {
    const auto choice = choose_head(clouds.features, labels, groups, 2, options);
    return choice.ok() ? Error{ErrorKind::internal, "none"} : choice.error();
  };
  EXPECT_THAT(error(std::vector<std::int32_t>(20, 1), {}, {}).message, HasSubstr("one class"));
  EXPECT_THAT(error(clouds.labels, std::vector<std::int64_t>(20, 3), {}).message, HasSubstr("one group"));
  EXPECT_EQ(error(clouds.labels, {1, 2}, {}).kind, ErrorKind::invalid_data);
  EXPECT_EQ(error({0, 1}, {}, {}).kind, ErrorKind::invalid_data);
  EXPECT_EQ(error(clouds.labels, {}, {.kinds = {}}).kind, ErrorKind::usage);
  EXPECT_EQ(error(clouds.labels, {}, {.folds = 1}).kind, ErrorKind::usage);
  EXPECT_EQ(error(clouds.labels, {}, {.cut_widths = {1, 1}}).kind, ErrorKind::usage);
  EXPECT_EQ(error(clouds.labels, {}, {.hidden = 0}).kind, ErrorKind::usage);
  request_interrupt();
  const Error interrupted = error(clouds.labels, {}, {});
  clear_interrupt();
  EXPECT_EQ(interrupted.kind, ErrorKind::interrupted);
}

TEST(RidgeLeaveOneOut, ChoosesTheRegulariserThatNewSamplesWant) {
  const Clouds all = make_clouds(3100, 50, 3, 5.0, 41);
  const Tensor train = all.features.rows(0, 100);
  const std::vector<std::int32_t> labels(all.labels.begin(), all.labels.begin() + 100);
  const auto fit = fit_ridge_leave_one_out(train, labels, 3);
  ASSERT_TRUE(fit.ok());
  ASSERT_EQ(fit->penalties.size(), fit->errors.size());
  const auto least = std::ranges::min_element(fit->errors) - fit->errors.begin();
  EXPECT_EQ(fit->alpha, fit->penalties[static_cast<std::size_t>(least)]);
  EXPECT_GT(fit->alpha, fit->penalties.front()) << "noisy data want more than the least penalty";
  EXPECT_EQ(fit->scores.shape(), (Shape{100, 3}));
  const std::vector<std::int32_t> wanted(all.labels.begin() + 100, all.labels.end());
  EXPECT_NEAR(accuracy(fit->scores, labels), accuracy(scores_of(fit->head, all.features.rows(100, 3100)), wanted), 0.15);
}

TEST(Selection, KeepsThePreferredHeadWithinTheNoiseOnly) {
  std::vector<std::int32_t> labels(100, 0);
  for (std::size_t i = 0; i < 50; ++i) labels[i] = 1;
  Judged judged{.candidate_of = {0, 1}, .labels = labels, .classes = 2, .standard_errors = 1};
  judged.units = units_of(100, {});
  judged.right.assign(200, 1.0F);
  judged.loss.assign(200, 0.5F);
  // The preferred one loses 1 sample that the other has: within one standard error of the difference (0.00995).
  judged.right[3] = 0;
  Selection selection = select(judged);
  EXPECT_EQ(selection.best, 1U);
  EXPECT_NEAR(selection.candidates[0].behind, 0.01, 1e-6);
  EXPECT_NEAR(selection.candidates[0].standard_error, std::sqrt(0.01 * 0.99 / 100), 1e-6);
  EXPECT_EQ(selection.chosen, 1U);
  judged.standard_errors = 1.1;
  EXPECT_EQ(select(judged).chosen, 0U);
  judged.standard_errors = 1;
  // A loss and a gain for two: the noise is larger than the difference.
  judged.right[4] = judged.right[5] = 0;
  judged.right[106] = judged.right[107] = 0;
  EXPECT_EQ(select(judged).best, 1U);
  EXPECT_EQ(select(judged).chosen, 0U);
  // In one group what was three samples is one.
  std::vector<std::int64_t> groups(100, -1);
  groups[3] = groups[4] = groups[5] = 7;
  judged.units = units_of(100, groups);
  EXPECT_EQ(judged.units.count, 98);
  EXPECT_GT(select(judged).candidates[0].standard_error, 0.03);
}

TEST(Selection, ADearerLookMustBeBetterByMoreThanNoise) {
  const std::vector<std::int32_t> labels(100, 0);
  // Two heads on the cheap look, one on each of two dearer ones.
  Judged judged{.candidate_of = {0, 1, 2, 3}, .set_of = {0, 0, 1, 2}, .look_of = {0, 0, 1, 2}, .labels = labels, .classes = 2};
  judged.units = units_of(100, {});
  judged.loss.assign(400, 0.5F);
  const auto wrong = [&](std::vector<int> counts) {
    judged.right.assign(400, 1.0F);
    for (std::size_t c = 0; c < 4; ++c) std::fill_n(judged.right.begin() + static_cast<std::ptrdiff_t>(105 * c), counts[c], 0.0F);
    return select(judged).chosen;
  };
  EXPECT_EQ(wrong({10, 9, 9, 8}), 0U);     // one sample is noise, and within a look the preferred head stays
  EXPECT_EQ(wrong({30, 20, 10, 9}), 2U);   // the cheapest of those that are as good
  EXPECT_EQ(wrong({30, 20, 20, 10}), 3U);  // the dearest is really better
  judged.look_errors = 0;
  EXPECT_EQ(wrong({10, 9, 9, 8}), 3U);
}

TEST(ChooseHead, LearnsFromMirroredSamplesAndIsNotJudgedOnThem) {
  // The mirror shows a second drawing of each sample around the same centre: twice the lessons.
  const Clouds clouds = make_clouds(60, 40, 3, 4, 5), fresh = make_clouds(2000, 40, 3, 4, 5);
  Tensor mirrored(Dtype::f32, clouds.features.shape());
  for (std::int64_t i = 0; i < 60; ++i) {
    Random random(77, static_cast<std::uint64_t>(i)), centre(6, static_cast<std::uint64_t>(clouds.labels[static_cast<std::size_t>(i)]));
    for (std::int64_t j = 0; j < 40; ++j)
      mirrored.values<float>()[static_cast<std::size_t>(i * 40 + j)] = static_cast<float>(centre.normal() + 4 * random.normal());
  }
  ChooseOptions options{.kinds = {Kind::ridge}};
  const Choice alone = *choose_head(clouds.features, clouds.labels, {}, 3, options);
  options.mirrored = &mirrored;
  const auto both = choose_head(clouds.features, clouds.labels, {}, 3, options);
  ASSERT_TRUE(both.ok()) << both.error().message;
  EXPECT_EQ(both->scores[0].dim(0), 60);
  const auto right = [&](const Choice& choice) { return accuracy(scores_of(choice.head, fresh.features), fresh.labels); };
  EXPECT_GT(right(*both), right(alone) + 0.03);
  // The same rows once more teach nothing, and no sample is judged by a head that saw it in the mirror.
  options.mirrored = &clouds.features;
  const auto twice = choose_head(clouds.features, clouds.labels, {}, 3, options);
  ASSERT_TRUE(twice.ok());
  EXPECT_NEAR(twice->accuracy, alone.accuracy, 0.06);
  const Tensor other(Dtype::f32, {60, 7});
  options.mirrored = &other;
  EXPECT_THAT(choose_head(clouds.features, clouds.labels, {}, 3, options).error().message, testing::HasSubstr("mirrored features"));
}

TEST(Selection, TheWinnersCurseIsTakenOff) {
  // Twenty candidates that guess: the best looks better than 0.5, choosing does not reach it.
  double best = 0, chosen_by_rule = 0;
  constexpr int trials = 20;
  for (int trial = 0; trial < trials; ++trial) {
    Random random(100, static_cast<std::uint64_t>(trial));
    std::vector<std::int32_t> labels(80);
    for (std::int32_t& label : labels) label = static_cast<std::int32_t>(random.below(2));
    Judged judged{.labels = labels, .classes = 2, .standard_errors = 0};
    judged.units = units_of(80, {});
    for (int c = 0; c < 20; ++c) {
      judged.candidate_of.push_back(c);
      for (std::size_t i = 0; i < 80; ++i) {
        judged.right.push_back(random.uniform() < 0.5 ? 1 : 0);
        judged.loss.push_back(0.7F);
      }
    }
    const Selection selection = select(judged);
    best += selection.candidates[selection.best].metric / trials;
    const auto expected = expected_of_choice(judged, 100, 1);
    ASSERT_TRUE(expected.ok());
    chosen_by_rule += expected->accuracy / trials;
  }
  EXPECT_GT(best, 0.58);
  EXPECT_NEAR(chosen_by_rule, 0.5, 0.025);
}

TEST(Folds, KeepGroupsTogetherAndShareOutClasses) {
  const Clouds clouds = make_clouds(200, 1, 4, 1, 2);
  std::vector<std::int64_t> groups(200, -1);
  for (std::size_t i = 0; i < 60; ++i) groups[i] = static_cast<std::int64_t>(i / 3);
  const std::vector<int> folds = assign_folds(clouds.labels, groups, 4, 5, 1);
  std::vector<std::vector<int>> count(5, std::vector<int>(4));
  for (std::size_t i = 0; i < 200; ++i) {
    if (groups[i] >= 0) {
      EXPECT_EQ(folds[i], folds[i / 3 * 3]);
    }
    ++count[static_cast<std::size_t>(folds[i])][static_cast<std::size_t>(clouds.labels[i])];
  }
  for (std::size_t c = 0; c < 4; ++c) {
    const auto all = std::ranges::count(clouds.labels, static_cast<std::int32_t>(c));
    for (const auto& fold : count) EXPECT_NEAR(fold[c], static_cast<double>(all) / 5, 1.5);
  }
  EXPECT_NE(folds, assign_folds(clouds.labels, groups, 4, 5, 2));
}

TEST(Temperature, RecoversTheTrueOneAndNeverClaimsCertainty) {
  Random random(5);
  Tensor scores(Dtype::f32, {4000, 3});
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < 4000; ++i) {
    double p[3], sum = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      const double score = random.normal() * 2;
      scores.values<float>()[i * 3 + c] = static_cast<float>(2.5 * score);  // the true temperature is 2.5
      sum += p[c] = std::exp(score);
    }
    const double draw = random.uniform() * sum;
    labels.push_back(draw < p[0] ? 0 : draw < p[0] + p[1] ? 1 : 2);
  }
  EXPECT_NEAR(temperature_of(std::span(&scores, 1), labels), 2.5, 0.15);
  const Tensor sure = Tensor::of<float>({4, 2}, {5, 0, 5, 0, 0, 5, 0, 5});
  const double temperature = temperature_of(std::span(&sure, 1), std::vector<std::int32_t>{0, 0, 1, 1});
  EXPECT_NEAR(probabilities_of(sure, temperature).values<float>()[0], 5.0 / 6, 0.01);
  EXPECT_EQ(temperature_of({}, {}), 1);
}

}  // namespace
}  // namespace sightline::heads
