// Memory for LibTorch's tensors on the processor.
#pragma once

namespace sightline::training {

// Lets LibTorch keep what it frees and use it again: every step asks for the same sizes, and the system's allocator would hand large pieces
// back to the kernel, which clears each page again. For the life of the process; call it once, before the first tensor.
void keep_memory();

}  // namespace sightline::training
