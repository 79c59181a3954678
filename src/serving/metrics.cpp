#include "serving/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>

namespace sightline::serving {
namespace {

using Labels = std::map<std::string, std::string>;

prometheus::Histogram::BucketBoundaries latency_buckets() {
  return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t whole = 0, resident = 0;
  file >> whole >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t nanoseconds(double seconds) { return static_cast<std::uint64_t>(std::llround(seconds * 1e9)); }

Json duration(std::uint64_t count, double seconds) { return {{"count", count}, {"ns", nanoseconds(seconds)}}; }

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;

  prometheus::Family<prometheus::Counter>& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Histogram>& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  prometheus::Family<prometheus::Counter>& requests = counter("sightline_http_requests_total", "Requests by route and status");
  prometheus::Family<prometheus::Histogram>& request_seconds =
      histogram("sightline_http_request_seconds", "Header read to answer written, by route");
  prometheus::Family<prometheus::Counter>& bytes = counter("sightline_http_bytes_total", "Bytes of bodies, by direction");
  prometheus::Family<prometheus::Counter>& inferences =
      counter("sightline_inferences_total", "Pictures (rows) answered, by model and version");
  prometheus::Family<prometheus::Counter>& failures =
      counter("sightline_inference_failures_total", "Requests to models that failed, by model and kind");
  prometheus::Family<prometheus::Histogram>& stages =
      histogram("sightline_inference_seconds", "Time of a request by stage (queue, input, compute, output)");
  // A histogram for each of thousands of models would be megabytes at each scrape.
  prometheus::Family<prometheus::Counter>& model_seconds = counter("sightline_model_seconds_total", "Time of a model's requests, by stage");
  prometheus::Family<prometheus::Histogram>& batch_rows = histogram("sightline_batch_rows", "Rows of the batch that a request was part of");
  prometheus::Family<prometheus::Counter>& predictions = counter("sightline_predictions_total", "What models said, by model and label");
  prometheus::Family<prometheus::Counter>& shadows =
      counter("sightline_shadow_answers_total", "Answers of shadow versions, by model and agreement");
  prometheus::Family<prometheus::Counter>& lost_log =
      counter("sightline_access_log_failures_total", "Lines of the access log that could not be written");
  prometheus::Family<prometheus::Gauge>& model_bytes =
      gauge("sightline_model_bytes", "Memory that loading the model took, by model and version");
  prometheus::Family<prometheus::Gauge>& models = gauge("sightline_models", "Versions of models, by state");
  prometheus::Family<prometheus::Gauge>& held = gauge("sightline_models_bytes", "Memory of weights and intermediate values of all models");
  prometheus::Family<prometheus::Gauge>& limit = gauge("sightline_models_limit_bytes", "The limit of it");
  prometheus::Family<prometheus::Gauge>& loads = gauge("sightline_model_loads", "Models loaded since the start");
  prometheus::Family<prometheus::Gauge>& evictions = gauge("sightline_model_evictions", "Models unloaded to make room since the start");
  prometheus::Family<prometheus::Gauge>& server =
      gauge("sightline_server", "Connections, requests waiting and working, and bytes of bodies held");
  prometheus::Family<prometheus::Gauge>& waiting = gauge("sightline_queue", "Requests that wait for a batch");
  prometheus::Family<prometheus::Gauge>& resident = gauge("sightline_resident_bytes", "Memory of the process");
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

void Metrics::served(const Served& one) {
  {
    const std::scoped_lock lock(mutex_);
    Totals& totals = totals_[one.model][one.version];
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    totals.last_ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    if (one.failed) {
      ++totals.failures;
      totals.failed_s += one.queue_s + one.input_s + one.compute_s + one.output_s;
    } else {
      ++totals.requests;
      totals.inferences += static_cast<std::uint64_t>(one.rows);
      totals.queue_s += one.queue_s;
      totals.input_s += one.input_s;
      totals.compute_s += one.compute_s;
      totals.output_s += one.output_s;
      auto& batch = totals.batches[one.batch];
      ++batch.first;
      batch.second += one.compute_s;
    }
  }
  const std::string version = std::to_string(one.version);
  if (one.failed) {
    families_->failures.Add({{"model", one.model}, {"kind", one.error}}).Increment();
    return;
  }
  families_->inferences.Add({{"model", one.model}, {"version", version}}).Increment(static_cast<double>(one.rows));
  const auto stage = [&](const char* name, double seconds) {
    families_->stages.Add({{"stage", name}}, latency_buckets()).Observe(seconds);
    families_->model_seconds.Add({{"model", one.model}, {"stage", name}}).Increment(seconds);
  };
  stage("queue", one.queue_s);
  stage("input", one.input_s);
  stage("compute", one.compute_s);
  stage("output", one.output_s);
  families_->batch_rows.Add({}, prometheus::Histogram::BucketBoundaries{1, 2, 4, 8, 16, 32, 64}).Observe(static_cast<double>(one.batch));
}

void Metrics::said(const std::string& model, const std::string& label) {
  families_->predictions.Add({{"model", model}, {"label", label}}).Increment();
}

void Metrics::shadowed(const std::string& model, bool agrees) {
  families_->shadows.Add({{"model", model}, {"agrees", agrees ? "yes" : "no"}}).Increment();
}

void Metrics::exchanged(const net::Exchange& exchange) {
  families_->requests.Add({{"route", exchange.route}, {"method", exchange.method}, {"status", std::to_string(exchange.status)}})
      .Increment();
  families_->request_seconds.Add({{"route", exchange.route}}, latency_buckets()).Observe(exchange.seconds);
  families_->bytes.Add({{"direction", "in"}}).Increment(static_cast<double>(exchange.bytes_in));
  families_->bytes.Add({{"direction", "out"}}).Increment(static_cast<double>(exchange.bytes_out));
}

void Metrics::logging_failed() { families_->lost_log.Add({}).Increment(); }

std::string Metrics::text(const Repository& repository, const net::Server::Load& load) {
  std::map<std::string, double> states{{"ready", 0}, {"unloaded", 0}, {"loading", 0}, {"failed", 0}};
  for (const Repository::Status& status : repository.index()) {
    states[status.state == Repository::State::ready     ? "ready"
           : status.state == Repository::State::loading ? "loading"
           : status.state == Repository::State::failed  ? "failed"
                                                        : "unloaded"] += 1;
    if (status.requests == 0) continue;
    families_->model_bytes.Add({{"model", status.name}, {"version", std::to_string(status.version)}})
        .Set(static_cast<double>(status.bytes));
  }
  for (const auto& [state, count] : states) families_->models.Add({{"state", state}}).Set(count);
  families_->held.Add({}).Set(static_cast<double>(repository.bytes()));
  families_->limit.Add({}).Set(static_cast<double>(repository.most_bytes()));
  families_->loads.Add({}).Set(static_cast<double>(repository.loads()));
  families_->evictions.Add({}).Set(static_cast<double>(repository.evictions()));
  families_->server.Add({{"what", "connections"}}).Set(static_cast<double>(load.connections));
  families_->server.Add({{"what", "waiting"}}).Set(static_cast<double>(load.waiting));
  families_->server.Add({{"what", "working"}}).Set(static_cast<double>(load.working));
  families_->server.Add({{"what", "held_bytes"}}).Set(static_cast<double>(load.held));
  families_->waiting.Add({}).Set(static_cast<double>(repository.engine().waiting()));
  families_->resident.Add({}).Set(static_cast<double>(resident_bytes()));
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

Json Metrics::statistics(const std::string& model, std::int64_t version) const {
  const std::scoped_lock lock(mutex_);
  Json list = Json::array();
  for (const auto& [name, versions] : totals_) {
    if (!model.empty() && name != model) continue;
    for (const auto& [number, totals] : versions) {
      if (version != 0 && number != version) continue;
      Json batches = Json::array();
      std::uint64_t executions = 0;
      for (const auto& [rows, batch] : totals.batches) {
        executions += batch.first;
        batches.push_back({{"batch_size", rows}, {"compute_infer", duration(batch.first, batch.second)}});
      }
      list.push_back({{"name", name},
                      {"version", std::to_string(number)},
                      {"last_inference", totals.last_ms},
                      {"inference_count", totals.inferences},
                      {"execution_count", executions},
                      {"inference_stats",
                       {{"success", duration(totals.requests, totals.queue_s + totals.input_s + totals.compute_s + totals.output_s)},
                        {"fail", duration(totals.failures, totals.failed_s)},
                        {"queue", duration(totals.requests, totals.queue_s)},
                        {"compute_input", duration(totals.requests, totals.input_s)},
                        {"compute_infer", duration(totals.requests, totals.compute_s)},
                        {"compute_output", duration(totals.requests, totals.output_s)}}},
                      {"batch_stats", batches}});
    }
  }
  return {{"model_stats", list}};
}

}  // namespace sightline::serving
