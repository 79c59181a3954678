// BLAS and LAPACK through OpenBLAS, with this folder's conventions: row-major, threads from the affinity mask.
#pragma once

#include <cblas.h>

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace sightline::heads {

// While it lives, OpenBLAS uses this many threads (0: usable_cores()); then one again, so that callers' own threads don't multiply. The
// number is the whole process's: while somebody asks for one thread, because bits may depend on it, all others have one too.
class BlasThreads {
 public:
  explicit BlasThreads(int threads = 0);
  ~BlasThreads();
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;

 private:
  bool single_;
};

// Cholesky factor of a symmetric positive definite matrix n×n whose lower triangle (row-major) is given, in place. Error internal when it
// is not positive definite.
Result<void> factor(std::vector<double>& matrix, std::int64_t n);
// Solves A X = B with the factor of A; B is columns×n (each right-hand side contiguous), replaced by X.
void solve(const std::vector<double>& factored, std::int64_t n, std::vector<double>& right_sides, std::int64_t columns);
// Eigenvalues (ascending) and eigenvectors (rows of `matrix` on return) of a symmetric n×n matrix.
Result<std::vector<double>> eigen(std::vector<double>& matrix, std::int64_t n);

}  // namespace sightline::heads
