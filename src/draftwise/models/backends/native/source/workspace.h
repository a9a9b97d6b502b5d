// What a pass writes on its way; made once and grown when a pass has more rows than any before.
#pragma once

#include "model.h"

#include <cstdlib>
#include <new>

namespace draftwise {

// Zeroed memory in whole cache lines, with a spare line behind it for loads of whole vectors.
class Buffer {
  public:
    ~Buffer() { std::free(start_); }

    void resize(int64_t bytes) {
        std::free(start_);
        start_ = nullptr;
        int64_t whole = round_up(bytes, 64) + 64;
        if (posix_memalign(&start_, 64, whole) != 0) {
            start_ = nullptr;
            throw std::bad_alloc();
        }
        std::memset(start_, 0, whole);
    }

    template <class Value>
    Value* as() const {
        return static_cast<Value*>(start_);
    }

  private:
    void* start_ = nullptr;
};

// Rows are as wide as whole panels, and what lies beyond a row's values stays 0.
struct Workspace {
    int64_t rows = 0;
    int64_t stream_row = 0, qkv_row = 0, mixed_row = 0, opened_row = 0, narrow_row = 0;
    int64_t logits_room = 0;
    Buffer stream, sums, qkv, normed, normed_twice, mixed, opened, narrow, logits;

    float* logits_for(int64_t count) {
        if (count > logits_room) {
            logits_room = 0;
            logits.resize(count * 4);
            logits_room = count;
        }
        return logits.as<float>();
    }

    void reserve(const Model& model, int64_t count) {
        if (count <= rows) return;
        int64_t size = model.wide() ? 4 : 2;
        stream_row = round_up(model.hidden, PANEL);
        qkv_row = round_up((model.heads + 2 * model.shared_heads) * model.head_dim, PANEL);
        mixed_row = round_up(model.heads * model.head_dim, PANEL);
        opened_row = round_up(model.feed_forward, PANEL);
        narrow_row = round_up(model.embedding, PANEL);
        rows = 0;
        stream.resize(count * stream_row * 4);
        sums.resize(count * std::max(stream_row, narrow_row) * 4);
        qkv.resize(count * qkv_row * 4);
        normed.resize(count * stream_row * size);
        normed_twice.resize(count * stream_row * size);
        mixed.resize(count * mixed_row * size);
        opened.resize(count * opened_row * size);
        narrow.resize(count * narrow_row * size);
        rows = count;
    }
};

}  // namespace draftwise
