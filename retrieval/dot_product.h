// SPDX-License-Identifier: Apache-2.0
// The inner product of two float vectors with the widest instructions this processor has. Thread-safe.
#pragma once

#include <cstddef>

namespace cloister::retrieval {

float DotProduct(const float* a, const float* b, size_t dimension);

}  // namespace cloister::retrieval
