// One pass of a decoder-only transformer, step by step; the plain twin is models/own/transformer.py.
//
// The stream between the blocks is float32 in every kind of model; products take floats in a float32 model and bfloat16 in
// the others, and sum in float32.
#pragma once

#include "attention.h"
#include "pool.h"
#include "product.h"
#include "workspace.h"

namespace draftwise {

struct Request {
    const int64_t* tokens;  // [batch, steps]
    const int64_t* starts;  // [batch]
    int64_t batch, steps, keep;
    void* cache;
    int64_t capacity;
    float* logits;  // [batch * keep, vocabulary]
};

// Value is what products take and the cache holds.
template <class Value>
class Forward {
  public:
    Forward(const Model& model, Workspace& workspace, const Request& request)
        : model_(model), work_(workspace), request_(request), rows_(request.batch * request.steps) {
        cache_ = {static_cast<Value*>(request.cache), request.batch, model.shared_heads, request.capacity,
                  model.head_dim, round_up(model.head_dim, LANES)};
    }

    void run() {
        embed();
        for (int64_t index = 0; index < model_.depth; index++) {
            const Layer& layer = model_.layers[index];
            switch (model_.residual) {
                case PRE: pre(index, layer); break;
                case POST: post(index, layer); break;
                case SANDWICH: sandwich(index, layer); break;
                default: parallel(index, layer); break;
            }
        }
        if (request_.keep > 0) finish();
    }

  private:
    // ---- blocks ----

    void pre(int64_t index, const Layer& layer) {
        norm(&layer.attention_norm, work_.normed.as<Value>());
        attention(index, layer);
        add(layer.out, mixed());
        norm(&layer.feed_forward_norm, work_.normed.as<Value>());
        open(layer.up, normed());
        add(layer.down, opened());
    }

    void post(int64_t index, const Layer& layer) {
        norm(nullptr, work_.normed.as<Value>());
        attention(index, layer);
        add(layer.out, mixed());
        norm_stream(layer.attention_norm);
        norm(nullptr, work_.normed.as<Value>());
        open(layer.up, normed());
        add(layer.down, opened());
        norm_stream(layer.feed_forward_norm);
    }

    void sandwich(int64_t index, const Layer& layer) {
        norm(&layer.attention_norm, work_.normed.as<Value>());
        attention(index, layer);
        put(layer.out, mixed(), sums(), work_.stream_row);
        add_normed_sums(layer.attention_end_norm);
        norm(&layer.feed_forward_norm, work_.normed.as<Value>());
        open(layer.up, normed());
        put(layer.down, opened(), sums(), work_.stream_row);
        add_normed_sums(layer.feed_forward_end_norm);
    }

    void parallel(int64_t index, const Layer& layer) {
        norm(&layer.attention_norm, work_.normed.as<Value>());
        norm(&layer.feed_forward_norm, work_.normed_twice.as<Value>());
        attention(index, layer);
        add(layer.out, mixed());
        open(layer.up, normed_twice());
        add(layer.down, opened());
    }

    // ---- ends ----

    void embed() {
        bool projected = model_.project_in.weight != nullptr;
        each_row(rows_, [&](int64_t row) {
            float* to = stream() + row * work_.stream_row;
            const Value* vector = static_cast<const Value*>(model_.token_table) + request_.tokens[row] * model_.embedding;
            if (projected) {
                Value* input = work_.narrow.as<Value>() + row * work_.narrow_row;
                std::memcpy(input, vector, model_.embedding * sizeof(Value));
                return;
            }
            float scale = static_cast<float>(model_.embedding_scale);
            for (int64_t at = 0; at < model_.hidden; at++) to[at] = number(vector[at]) * scale;
            add_position(row, to);
        });
        if (!projected) return;
        put(model_.project_in, {work_.narrow.as<Value>(), work_.narrow_row, rows_}, stream(), work_.stream_row);
        each_row(rows_, [&](int64_t row) { add_position(row, stream() + row * work_.stream_row); });
    }

