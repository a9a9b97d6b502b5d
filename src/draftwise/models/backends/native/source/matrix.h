// A weight matrix as the products read it: from the first byte to the last.
//
// Outputs stand in panels of 32. Within a panel of floats, an input's 32 weights are neighbours. Within a panel of bfloat16
// or int8, inputs go by 32: two tiles of 16 outputs, each 16 pairs of inputs by 16 outputs, the shape that AMX and
// AVX-512 bfloat16 multiply. What a panel or a tile lacks is 0.
#pragma once

#include "simd.h"

namespace draftwise {

constexpr int64_t PANEL = 32;  // outputs of a panel
constexpr int64_t BLOCK = 32;  // inputs of a tile

enum Kind : int64_t { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };

inline int64_t round_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

struct Matrix {
    const void* weight;  // packed; null where there is no such map
    const float* bias;   // [outputs], padded to whole panels, or null
    const float* scale;  // of an int8 matrix, [outputs], padded to whole panels
    int64_t outputs;
    int64_t inputs;

    int64_t panels() const { return (outputs + PANEL - 1) / PANEL; }
    int64_t padded_inputs() const { return round_up(inputs, BLOCK); }
};

// Where a weight of panel-wide output `lane` and input `k` lies within its panel, in elements.
inline int64_t place(Kind kind, int64_t k, int64_t lane) {
    if (kind == FLOAT32) return k * PANEL + lane;
    int64_t block = k / BLOCK, pair = k % BLOCK / 2, half = lane / LANES;
    return ((block * 2 + half) * 16 + pair) * 2 * LANES + lane % LANES * 2 + k % 2;
}

inline int64_t panel_elements(Kind kind, int64_t inputs) {
    return PANEL * (kind == FLOAT32 ? inputs : round_up(inputs, BLOCK));
}

// The row of a matrix that a panel's lane holds. In a gated feed-forward a panel is 16 gates and the 16 rows they open.
inline int64_t source_row(int64_t panel, int64_t lane, int64_t outputs, bool halves) {
    if (!halves) return panel * PANEL + lane < outputs ? panel * PANEL + lane : -1;
    int64_t row = panel * LANES + lane % LANES, half = outputs / 2;
    return row < half ? row + (lane >= LANES ? half : 0) : -1;
}

inline int64_t packed_panels(int64_t outputs, bool halves) {
    return halves ? (outputs / 2 + LANES - 1) / LANES : (outputs + PANEL - 1) / PANEL;
}

template <class Element>
void pack(Kind kind, const Element* from, int64_t outputs, int64_t inputs, bool halves, Element* to) {
    int64_t size = panel_elements(kind, inputs);
    for (int64_t panel = 0; panel < packed_panels(outputs, halves); panel++) {
        Element* start = to + panel * size;
        std::memset(start, 0, size * sizeof(Element));
        for (int64_t lane = 0; lane < PANEL; lane++) {
            int64_t row = source_row(panel, lane, outputs, halves);
            if (row < 0) continue;
            for (int64_t k = 0; k < inputs; k++) start[place(kind, k, lane)] = from[row * inputs + k];
        }
    }
}

}  // namespace draftwise
