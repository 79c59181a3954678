// The nets that the runtime is measured with, as their papers (and torchvision, whose parameter counts they have to the last one) define
// them: N×3×H×W f32 in, batch free, BatchNormalization left in the graph as exporters of training frameworks may leave it. Weights are
// random, but scaled so that values keep their size through the net.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::bench {

struct Net {
  const char* name;
  const char* source;
  std::int64_t side;        // height and width of the input
  std::int64_t parameters;  // learned ones, as published
  double multiplications;   // of convolutions and linear layers for one image, as published
  std::int64_t opset;
  // From the image, N×3×side×side, to the outputs.
  std::vector<std::string> (*build)(graph::Builder& builder, const std::string& image);
};

std::span<const Net> nets();
// Input "image", outputs "output" (or "output_0" … when there are several). Error internal names what was built wrongly.
Result<graph::Graph> build_net(const Net& net, std::uint64_t seed = 7);
Result<graph::Graph> unsettled_net(const Net& net, std::uint64_t seed = 7);  // as the builder initialises it: quick to make

// What training would leave behind, as far as engines can tell: weights of convolutions and linear layers scaled so that their results have
// a variance near one, scales and biases of BatchNormalization drawn near one and zero, its running statistics measured on eight pictures
// of noise. Real nets are so, and differences between engines mean nothing where values die out or explode.
Result<void> settle(graph::Graph& graph, std::uint64_t seed);

// --- the bodies (nets_mobile.cpp, nets_plain.cpp, nets_dense.cpp) ---
using Values = std::vector<std::string>;
Values mobilenet_v2(graph::Builder& builder, const std::string& image);
Values mobilenet_v3_small(graph::Builder& builder, const std::string& image);
Values shufflenet_v2(graph::Builder& builder, const std::string& image);
Values efficientnet_b0(graph::Builder& builder, const std::string& image);
Values mobilefacenet(graph::Builder& builder, const std::string& image);
Values resnet_18(graph::Builder& builder, const std::string& image);
Values squeezenet(graph::Builder& builder, const std::string& image);
Values regnet_x_400mf(graph::Builder& builder, const std::string& image);
Values yolo_s(graph::Builder& builder, const std::string& image);
Values u_net(graph::Builder& builder, const std::string& image);

}  // namespace sightline::bench
