// Sixteen floats at a time, for whatever vector unit the compiler finds.
//
// Sums go through `fma` and the reductions below, whose order is fixed: the bits of a result never depend on what else a
// pass works out.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace draftwise {

constexpr int LANES = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint16_t Shorts __attribute__((vector_size(32)));

using bfloat16 = uint16_t;

inline Floats spread(float value) { return value - Floats{}; }

inline Floats load(const float* from) {
    Floats values;
    std::memcpy(&values, from, sizeof values);
    return values;
}

inline void store(float* to, Floats values) { std::memcpy(to, &values, sizeof values); }

inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}

inline float widen(bfloat16 value) {
    uint32_t bits = static_cast<uint32_t>(value) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

// To the nearest, ties to even; what is no number stays none.
inline bfloat16 narrow(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<bfloat16>((bits >> 16) | 0x40);
    return static_cast<bfloat16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline Floats load(const bfloat16* from) {
    Shorts shorts;
    std::memcpy(&shorts, from, sizeof shorts);
#if defined(__AVX512F__)
    return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)shorts), 16);
#else
    Ints wide = __builtin_convertvector(shorts, Ints) << 16;
    return (Floats)wide;
#endif
}

inline void store(bfloat16* to, Floats values) {
#if defined(__AVX512BF16__)
    __m256bh shorts = _mm512_cvtneps_pbh((__m512)values);
    std::memcpy(to, &shorts, sizeof shorts);
#else
    for (int lane = 0; lane < LANES; lane++) to[lane] = narrow(values[lane]);
#endif
}

inline Floats select(Ints mask, Floats yes, Floats no) { return (Floats)(((Ints)yes & mask) | ((Ints)no & ~mask)); }

inline Floats larger(Floats a, Floats b) { return select(a > b, a, b); }
inline Floats smaller(Floats a, Floats b) { return select(a < b, a, b); }

// The lanes in halves, quarters, eighths and so on: always in this order.
inline float sum(Floats values) {
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; lane++) values[lane] += values[lane + width];
    return values[0];
}

inline float largest(Floats values) {
    float result = values[0];
    for (int lane = 1; lane < LANES; lane++) result = values[lane] > result ? values[lane] : result;
    return result;
}

inline Ints lanes() { return Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

// Lanes below `count` as they are, the others 0.
inline Floats first(Floats values, int64_t count) {
    return select(lanes() < static_cast<int32_t>(count < LANES ? count : LANES), values, Floats{});
}

template <class Value>
void copy_into(Value* to, const float* from, int64_t count) {
    int64_t at = 0;
    for (; at + LANES <= count; at += LANES) store(to + at, load(from + at));
    for (; at < count; at++) {
        if constexpr (sizeof(Value) == 4) to[at] = from[at];
        else to[at] = narrow(from[at]);
    }
}

// e^x to about 1 unit in the last place: 2^n e^r with |r| <= ln 2 / 2 and the polynomial of Cephes' expf (Moshier 1989).
inline Floats exponential(Floats x) {
    Floats inside = smaller(larger(x, spread(-87.0f)), spread(88.0f));
    Floats shifted = fma(inside, spread(1.44269504088896341f), spread(12582912.0f));  // 1.5 * 2^23 rounds to an integer
    Floats n = shifted - 12582912.0f;
    Floats r = fma(n, spread(-0.693359375f), inside);
    r = fma(n, spread(2.12194440e-4f), r);
    Floats p = spread(1.9875691500e-4f);
    p = fma(p, r, spread(1.3981999507e-3f));
    p = fma(p, r, spread(8.3334519073e-3f));
    p = fma(p, r, spread(4.1665795894e-2f));
    p = fma(p, r, spread(1.6666665459e-1f));
    p = fma(p, r, spread(5.0000001201e-1f));
    p = fma(p, r * r, r + 1.0f);
    Ints power = __builtin_convertvector(n, Ints) + 127;
    Floats result = p * (Floats)(power << 23);
    result = select(x < -87.0f, Floats{}, result);
    return select(x > 88.0f, spread(INFINITY), select(x != x, x, result));
}

inline Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(-x)); }

inline Floats hyperbolic_tangent(Floats x) { return 1.0f - 2.0f / (1.0f + exponential(2.0f * x)); }

// x P(x^2) / Q(x^2) on [-4, 4], the rational function of Eigen's and XLA's float erf.
inline Floats error_function(Floats x) {
    Floats inside = smaller(larger(x, spread(-4.0f)), spread(4.0f));
    Floats s = inside * inside;
    Floats p = spread(-2.72614225801306e-10f);
    p = fma(p, s, spread(2.77068142495902e-08f));
    p = fma(p, s, spread(-2.10102402082508e-06f));
    p = fma(p, s, spread(-5.69250639462346e-05f));
    p = fma(p, s, spread(-7.34990630326855e-04f));
    p = fma(p, s, spread(-2.95459980854025e-03f));
    p = fma(p, s, spread(-1.60960333262415e-02f));
    Floats q = spread(-1.45660718464996e-05f);
    q = fma(q, s, spread(-2.13374055278905e-04f));
    q = fma(q, s, spread(-1.68282697438203e-03f));
    q = fma(q, s, spread(-7.37332916720468e-03f));
    q = fma(q, s, spread(-1.42647390514189e-02f));
    return select(x != x, x, inside * p / q);
}

}  // namespace draftwise