    void add_position(int64_t row, float* to) const {
        if (!model_.position_table) return;
        int64_t place = std::min(position(row), model_.positions - 1);
        const Value* vector = static_cast<const Value*>(model_.position_table) + place * model_.hidden;
        for (int64_t at = 0; at < model_.hidden; at++) to[at] += number(vector[at]);
    }

    void finish() {
        int64_t kept = request_.batch * request_.keep;
        each_row(kept, [&](int64_t row) {
            int64_t from = row / request_.keep * request_.steps + request_.steps - request_.keep + row % request_.keep;
            Value* to = work_.normed.as<Value>() + row * work_.stream_row;
            float* values = stream() + from * work_.stream_row;
            if (model_.final_norm) normalize(model_, model_.last_norm, values, model_.hidden, values);
            copy_into(to, values, model_.hidden);
        });
        Rows last = {work_.normed.as<Value>(), work_.stream_row, kept};
        if (model_.project_out.weight) {
            put(model_.project_out, last, sums(), work_.narrow_row);
            each_row(kept, [&](int64_t row) {
                copy_into(work_.narrow.as<Value>() + row * work_.narrow_row, sums() + row * work_.narrow_row, model_.embedding);
            });
            last = {work_.narrow.as<Value>(), work_.narrow_row, kept};
        }
        const Matrix& head = model_.head;
        float cap = static_cast<float>(model_.logit_cap);
        product(head, last, [&](int64_t row, int64_t rows, int64_t output, int64_t outputs, const float* found) {
            for (int64_t item = 0; item < rows; item++) {
                float* to = request_.logits + (row + item) * model_.vocabulary + output;
                alignas(64) float values[WIDTH];
                for (int64_t at = 0; at < outputs; at += LANES) {
                    Floats logits = biased(found + item * WIDTH, head.bias, output, at);
                    store(values + at, cap > 0 ? squeeze(logits, cap) : logits);
                }
                std::memcpy(to, values, std::min(outputs, model_.vocabulary - output) * sizeof(float));
            }
        });
    }

    // ---- attention ----

    void attention(int64_t index, const Layer& layer) {
        put(layer.qkv, normed(), work_.qkv.as<float>(), work_.qkv_row);
        int64_t heads = request_.batch * model_.shared_heads, blocks = (request_.steps + QUERIES - 1) / QUERIES;
        if (blocks == 1) {
            share(heads, [&](int64_t piece, int64_t) {
                settle(index, layer, piece);
                look(index, layer, piece, 0, request_.steps);
            });
            return;
        }
        share(heads, [&](int64_t piece, int64_t) { settle(index, layer, piece); });
        share(heads * blocks, [&](int64_t piece, int64_t) {
            int64_t first = piece % blocks * QUERIES;
            look(index, layer, piece / blocks, first, std::min(first + QUERIES, request_.steps));
        });
    }

    // Norms and turns one shared head's queries and keys, and writes its keys and values into the cache.
    void settle(int64_t index, const Layer& layer, int64_t piece) {
        int64_t row = piece / model_.shared_heads, shared = piece % model_.shared_heads, width = model_.head_dim;
        int64_t group = model_.heads / model_.shared_heads;
        for (int64_t step = 0; step < request_.steps; step++) {
            float* line = work_.qkv.as<float>() + (row * request_.steps + step) * work_.qkv_row;
            float* key = line + (model_.heads + shared) * width;
            int64_t place = position(row * request_.steps + step);
            for (int64_t head = shared * group; head < (shared + 1) * group; head++)
                prepare(layer, line + head * width, head, place);
            prepare(layer, key, model_.heads + shared, place);
            if (place < request_.capacity)
                remember(cache_.head(index, row, shared), place, key, key + model_.shared_heads * width);
        }
    }

