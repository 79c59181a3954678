#include "features/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/interrupt.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "runtime/session.h"
#include "store/row_cache.h"

namespace sightline::features {
namespace {

constexpr std::int64_t batch = 16;
// Pictures that are prepared and computed before they are written to the cache.
constexpr std::size_t ahead = 32 * batch;

}  // namespace

struct FeatureSource::State {
  Backbone backbone;
  mutable runtime::Session session;
  store::RowCache cache;
  int threads = 0;
};

FeatureSource::FeatureSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
FeatureSource::~FeatureSource() = default;

Result<std::shared_ptr<FeatureSource>> FeatureSource::open(Backbone backbone, const std::string& cache_root, int threads) {
  SIGHTLINE_TRY(runtime::Session session,
                runtime::Session::create(backbone.graph, {.threads = threads, .precision = computed_in(backbone.about)}));
  Sha256 key;
  key.add_field(backbone.digest).add_field(fmt::format("version {}, batch {}, {} threads", version, batch, threads));
  key.add_field(simd_level()).add_field(runtime::instruction_set());
  if (backbone.about.precision != "f32") key.add_field(backbone.about.precision);
  const std::string folder = cache_root + "/" + key.finish().substr(0, 32);
  SIGHTLINE_TRY(store::RowCache cache, store::RowCache::open(folder, static_cast<std::size_t>(backbone.dimensions) * sizeof(float)));
  auto state = std::unique_ptr<State>(new State{std::move(backbone), std::move(session), std::move(cache), threads});
  return std::shared_ptr<FeatureSource>(new FeatureSource(std::move(state)));
}

const Backbone& FeatureSource::backbone() const { return state_->backbone; }

Result<Tensor> FeatureSource::features(std::span<const Digest> pictures, const Prepare& prepare, Progress* progress, Counts* counts,
                                       std::span<char> failed) const {
  const std::size_t row_bytes = state_->cache.row_bytes();
  Tensor all(Dtype::f32, {static_cast<std::int64_t>(pictures.size()), state_->backbone.dimensions});
  // The first place of each picture that is missing, and where else it is wanted.
  std::vector<std::size_t> missing;
  std::vector<std::pair<std::size_t, std::size_t>> repeated;  // to, from
  std::unordered_map<std::string_view, std::size_t> first;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto [at, added] = first.emplace(pictures[i], i);
    if (!added) {
      repeated.emplace_back(i, at->second);
    } else if (!state_->cache.find(pictures[i], all.bytes().subspan(i * row_bytes, row_bytes))) {
      missing.push_back(i);
    }
  }
  if (counts != nullptr) *counts = {missing.size(), first.size() - missing.size()};
  if (progress != nullptr) progress->advance(pictures.size() - missing.size());

  const Shape input = {batch, state_->backbone.side, state_->backbone.side, state_->backbone.channels};
  const std::size_t picture_bytes = static_cast<std::size_t>(input[1] * input[2] * input[3]);
  Tensor prepared(Dtype::u8,
                  {static_cast<std::int64_t>(std::min(ahead, (missing.size() + batch - 1) / batch * batch)), input[1], input[2], input[3]});
  for (std::size_t begin = 0; begin < missing.size(); begin += ahead) {
    const std::size_t count = std::min(ahead, missing.size() - begin);
    SIGHTLINE_CHECK(parallel_for(
        count,
        [&](std::size_t i) -> Result<void> {
          const std::size_t at = missing[begin + i];
          Result<Tensor> prepared_one = prepare(at);
          if (!prepared_one.ok() && !failed.empty() && prepared_one.error().kind != ErrorKind::interrupted) {
            failed[at] = 1;
            std::memset(prepared.data() + i * picture_bytes, 0, picture_bytes);
            return {};
          }
          SIGHTLINE_TRY(const Tensor one, std::move(prepared_one));
          if (one.dtype() != Dtype::u8 || one.byte_count() != picture_bytes)
            return Error{ErrorKind::internal, fmt::format("a picture was prepared as {} for {}", to_string(one.shape()), to_string(input))};
          std::memcpy(prepared.data() + i * picture_bytes, one.data(), picture_bytes);
          return {};
        },
        state_->threads, 4));
    const std::size_t filled = (count + batch - 1) / batch * batch;  // the last batch is filled up with its last picture
    for (std::size_t i = count; i < filled; ++i)
      std::memcpy(prepared.data() + i * picture_bytes, prepared.data() + (count - 1) * picture_bytes, picture_bytes);
    std::vector<Digest> keys;
    std::vector<std::byte> rows(count * row_bytes);
    for (std::size_t at = 0; at < count; at += batch) {
      SIGHTLINE_CHECK(check_interrupt());
      SIGHTLINE_TRY(const Tensor answer,
                    state_->session.run(prepared.rows(static_cast<std::int64_t>(at), static_cast<std::int64_t>(at) + batch)));
      const std::size_t some = std::min<std::size_t>(batch, count - at);
      std::memcpy(rows.data() + at * row_bytes, answer.data(), some * row_bytes);
      if (progress != nullptr) progress->advance(some);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t to = missing[begin + i];
      if (!failed.empty() && failed[to] != 0) {
        std::memset(all.data() + to * row_bytes, 0, row_bytes);
        continue;
      }
      keys.push_back(pictures[to]);
      std::memcpy(all.data() + to * row_bytes, rows.data() + i * row_bytes, row_bytes);
      if (kept != i) std::memcpy(rows.data() + kept * row_bytes, rows.data() + i * row_bytes, row_bytes);
      ++kept;
    }
    SIGHTLINE_CHECK(state_->cache.add(keys, std::span(rows).first(kept * row_bytes)));
  }
  for (const auto& [to, from] : repeated) std::memcpy(all.data() + to * row_bytes, all.data() + from * row_bytes, row_bytes);
  return all;
}

}  // namespace sightline::features
