// Products of a few rows with a packed matrix.
//
// An output's sum runs over the inputs from the first to the last in one accumulator (with AMX and AVX-512 bfloat16 in the
// unit's own order within pairs), whichever rows stand beside it and however many; so a row's bits are its own.
#pragma once

#include "matrix.h"

#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace draftwise {

constexpr int64_t MOST_ROWS = 16;   // rows of a product at a time
constexpr int64_t GROUP = 2;        // panels of a product at a time
constexpr int64_t WIDTH = GROUP * PANEL;

// Rows of inputs: floats for a matrix of floats, else bfloat16; `stride` elements apart.
struct Rows {
    const void* values;
    int64_t stride;
    int64_t count;
};

// Asks for weights before they are used, the line at `byte` of what comes `distance` bytes later.
inline void ahead(const void* weight, int64_t distance, int64_t byte) {
    __builtin_prefetch(static_cast<const char*>(weight) + distance + byte, 0, 2);
}
inline void soon(const void* weight, int64_t distance, int64_t byte) {
    __builtin_prefetch(static_cast<const char*>(weight) + distance + byte, 0, 3);
}

// Bytes, as measured: a loop that is held up by arithmetic asks earlier, and tiles ask twice, for two caches.
constexpr int64_t AHEAD = 2048;
constexpr int64_t FAR_AHEAD = 3072;
constexpr int64_t TILES_AHEAD = 4096;
constexpr int64_t TILES_SOON = 1024;

// ---- float32 ----

template <int ROWS>
void multiply_floats(const float* weight, int64_t inputs, const float* x, int64_t stride, float* out) {
    constexpr int64_t DISTANCE = ROWS > 2 ? FAR_AHEAD : AHEAD;
    Floats sums[ROWS][2] = {};
#pragma GCC unroll 4
    for (int64_t k = 0; k < inputs; k++, weight += PANEL) {
        ahead(weight, DISTANCE, 0);
        ahead(weight, DISTANCE, 64);
        Floats left = load(weight), right = load(weight + LANES);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            Floats value = spread(x[row * stride + k]);
            sums[row][0] = fma(value, left, sums[row][0]);
            sums[row][1] = fma(value, right, sums[row][1]);
        }
    }
    for (int row = 0; row < ROWS; row++) {
        store(out + row * WIDTH, sums[row][0]);
        store(out + row * WIDTH + LANES, sums[row][1]);
    }
}

inline void multiply_some_floats(int64_t rows, const float* weight, int64_t inputs, const float* x, int64_t stride, float* out) {
    switch (rows) {
        case 1: return multiply_floats<1>(weight, inputs, x, stride, out);
        case 2: return multiply_floats<2>(weight, inputs, x, stride, out);
        case 3: return multiply_floats<3>(weight, inputs, x, stride, out);
        case 4: return multiply_floats<4>(weight, inputs, x, stride, out);
        case 5: return multiply_floats<5>(weight, inputs, x, stride, out);
        case 6: return multiply_floats<6>(weight, inputs, x, stride, out);
        case 7: return multiply_floats<7>(weight, inputs, x, stride, out);
        default: return multiply_floats<8>(weight, inputs, x, stride, out);
    }
}

// ---- bfloat16 and int8 ----

// Sixteen int8 pairs of inputs by 16 outputs as bfloat16, which holds every int8 exactly.
inline void expand(const int8_t* from, bfloat16* to) {
    for (int part = 0; part < 512; part += 2 * LANES) {
#if defined(__AVX512BF16__)
        __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)(from + part))));
        __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)(from + part + LANES))));
        __m512bh both = _mm512_cvtne2ps_pbh(high, low);
        std::memcpy(to + part, &both, sizeof both);
#else
        for (int item = 0; item < 2 * LANES; item++) to[part + item] = narrow(from[part + item]);
#endif
    }
}

inline const bfloat16* tile(const bfloat16* at, bfloat16*) { return at; }
inline const bfloat16* tile(const int8_t* at, bfloat16* room) {
    expand(at, room);
    return room;
}

#if defined(__AMX_BF16__)

// GCC's tile loads don't say that they read memory, so what they read must be written by then.
inline void settle_memory() { asm volatile("" ::: "memory"); }

struct alignas(64) TileShapes {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};

    explicit TileShapes(int64_t count) {
        for (int tile = 0; tile < 8; tile++) {
            bytes[tile] = 64;
            rows[tile] = static_cast<uint8_t>(tile <= 4 ? count : 16);
        }
    }
};

