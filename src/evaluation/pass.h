// A model's way over the pictures of a split, whatever it answers. Internal to this folder.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evaluation/evaluation.h"

namespace sightline::evaluation {

// The model's label of each class of the data, by name. Error invalid_data: the model does not know one.
Result<std::vector<std::int32_t>> match_classes(const std::vector<std::string>& labels, const std::vector<std::string>& classes);

// Indices of the split's samples. Error invalid_data: there are none.
Result<std::vector<std::int64_t>> samples_of(const dataset::Manifest& manifest, dataset::Split split);

// Numbers for the samples' groups (frames of one video), -1 for samples of none.
std::vector<std::int64_t> groups_of_samples(const dataset::Manifest& manifest, std::span<const std::int64_t> samples);

struct PassOptions {
  std::int64_t batch = 64;  // most pictures at once
  int threads = 0;          // for decoding
  std::string title;        // of the bar; "": none
};
// Decodes and prepares the samples in parallel and in bounded memory, and hands them on in order: use(first, u8 N×H×W×C), `first` counting
// samples. Errors: those of reading (named by sample), of use, interrupted.
Result<void> for_each_batch(const package::Model& model, const dataset::Manifest& manifest, std::span<const std::int64_t> samples,
                            const PassOptions& options, const std::function<Result<void>(std::int64_t, const Tensor&)>& use);

// One picture at a time, decoded before: what a person waits for between the picture and the answer. show: what is asked about in place of
// a picture of the data, made before as well; null: the picture.
Result<Latency> measure_latency(const dataset::Manifest& manifest, std::span<const std::int64_t> samples, const Options& options,
                                const std::function<Result<void>(const image::Image& picture)>& ask,
                                const std::function<Result<image::Image>(const image::Image& picture)>& show = {});

// Of a package folder or a bare .onnx file; "" is 0.
Result<std::uint64_t> size_of_model(const std::string& path);

// evaluate() of a model whose answers are annotations (annotations.cpp).
Result<Evaluation> evaluate_annotations(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                                        const Options& options);

}  // namespace sightline::evaluation