    void prepare(const Layer& layer, float* head, int64_t index, int64_t place) const {
        int64_t width = model_.head_dim;
        if (model_.query_key_norm) {
            static thread_local std::vector<float> room;
            if (static_cast<int64_t>(room.size()) < cache_.row) room.resize(cache_.row);
            Norm norm = {layer.query_key_norm.weight ? layer.query_key_norm.weight + index * width : nullptr, nullptr};
            normalize(model_, norm, head, width, room.data());
            std::memcpy(head, room.data(), width * sizeof(float));
        }
        if (layer.turns)
            turn(layer.turns + std::min(place, model_.turn_positions - 1) * 2 * layer.turn_width, layer.turn_width, head);
    }

    // The queries of one shared head from step `first` to `last` - 1.
    void look(int64_t index, const Layer& layer, int64_t piece, int64_t first, int64_t last) {
        static thread_local std::vector<Query> queries;
        static thread_local std::vector<float> scores, found;
        int64_t row = piece / model_.shared_heads, shared = piece % model_.shared_heads, width = model_.head_dim;
        int64_t group = model_.heads / model_.shared_heads, count = group * (last - first);
        Head<Value> head = cache_.head(index, row, shared);
        int64_t reach = std::min(position(row * request_.steps + last - 1), request_.capacity - 1);
        int64_t room = round_up(reach + 1, LANES);
        if (static_cast<int64_t>(scores.size()) < 4 * room) scores.resize(4 * round_up(room, 1024));
        if (static_cast<int64_t>(found.size()) < count * head.row) found.resize(count * head.row);
        queries.clear();
        for (int64_t item = 0; item < count; item++) {
            int64_t line = row * request_.steps + first + item % (last - first), place = std::min(position(line), reach);
            int64_t from = layer.window > 0 ? std::max<int64_t>(0, place + 1 - layer.window) : 0;
            const float* values = work_.qkv.as<float>() + line * work_.qkv_row + (shared * group + item / (last - first)) * width;
            queries.push_back({values, scores.data() + item % 4 * room, found.data() + item * head.row, from, place});
        }
        attend(queries, head, static_cast<float>(layer.scale), static_cast<float>(model_.attention_cap));
        for (int64_t item = 0; item < count; item++) {
            int64_t line = row * request_.steps + first + item % (last - first);
            copy_into(work_.mixed.as<Value>() + line * work_.mixed_row + (shared * group + item / (last - first)) * width,
                      queries[item].out, width);
        }
    }

    // ---- steps that all blocks share ----

    template <class Step>
    void each_row(int64_t count, const Step& step) {
        share((count + ROWS - 1) / ROWS, [&](int64_t piece, int64_t) {
            for (int64_t row = piece * ROWS; row < std::min(count, (piece + 1) * ROWS); row++) step(row);
        });
    }

    // The stream as inputs of a product, normed where there is a norm.
    void norm(const Norm* norm, Value* to) {
        each_row(rows_, [&](int64_t row) {
            static thread_local std::vector<float> room;
            if (static_cast<int64_t>(room.size()) < work_.stream_row) room.resize(work_.stream_row);
            const float* from = stream() + row * work_.stream_row;
            if (norm) normalize(model_, *norm, from, model_.hidden, room.data());
            copy_into(to + row * work_.stream_row, norm ? room.data() : from, model_.hidden);
        });
    }

    void norm_stream(const Norm& norm) {
        each_row(rows_, [&](int64_t row) {
            float* values = stream() + row * work_.stream_row;
            normalize(model_, norm, values, model_.hidden, values);
        });
    }

    void add_normed_sums(const Norm& norm) {
        each_row(rows_, [&](int64_t row) {
            float *values = sums() + row * work_.stream_row, *to = stream() + row * work_.stream_row;
            normalize(model_, norm, values, model_.hidden, values);
            for (int64_t at = 0; at < model_.hidden; at += LANES) store(to + at, load(to + at) + load(values + at));
        });
    }

