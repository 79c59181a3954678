#include "weights/write.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "weights/mapping.h"

namespace sightline::weights {
namespace {

TEST(WriteSafetensors, ReadsBackAsItWas) {
  const std::vector<NamedTensor> tensors{{"b", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, -6})}, {"a", Tensor::of<float>({1}, {0.25F})}};
  const auto bytes = serialize_safetensors(tensors, {{"licence", "MIT"}});
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, *serialize_safetensors(tensors, {{"licence", "MIT"}}));
  const auto file = parse_safetensors(*bytes, "test");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata.at("licence"), "MIT");
  ASSERT_EQ(file->tensors.size(), 2U);
  for (const NamedTensor& each : file->tensors)
    EXPECT_TRUE(each.tensor.same_as(each.name == "a" ? tensors[1].tensor : tensors[0].tensor)) << each.name;
  EXPECT_EQ(serialize_safetensors({tensors[0], tensors[0]}, {}).error().kind, ErrorKind::usage);
}

// Against the reader's widening: f16 → f32 is exact, so the nearest f16 is at most half a step away, and f16 values come back unchanged.
TEST(ToF16, RoundsToTheNearest) {
  std::vector<float> values{0,     -0.0F,    1,        1 + 0x1p-11F, 1 + 3 * 0x1p-11F, 65504, 65519,   65520,
                            -1e9F, 0x1p-24F, 0x1p-25F, 0x1.8p-25F,   6.1e-5F,          1e-7F, 3.14159F};
  const auto half = to_f16(Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values));
  ASSERT_TRUE(half.ok());
  const auto back = to_f32(*half);
  ASSERT_TRUE(back.ok());
  const std::vector<float> expected{0,
                                    -0.0F,
                                    1,
                                    1,
                                    1 + 0x1p-9F,
                                    65504,
                                    65504,
                                    std::numeric_limits<float>::infinity(),
                                    -std::numeric_limits<float>::infinity(),
                                    0x1p-24F,
                                    0,
                                    0x1p-24F};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(back->values<float>()[i], expected[i]) << values[i];
  for (std::size_t i = expected.size(); i < values.size(); ++i)
    EXPECT_NEAR(back->values<float>()[i], values[i], std::max(0x1p-25F, values[i] * 0x1p-11F)) << values[i];
  EXPECT_TRUE(to_f16(*back)->same_as(*half));
  EXPECT_EQ(to_f16(Tensor::of<std::int32_t>({1}, {1})).error().kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace sightline::weights
