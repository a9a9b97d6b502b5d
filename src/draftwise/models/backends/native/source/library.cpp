// What Python calls: packing matrices, and passes.
#include "round.h"

using namespace draftwise;

extern "C" {

int64_t draftwise_packed_elements(int64_t kind, int64_t outputs, int64_t inputs, int64_t halves) {
    return packed_panels(outputs, halves != 0) * panel_elements(static_cast<Kind>(kind), inputs);
}

int64_t draftwise_padded_outputs(int64_t outputs, int64_t halves) { return packed_panels(outputs, halves != 0) * PANEL; }

void draftwise_pack(int64_t kind, const void* from, int64_t outputs, int64_t inputs, int64_t halves, void* to) {
    bool split = halves != 0;
    switch (kind) {
        case FLOAT32: return pack(FLOAT32, static_cast<const float*>(from), outputs, inputs, split, static_cast<float*>(to));
        case BFLOAT16: return pack(BFLOAT16, static_cast<const uint16_t*>(from), outputs, inputs, split, static_cast<uint16_t*>(to));
        default: return pack(INT8, static_cast<const int8_t*>(from), outputs, inputs, split, static_cast<int8_t*>(to));
    }
}

// A value for each output, in the order of the packed matrix.
void draftwise_pack_vector(const float* from, int64_t outputs, int64_t halves, float* to) {
    for (int64_t panel = 0; panel < packed_panels(outputs, halves != 0); panel++)
        for (int64_t lane = 0; lane < PANEL; lane++) {
            int64_t row = source_row(panel, lane, outputs, halves != 0);
            to[panel * PANEL + lane] = row < 0 ? 0.0f : from[row];
        }
}

const char* draftwise_instructions(int64_t kind) {
    if (kind != FLOAT32 && tiles_allowed()) return "AMX bfloat16";
#if defined(__AVX512BF16__)
    if (kind != FLOAT32) return "AVX-512 bfloat16";
#endif
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__)
    return "AVX2";
#elif defined(__aarch64__)
    return "NEON";
#else
    return "compiler's own vectors";
#endif
}

int64_t draftwise_cache_elements(const Model* model, int64_t batch, int64_t capacity) {
    int64_t width = model->head_dim;
    return model->depth * batch * model->shared_heads * capacity * (width + round_up(width, LANES));
}

void* draftwise_workspace() { return new (std::nothrow) Workspace; }
void draftwise_free_workspace(void* workspace) { delete static_cast<Workspace*>(workspace); }

// One pass; 0, or 1 where memory ran out.
int64_t draftwise_forward(const Model* model, void* workspace, const Request* request, int64_t threads) {
    try {
        forward(*model, *static_cast<Workspace*>(workspace), *request, threads);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

// One round of greedy decoding; 0, or 1 where memory ran out. Without a draft the policy's `most` is 0.
int64_t draftwise_round(const Side* target, const Side* draft, const Policy* policy, const Lines* lines, Outcome* outcome) {
    static std::mutex one;  // a round's logits lie in its models' workspaces until it ends
    std::lock_guard<std::mutex> guard(one);
    try {
        Round(*target, *draft, *policy, *lines, *outcome).run();
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // extern "C"
