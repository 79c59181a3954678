#include "heads/blas.h"

#include <gtest/gtest.h>

namespace sightline::heads {
namespace {

// Symptom that this prevents: a head fitted while another thread took BLAS to two threads had other last bits than the same head alone.
TEST(BlasThreads, OneThreadIsKeptWhileSomebodyAsksForIt) {
  {
    const BlasThreads two(2);
    EXPECT_EQ(openblas_get_num_threads(), 2);
    const BlasThreads one(1);
    EXPECT_EQ(openblas_get_num_threads(), 1);
    const BlasThreads more(2);
    EXPECT_EQ(openblas_get_num_threads(), 1);
  }
  EXPECT_EQ(openblas_get_num_threads(), 1);
  const BlasThreads again(2);
  EXPECT_EQ(openblas_get_num_threads(), 2);
}

TEST(Eigen, GivesValuesAndVectorsOfASymmetricMatrix) {
  std::vector<double> matrix{2, 0, 0, 1, 2, 0, 0, 0, 5};  // lower triangle: [[2, 1, 0], [1, 2, 0], [0, 0, 5]]
  const auto values = eigen(matrix, 3);
  ASSERT_TRUE(values.ok());
  EXPECT_NEAR(values->at(0), 1, 1e-12);
  EXPECT_NEAR(values->at(1), 3, 1e-12);
  EXPECT_NEAR(values->at(2), 5, 1e-12);
  EXPECT_NEAR(matrix[0] + matrix[1], 0, 1e-12);  // (1, -1, 0)
  EXPECT_NEAR(matrix[3] - matrix[4], 0, 1e-12);  // (1, 1, 0)
  EXPECT_NEAR(matrix[8] * matrix[8], 1, 1e-12);
}

}  // namespace
}  // namespace sightline::heads
