#include "heads/blas.h"

#include <fmt/format.h>

#include <mutex>

#include "base/machine.h"

// LAPACK as OpenBLAS exports it (Fortran interface, column-major); Debian's OpenBLAS brings no C header for it.
extern "C" {
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void dpotrs_(const char* uplo, const int* n, const int* nrhs, const double* a, const int* lda, double* b, const int* ldb, int* info);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work, const int* lwork,
             int* iwork, const int* liwork, int* info);
}

namespace sightline::heads {

namespace {

std::mutex threads_mutex;
int asked_for_one = 0;  // that live

}  // namespace

BlasThreads::BlasThreads(int threads) : single_(threads == 1) {
  const std::lock_guard lock(threads_mutex);
  asked_for_one += single_ ? 1 : 0;
  openblas_set_num_threads(asked_for_one > 0 ? 1 : threads > 0 ? threads : usable_cores());
}

BlasThreads::~BlasThreads() {
  const std::lock_guard lock(threads_mutex);
  asked_for_one -= single_ ? 1 : 0;
  openblas_set_num_threads(1);
}

// A lower triangle in rows is an upper triangle in columns.
Result<void> factor(std::vector<double>& matrix, std::int64_t n) {
  const int size = static_cast<int>(n);
  int info = 0;
  dpotrf_("U", &size, matrix.data(), &size, &info);
  if (info != 0) {
    return Error{ErrorKind::internal,
                 fmt::format("the {}×{} matrix of the normal equations is not positive definite (column {})", n, n, info)};
  }
  return {};
}

void solve(const std::vector<double>& factored, std::int64_t n, std::vector<double>& right_sides, std::int64_t columns) {
  const int size = static_cast<int>(n);
  const int count = static_cast<int>(columns);
  int info = 0;
  dpotrs_("U", &size, &count, factored.data(), &size, right_sides.data(), &size, &info);
}

// Divide and conquer (Cuppen 1981): several times as fast as the QR iteration on matrices of hundreds of rows.
Result<std::vector<double>> eigen(std::vector<double>& matrix, std::int64_t n) {
  const int size = static_cast<int>(n);
  std::vector<double> values(static_cast<std::size_t>(n));
  int info = 0, asked = -1, integers = 0;
  double wanted = 0;
  dsyevd_("V", "U", &size, matrix.data(), &size, values.data(), &wanted, &asked, &integers, &asked, &info);
  const int lwork = static_cast<int>(wanted);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(integers));
  dsyevd_("V", "U", &size, matrix.data(), &size, values.data(), work.data(), &lwork, iwork.data(), &integers, &info);
  if (info != 0) return Error{ErrorKind::internal, fmt::format("the eigenvalues of a {}×{} matrix did not converge", n, n)};
  return values;
}

}  // namespace sightline::heads