// Tiles 0 to 3 gather the sums of two panels, 4 holds inputs, 5 and 6 weights.
template <class Element, int PANELS>
void multiply_tiles(const Element* weight, int64_t blocks, const bfloat16* x, int64_t stride, float* out) {
    constexpr int64_t SIZE = 512;
    alignas(64) bfloat16 room[4][SIZE];
    const Element* other = weight + blocks * 2 * SIZE;
    _tile_zero(0);
    _tile_zero(1);
    if (PANELS == 2) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t block = 0; block < blocks; block++, weight += 2 * SIZE, other += 2 * SIZE) {
        for (int64_t byte = 0; byte < 2 * SIZE * static_cast<int64_t>(sizeof(Element)); byte += 64) {
            ahead(weight, TILES_AHEAD, byte);
            soon(weight, TILES_SOON, byte);
            if (PANELS == 2) ahead(other, TILES_AHEAD, byte);
            if (PANELS == 2) soon(other, TILES_SOON, byte);
        }
        const bfloat16 *tiles[4] = {tile(weight, room[0]), tile(weight + SIZE, room[1])};
        if (PANELS == 2) tiles[2] = tile(other, room[2]), tiles[3] = tile(other + SIZE, room[3]);
        settle_memory();
        _tile_loadd(4, x + block * BLOCK, stride * 2);
        _tile_loadd(5, tiles[0], 64);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, tiles[1], 64);
        _tile_dpbf16ps(1, 4, 6);
        if (PANELS == 2) {
            _tile_loadd(5, tiles[2], 64);
            _tile_dpbf16ps(2, 4, 5);
            _tile_loadd(6, tiles[3], 64);
            _tile_dpbf16ps(3, 4, 6);
        }
    }
    _tile_stored(0, out, WIDTH * 4);
    _tile_stored(1, out + LANES, WIDTH * 4);
    if (PANELS == 2) {
        _tile_stored(2, out + PANEL, WIDTH * 4);
        _tile_stored(3, out + PANEL + LANES, WIDTH * 4);
    }
    settle_memory();
}

// Linux gives a process the tiles when it asks for them.
inline bool tiles_allowed() {
#if defined(__linux__)
    static const bool allowed = syscall(SYS_arch_prctl, 0x1023, 18) == 0;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return allowed;
#else
    return false;
#endif
}

#else
inline bool tiles_allowed() { return false; }
#endif

// Two neighbouring inputs' products with 16 outputs.
inline Floats add_pairs(Floats sums, const bfloat16* x, const bfloat16* weight) {
#if defined(__AVX512BF16__)
    int32_t pair;
    std::memcpy(&pair, x, sizeof pair);
    __m512bh weights;
    std::memcpy(&weights, weight, sizeof weights);
    return (Floats)_mm512_dpbf16_ps((__m512)sums, (__m512bh)_mm512_set1_epi32(pair), weights);
#else
    Ints pairs;
    std::memcpy(&pairs, weight, sizeof pairs);
    sums = fma(spread(widen(x[0])), (Floats)(pairs << 16), sums);
    return fma(spread(widen(x[1])), (Floats)(pairs & static_cast<int32_t>(0xffff0000)), sums);
#endif
}

template <class Element, int ROWS>
void multiply_pairs(const Element* weight, int64_t blocks, const bfloat16* x, int64_t stride, float* out) {
    constexpr int64_t SIZE = 512;
    alignas(64) bfloat16 room[2][SIZE];
    Floats sums[ROWS][2] = {};
    for (int64_t block = 0; block < blocks; block++, weight += 2 * SIZE) {
        const bfloat16* left = tile(weight, room[0]);
        const bfloat16* right = tile(weight + SIZE, room[1]);
        for (int64_t pair = 0; pair < BLOCK / 2; pair++) {
            ahead(weight, AHEAD, pair * 64 * static_cast<int64_t>(sizeof(Element)));
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) {
                const bfloat16* inputs = x + row * stride + block * BLOCK + pair * 2;
                sums[row][0] = add_pairs(sums[row][0], inputs, left + pair * 2 * LANES);
                sums[row][1] = add_pairs(sums[row][1], inputs, right + pair * 2 * LANES);
            }
        }
    }
    for (int row = 0; row < ROWS; row++) {
        store(out + row * WIDTH, sums[row][0]);
        store(out + row * WIDTH + LANES, sums[row][1]);
    }
}

