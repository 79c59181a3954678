#include "annotation/landmarks.h"

#include <gtest/gtest.h>

namespace sightline::annotation {
namespace {

TEST(Landmarks, LeftAndRightAreEachOthersMirrorImage) {
  EXPECT_EQ(mirrored_landmarks({"left_eye", "right_eye", "nose", "MouthLeft", "mouthRIGHT", "left_ear"}),
            (std::vector<std::size_t>{1, 0, 2, 4, 3, 5}));
  EXPECT_EQ(mirrored_landmarks({}), std::vector<std::size_t>());
}

TEST(Landmarks, TheEyesAreFoundWhateverTheyAreCalled) {
  EXPECT_EQ(eyes_among({"nose", "right_eye", "left_eye"}), std::pair(std::size_t{2}, std::size_t{1}));
  EXPECT_EQ(eyes_among({"left_eye_outer_corner", "right_eye_outer_corner"}), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(eyes_among({"left pupil", "right pupil"}), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(eyes_among({"left_eyebrow", "right_eyebrow", "left_shoulder", "right_shoulder"}), std::nullopt);
  EXPECT_EQ(eyes_among({"left_eye", "nose"}), std::nullopt);
}

}  // namespace
}  // namespace sightline::annotation
