// A model's shape, switches and weights, field by field as `structures.py` lays them out.
#pragma once

#include "matrix.h"

namespace draftwise {

enum NormKind : int64_t { LAYER_NORM = 0, RMS_NORM = 1 };
enum Residual : int64_t { PRE = 0, POST = 1, SANDWICH = 2, PARALLEL = 3 };
enum Activation : int64_t { RELU = 0, GELU = 1, GELU_TANH = 2, SILU = 3, QUICK_GELU = 4, RELU_SQUARED = 5, TANH = 6 };

struct Norm {
    const float* weight;  // null: none
    const float* bias;
};

struct Layer {
    Norm attention_norm, feed_forward_norm, query_key_norm, attention_end_norm, feed_forward_end_norm;
    Matrix qkv, out, up, down;
    const float* turns;   // cosines, then sines, of each position, [turn_positions, 2 * turn_width]; null: none
    int64_t turn_width;
    int64_t window;       // positions that a query sees, its own among them; 0: all
    double scale;
};

struct Model {
    int64_t kind;          // of the matrices
    int64_t vocabulary, hidden, embedding, heads, shared_heads, head_dim, feed_forward, positions, depth;
    int64_t norm, residual, activation, gated, query_key_norm, final_norm;
    double norm_eps, embedding_scale, attention_cap, logit_cap;  // a cap of 0: none
    const void* token_table;     // [vocabulary, embedding], floats for a float32 model, else bfloat16
    const void* position_table;  // [positions, hidden], or null
    int64_t turn_positions;
    Norm last_norm;
    Matrix project_in, project_out, head;
    const Layer* layers;

    bool wide() const { return kind == FLOAT32; }
};

}  // namespace draftwise