template <class Element>
void multiply_some_pairs(int64_t rows, const Element* weight, int64_t blocks, const bfloat16* x, int64_t stride, float* out) {
    switch (rows) {
        case 1: return multiply_pairs<Element, 1>(weight, blocks, x, stride, out);
        case 2: return multiply_pairs<Element, 2>(weight, blocks, x, stride, out);
        case 3: return multiply_pairs<Element, 3>(weight, blocks, x, stride, out);
        case 4: return multiply_pairs<Element, 4>(weight, blocks, x, stride, out);
        case 5: return multiply_pairs<Element, 5>(weight, blocks, x, stride, out);
        case 6: return multiply_pairs<Element, 6>(weight, blocks, x, stride, out);
        case 7: return multiply_pairs<Element, 7>(weight, blocks, x, stride, out);
        default: return multiply_pairs<Element, 8>(weight, blocks, x, stride, out);
    }
}

// ---- a piece of a product ----

constexpr int64_t FEW = 8;  // rows whose sums the vector registers hold

template <class Element>
void multiply_group(const Matrix& matrix, int64_t panel, int64_t panels, const bfloat16* x, int64_t stride, int64_t rows, float* out) {
    int64_t size = panel_elements(BFLOAT16, matrix.inputs), blocks = matrix.padded_inputs() / BLOCK;
    const Element* weight = static_cast<const Element*>(matrix.weight) + panel * size;
#if defined(__AMX_BF16__)
    if (tiles_allowed()) {
        TileShapes shapes(rows);
        _tile_loadconfig(&shapes);
        if (panels == 2) multiply_tiles<Element, 2>(weight, blocks, x, stride, out);
        else multiply_tiles<Element, 1>(weight, blocks, x, stride, out);
        _tile_release();
        return;
    }
#endif
    for (int64_t item = 0; item < panels; item++)
        for (int64_t row = 0; row < rows; row += FEW)
            multiply_some_pairs(std::min(FEW, rows - row), weight + item * size, blocks, x + row * stride, stride,
                                out + row * WIDTH + item * PANEL);
}

inline void multiply_group_of_floats(const Matrix& matrix, int64_t panel, int64_t panels, const float* x, int64_t stride, int64_t rows, float* out) {
    int64_t size = panel_elements(FLOAT32, matrix.inputs);
    const float* weight = static_cast<const float*>(matrix.weight) + panel * size;
    for (int64_t item = 0; item < panels; item++)
        for (int64_t row = 0; row < rows; row += FEW)
            multiply_some_floats(std::min(FEW, rows - row), weight + item * size, matrix.inputs, x + row * stride, stride,
                                 out + row * WIDTH + item * PANEL);
}

// The sums of up to two panels and 16 rows, [rows, WIDTH]; int8 sums are scaled.
inline void multiply(Kind kind, const Matrix& matrix, int64_t panel, int64_t panels, const Rows& x, int64_t row, int64_t rows, float* out) {
    if (kind == FLOAT32) {
        multiply_group_of_floats(matrix, panel, panels, static_cast<const float*>(x.values) + row * x.stride, x.stride, rows, out);
        return;
    }
    const bfloat16* inputs = static_cast<const bfloat16*>(x.values) + row * x.stride;
    if (kind == BFLOAT16) {
        multiply_group<bfloat16>(matrix, panel, panels, inputs, x.stride, rows, out);
        return;
    }
    multiply_group<int8_t>(matrix, panel, panels, inputs, x.stride, rows, out);
    for (int64_t item = 0; item < rows; item++)
        for (int64_t lane = 0; lane < panels * PANEL; lane += LANES)
            store(out + item * WIDTH + lane, load(out + item * WIDTH + lane) * load(matrix.scale + panel * PANEL + lane));
}

// Runs done(first row, rows, first output, outputs, sums) over one piece of a product's panels.
template <class Done>
void multiply_piece(Kind kind, const Matrix& matrix, const Rows& x, int64_t piece, int64_t pieces, const Done& done) {
    alignas(64) float sums[MOST_ROWS * WIDTH];
    int64_t groups = (matrix.panels() + GROUP - 1) / GROUP;
    for (int64_t group = groups * piece / pieces; group < groups * (piece + 1) / pieces; group++) {
        int64_t panel = group * GROUP, panels = std::min(GROUP, matrix.panels() - panel);
        for (int64_t row = 0; row < x.count; row += MOST_ROWS) {
            int64_t rows = std::min(MOST_ROWS, x.count - row);
            multiply(kind, matrix, panel, panels, x, row, rows, sums);
            done(row, rows, panel * PANEL, panels * PANEL, sums);
        }
    }
}

}  // namespace draftwise