    template <class Done>
    void product(const Matrix& matrix, const Rows& x, const Done& done) {
        int64_t threads = Pool::shared().threads(), groups = (matrix.panels() + GROUP - 1) / GROUP;
        share(threads == 1 ? 1 : std::min(groups, threads * PIECES), [&](int64_t piece, int64_t pieces) {
            multiply_piece(static_cast<Kind>(model_.kind), matrix, x, piece, pieces, done);
        });
    }

    void put(const Matrix& matrix, const Rows& x, float* to, int64_t stride) {
        product(matrix, x, [&](int64_t row, int64_t rows, int64_t output, int64_t outputs, const float* found) {
            for (int64_t item = 0; item < rows; item++)
                for (int64_t at = 0; at < outputs; at += LANES)
                    store(to + (row + item) * stride + output + at, biased(found + item * WIDTH, matrix.bias, output, at));
        });
    }

    void add(const Matrix& matrix, const Rows& x) {
        product(matrix, x, [&](int64_t row, int64_t rows, int64_t output, int64_t outputs, const float* found) {
            for (int64_t item = 0; item < rows; item++)
                for (int64_t at = 0; at < outputs; at += LANES) {
                    float* to = stream() + (row + item) * work_.stream_row + output + at;
                    store(to, load(to) + biased(found + item * WIDTH, matrix.bias, output, at));
                }
        });
    }

    // The feed-forward's first half: activated, and where gated times what the gate opens.
    void open(const Matrix& matrix, const Rows& x) {
        product(matrix, x, [&](int64_t row, int64_t rows, int64_t output, int64_t outputs, const float* found) {
            for (int64_t item = 0; item < rows; item++) {
                Value* to = work_.opened.as<Value>() + (row + item) * work_.opened_row;
                for (int64_t at = 0; at < outputs; at += model_.gated ? PANEL : LANES) {
                    Floats values = activate(model_.activation, biased(found + item * WIDTH, matrix.bias, output, at));
                    if (model_.gated) values *= biased(found + item * WIDTH, matrix.bias, output, at + LANES);
                    store(to + (model_.gated ? (output + at) / 2 : output + at), values);
                }
            }
        });
    }

    static Floats biased(const float* sums, const float* bias, int64_t output, int64_t at) {
        Floats values = load(sums + at);
        return bias ? values + load(bias + output + at) : values;
    }

    static float number(float value) { return value; }
    static float number(bfloat16 value) { return widen(value); }

    int64_t position(int64_t row) const { return request_.starts[row / request_.steps] + row % request_.steps; }

    float* stream() const { return work_.stream.as<float>(); }
    float* sums() const { return work_.sums.as<float>(); }
    Rows normed() const { return {work_.normed.as<Value>(), work_.stream_row, rows_}; }
    Rows normed_twice() const { return {work_.normed_twice.as<Value>(), work_.stream_row, rows_}; }
    Rows mixed() const { return {work_.mixed.as<Value>(), work_.mixed_row, rows_}; }
    Rows opened() const { return {work_.opened.as<Value>(), work_.opened_row, rows_}; }

    static constexpr int64_t ROWS = 16;     // of a piece of what is done row by row
    static constexpr int64_t QUERIES = 32;  // steps of a piece of attention
    static constexpr int64_t PIECES = 2;    // of a product, a thread

    const Model& model_;
    Workspace& work_;
    const Request& request_;
    int64_t rows_;
    Cache<Value> cache_;
};

// One pass on `threads` threads.
inline void forward(const Model& model, Workspace& work, const Request& request, int64_t threads) {
    struct Turn {
        explicit Turn(int64_t threads) { Pool::shared().enter(threads); }
        ~Turn() { Pool::shared().leave(); }
    } turn(threads);
    work.reserve(model, request.batch * request.steps);
    if (model.wide()) Forward<float>(model, work, request).run();
    else Forward<bfloat16>(model, work, request).run();
}

}  // namespace draftwise
