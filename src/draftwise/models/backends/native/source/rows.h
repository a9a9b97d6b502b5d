// What is done to rows one by one: norms, activations, positions.
#pragma once

#include "model.h"

namespace draftwise {

// Root mean square or layer norm of `count` values; scale and shift may lack. Writes zeros up to the next multiple of 16.
inline void normalize(const Model& model, const Norm& norm, const float* from, int64_t count, float* to) {
    float share = 1.0f / static_cast<float>(count), mean = 0.0f;
    if (model.norm == LAYER_NORM) {
        Floats total = {};
        for (int64_t at = 0; at < count; at += LANES) total += first(load(from + at), count - at);
        mean = sum(total) * share;
    }
    Floats squares = {};
    for (int64_t at = 0; at < count; at += LANES) {
        Floats centred = first(load(from + at) - mean, count - at);
        squares = fma(centred, centred, squares);
    }
    float factor = 1.0f / std::sqrt(sum(squares) * share + static_cast<float>(model.norm_eps));
    for (int64_t at = 0; at < count; at += LANES) {
        Floats values = (load(from + at) - mean) * factor;
        if (norm.weight) values *= load(norm.weight + at);
        if (norm.bias) values += load(norm.bias + at);
        store(to + at, first(values, count - at));
    }
}

inline Floats activate(int64_t activation, Floats x) {
    switch (activation) {
        case RELU: return select(x < 0.0f, Floats{}, x);
        case GELU: return 0.5f * x * (1.0f + error_function(x * 0.70710678118654752f));
        case GELU_TANH: return 0.5f * x * (1.0f + hyperbolic_tangent(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        case SILU: return x * sigmoid(x);
        case QUICK_GELU: return x * sigmoid(1.702f * x);
        case RELU_SQUARED: {
            Floats positive = select(x < 0.0f, Floats{}, x);
            return positive * positive;
        }
        default: return hyperbolic_tangent(x);
    }
}

inline Floats squeeze(Floats x, float cap) { return hyperbolic_tangent(x / cap) * cap; }

// Turns the first `width` of a head by its position (Su et al. 2021): x cos + x' sin, x' with x's halves exchanged.
inline void turn(const float* table, int64_t width, float* head) {
    for (int64_t at = 0; at < width / 2; at++) {
        float low = head[at], high = head[at + width / 2];
        head[at] = low * table[at] + high * table[width + at];
        head[at + width / 2] = high * table[width / 2 + at] + low * table[width + width / 2 + at];
    }
}

}  // namespace draftwise
