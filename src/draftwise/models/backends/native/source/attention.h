// Attention over a cache that is laid out for it.
//
// A head's keys stand in blocks of 16 positions, [head_dim, 16] each, so that 16 scores are worked out side by side; its
// values stand position by position. A query's scores, its softmax and its sum of values run over its own positions in
// ascending order from its own first block, whatever other queries share the pass.
#pragma once

#include "rows.h"

#include <algorithm>
#include <vector>

namespace draftwise {

template <class Value>
struct Head {
    Value* keys;    // [capacity / 16, head_dim, 16]
    Value* values;  // [capacity, row]
    int64_t width;  // head_dim
    int64_t row;    // head_dim in whole vectors
};

// The cache is [depth, batch, shared heads], and of each the keys and then the values; capacity is a multiple of 16.
template <class Value>
struct Cache {
    Value* base;
    int64_t batch, shared_heads, capacity, width, row;

    Head<Value> head(int64_t layer, int64_t index, int64_t shared) const {
        Value* at = base + ((layer * batch + index) * shared_heads + shared) * capacity * (width + row);
        return {at, at + capacity * width, width, row};
    }
};

template <class Value>
void remember(const Head<Value>& head, int64_t position, const float* key, const float* value) {
    Value* block = head.keys + position / LANES * LANES * head.width + position % LANES;
    for (int64_t at = 0; at < head.width; at++) copy_into(block + at * LANES, key + at, 1);
    copy_into(head.values + position * head.row, value, head.width);
}

// What one query sees: positions `from` to `to`, both included.
struct Query {
    const float* values;  // [head_dim]
    float* scores;        // room for every position up to `to`, in whole blocks
    float* out;           // [head_dim in whole vectors]
    int64_t from, to;
};

template <int COUNT, int BLOCKS, class Value>
void score_blocks(const Query* queries, const Value* keys, int64_t block, int64_t width) {
    Floats sums[COUNT][BLOCKS] = {};
    const Value* start = keys + block * LANES * width;
    for (int64_t at = 0; at < width; at++) {
        Floats column[BLOCKS];
#pragma GCC unroll 4
        for (int item = 0; item < BLOCKS; item++) column[item] = load(start + item * LANES * width + at * LANES);
#pragma GCC unroll 4
        for (int query = 0; query < COUNT; query++) {
            Floats value = spread(queries[query].values[at]);
#pragma GCC unroll 4
            for (int item = 0; item < BLOCKS; item++) sums[query][item] = fma(value, column[item], sums[query][item]);
        }
    }
    for (int query = 0; query < COUNT; query++)
        for (int item = 0; item < BLOCKS; item++) store(queries[query].scores + (block + item) * LANES, sums[query][item]);
}

template <int COUNT, class Value>
void score(const Query* queries, const Value* keys, int64_t width) {
    int64_t block = queries[0].from, last = queries[0].to;
    for (int query = 1; query < COUNT; query++) {
        block = std::min(block, queries[query].from);
        last = std::max(last, queries[query].to);
    }
    block /= LANES, last /= LANES;
    for (; block + 4 <= last + 1; block += 4) score_blocks<COUNT, 4>(queries, keys, block, width);
    for (; block <= last; block++) score_blocks<COUNT, 1>(queries, keys, block, width);
}

// Scores to weights; those outside of what the query sees become 0. Gives one over the weights' sum.
inline float soften(const Query& query, float scale, float cap) {
    int32_t low = static_cast<int32_t>(query.from), high = static_cast<int32_t>(query.to);
    int64_t begin = query.from / LANES, end = query.to / LANES + 1;
    Floats top = spread(-INFINITY);
    for (int64_t block = begin; block < end; block++) {
        Ints places = lanes() + static_cast<int32_t>(block * LANES);
        Floats values = load(query.scores + block * LANES) * scale;
        if (cap > 0) values = squeeze(values, cap);
        values = select((places < low) | (places > high), spread(-INFINITY), values);
        store(query.scores + block * LANES, values);
        top = larger(top, values);
    }
    float most = largest(top);
    Floats total = {};
    for (int64_t block = begin; block < end; block++) {
        Floats weights = exponential(load(query.scores + block * LANES) - most);
        store(query.scores + block * LANES, weights);
        total += weights;
    }
    return 1.0f / sum(total);
}

// Adds the weighted values of positions `from` to `to` - 1, for 16 * PARTS of a head's dimensions from `first` on.
template <int COUNT, int PARTS, class Value>
void gather(const Query* queries, const Value* values, int64_t width, int64_t first, int64_t from, int64_t to) {
    Floats sums[COUNT][PARTS];
    for (int query = 0; query < COUNT; query++)
        for (int part = 0; part < PARTS; part++) sums[query][part] = load(queries[query].out + first + part * LANES);
    for (int64_t place = from; place < to; place++) {
        const Value* row = values + place * width + first;
        Floats parts[PARTS];
#pragma GCC unroll 4
        for (int part = 0; part < PARTS; part++) parts[part] = load(row + part * LANES);
#pragma GCC unroll 4
        for (int query = 0; query < COUNT; query++) {
            Floats weight = spread(queries[query].scores[place]);
#pragma GCC unroll 4
            for (int part = 0; part < PARTS; part++) sums[query][part] = fma(weight, parts[part], sums[query][part]);
        }
    }
    for (int query = 0; query < COUNT; query++)
        for (int part = 0; part < PARTS; part++) store(queries[query].out + first + part * LANES, sums[query][part]);
}

template <int COUNT, class Value>
void gather_range(const Query* queries, const Value* values, int64_t width, int64_t from, int64_t to) {
    int64_t first = 0;
    for (; first + 4 * LANES <= width; first += 4 * LANES) gather<COUNT, 4>(queries, values, width, first, from, to);
    for (; first < width; first += LANES) gather<COUNT, 1>(queries, values, width, first, from, to);
}

template <int COUNT, class Value>
void attend_together(const Query* queries, const Head<Value>& head, float scale, float cap) {
    score<COUNT>(queries, head.keys, head.width);
    float shares[COUNT];
    int64_t from = 0, to = INT64_MAX;
    for (int query = 0; query < COUNT; query++) {
        shares[query] = soften(queries[query], scale, cap);
        from = std::max(from, queries[query].from);
        to = std::min(to, queries[query].to + 1);
        std::memset(queries[query].out, 0, head.row * sizeof(float));
    }
    to = std::max(from, to);
    for (int query = 0; query < COUNT; query++)
        gather_range<1>(queries + query, head.values, head.row, queries[query].from, std::min(from, queries[query].to + 1));
    gather_range<COUNT>(queries, head.values, head.row, from, to);
    for (int query = 0; query < COUNT; query++) {
        gather_range<1>(queries + query, head.values, head.row, std::max(to, queries[query].from), queries[query].to + 1);
        for (int64_t at = 0; at < head.row; at += LANES)
            store(queries[query].out + at, load(queries[query].out + at) * shares[query]);
    }
}

// All of `queries`, four at a time.
template <class Value>
void attend(const std::vector<Query>& queries, const Head<Value>& head, float scale, float cap) {
    size_t at = 0;
    for (; at + 4 <= queries.size(); at += 4) attend_together<4>(&queries[at], head, scale, cap);
    for (; at < queries.size(); at++) attend_together<1>(&queries[at], head, scale, cap);
}

}  // namespace draftwise
