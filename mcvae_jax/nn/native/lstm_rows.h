// One LSTM layer over some rows of a batch, for one instruction set: lstm.cc includes this file once for each, with
// LANES, the floats of a vector register; ROWS, the rows of a block of sums that fits into the registers; and BFLOAT16,
// whether operands of products are rounded to bfloat16, of which an instruction takes two at a time.
//
// Letters: T steps, B sequences, H units. Gates stand in the order input, forget, squash, output. Arrays are dense.

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

inline Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void store(float* to, Vec x) { *reinterpret_cast<Unaligned*>(to) = x; }

#if BFLOAT16
typedef uint16_t Element;  // of an operand
constexpr int DEPTH = 2;   // of them in one lane
inline void narrow(Element* to, Vec x) {
  const __m256bh rounded = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(x));
  std::memcpy(to, &rounded, sizeof(rounded));
}
#else
typedef float Element;
constexpr int DEPTH = 1;
inline void narrow(Element* to, Vec x) { store(to, x); }
#endif

// exp(x) - 1 to a few units in the last place: x = n ln 2 + r, a polynomial in r, and 2^n put into the exponent's bits.
inline Vec expm1(Vec x) {
  const Vec low = Vec{} - 80.f, high = Vec{} + 80.f;  // beyond, the functions below have reached their limits
  x = x < low ? low : x;                              // NaN stays NaN
  x = x > high ? high : x;
  const Vec shifted = x * 1.44269504f + 12582912.f;  // 1.5 * 2^23: the sum is rounded to integers
  const Vec n = shifted - 12582912.f;
  const Vec r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  Vec p = r * (1.f / 5040) + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  const Vec power = reinterpret_cast<Vec>((reinterpret_cast<Ints>(shifted) << 23) + (127 << 23));
  return power * p + (power - 1.f);
}

inline Vec sigmoid(Vec x) { return 1.f / (2.f + expm1(-x)); }

inline Vec tanh(Vec x) {
  const Vec e = expm1(2.f * x);
  return e / (e + 2.f);
}

// sums (M, 4 vectors) += a (M rows, K) times a packed panel (K, 4 vectors).
template <int M>
inline __attribute__((always_inline)) void multiply(Vec (&sums)[M][4], const Element* a, int64_t a_row,
                                                    const Element* panel, int64_t depth) {
  for (int64_t k = 0; k < depth; k += DEPTH, panel += 4 * LANES * DEPTH) {
#if BFLOAT16
    __m512bh b[4];
    std::memcpy(b, panel, sizeof(b));
#else
    Vec b[4];
    for (int n = 0; n < 4; ++n) b[n] = load(panel + n * LANES);
#endif
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#if BFLOAT16
      int32_t two;
      std::memcpy(&two, a + m * a_row + k, sizeof(two));
      const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n)
        sums[m][n] = reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums[m][n]), x, b[n]));
#else
      const float x = a[m * a_row + k];
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) sums[m][n] += x * b[n];
#endif
    }
  }
}

// Vectors of DEPTH rows, element by element in turn.
inline void interleave(const float* from, int64_t row, Element* to) {
  Element rows[DEPTH][LANES];
  for (int p = 0; p < DEPTH; ++p) narrow(rows[p], load(from + p * row));
  for (int lane = 0; lane < LANES; ++lane)
    for (int p = 0; p < DEPTH; ++p) to[lane * DEPTH + p] = rows[p][lane];
}

// Of w (4, H, H), for the u-th vector of units: (H / DEPTH)(4)(LANES)(DEPTH).
void pack_forward(const float* w, int64_t units, int64_t u, void* packed) {
  Element* to = static_cast<Element*>(packed) + u * units * 4 * LANES;
  for (int64_t k = 0; k < units; k += DEPTH)
    for (int g = 0; g < 4; ++g, to += LANES * DEPTH) interleave(w + (g * units + k) * units + u * LANES, units, to);
}

// Of the transposed w, for the u-th four vectors of outputs: (4)(H / DEPTH)(4 LANES)(DEPTH).
void pack_backward(const float* w, int64_t units, int64_t u, void* packed) {
  Element* panel = static_cast<Element*>(packed) + u * units * 16 * LANES;
  for (int g = 0; g < 4; ++g, panel += units * 4 * LANES)
    for (int lane = 0; lane < 4 * LANES; ++lane) {
      const float* from = w + (g * units + u * 4 * LANES + lane) * units;
      for (int64_t k = 0; k < units; k += LANES) {
        Element row[LANES];
        narrow(row, load(from + k));
        for (int n = 0; n < LANES; n += DEPTH)
          for (int p = 0; p < DEPTH; ++p) panel[(k + n) * 4 * LANES + lane * DEPTH + p] = row[n + p];
      }
    }
}

// The M rows from `row` on of one step, for the u-th vector of units. h and next hold operands of products, of the rows
// from call.first on.
template <int M>
inline __attribute__((always_inline)) void forward_block(const Forward& call, int64_t first, int64_t t, const Element* h,
                                                         Element* next, int64_t row, int64_t u) {
  const int64_t units = call.units, at = row * units + u * LANES, step = t * call.batch * units;
  Vec sums[M][4];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) sums[m][g] = load(call.gates[g] + step + at + m * units);
  const Element* panel = static_cast<const Element*>(call.packed) + u * units * 4 * LANES;
  multiply<M>(sums, h + (row - first) * units, units, panel, units);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const int64_t here = at + m * units;
    const Vec kept[4] = {sigmoid(sums[m][0]), sigmoid(sums[m][1]), tanh(sums[m][2]), sigmoid(sums[m][3])};
    const Vec c = kept[1] * load(call.c + here) + kept[0] * (load(call.mask + here) * kept[2]);
    const Vec hidden = kept[3] * tanh(c);
    store(call.c + here, c);
    store(call.hidden + step + here, hidden);
    if (next) narrow(next + here - first * units, hidden);
    if (call.cells) {
      store(call.cells + step + here, c);
      for (int g = 0; g < 4; ++g) store(call.kept[g] + step + here, kept[g]);
    }
  }
}

// All steps of some rows; call.c holds the first cell states, and in the end the last ones.
void forward_rows(const Forward& call, int64_t first, int64_t end) {
  const int64_t units = call.units, size = (end - first) * units;
  std::vector<Element> operands(BFLOAT16 ? 2 * size : 0);
  const Element* h;
  Element* next = nullptr;
#if BFLOAT16
  for (int64_t n = 0; n < size; n += LANES) narrow(operands.data() + n, load(call.h0 + first * units + n));
  h = operands.data();
#else
  h = call.h0 + first * units;
#endif
  for (int64_t n = 0; n < call.steps; ++n) {
    const int64_t t = call.reverse ? call.steps - 1 - n : n;
#if BFLOAT16
    next = operands.data() + (n % 2 ? 0 : size);
#endif
    for (int64_t u = 0; u < units / LANES; ++u) {
      int64_t row = first;
      for (; row + ROWS <= end; row += ROWS) forward_block<ROWS>(call, first, t, h, next, row, u);
      for (; row + 2 <= end; row += 2) forward_block<2>(call, first, t, h, next, row, u);
      if (row < end) forward_block<1>(call, first, t, h, next, row, u);
    }
#if BFLOAT16
    h = next;
#else
    h = call.hidden + (t * call.batch + first) * units;
#endif
  }
}

// The gradients of the gates of one step, from that of its state; they go to `operands` (4)(rows)(H), too.
inline void backward_gates(const Backward& call, int64_t t, const float* before, int64_t first, int64_t end,
                           Element* operands) {
  const int64_t units = call.units, step = t * call.batch * units, size = (end - first) * units;
  for (int64_t at = first * units; at < end * units; at += LANES) {
    const int64_t here = step + at;
    const Vec i = load(call.kept[0] + here), f = load(call.kept[1] + here), s = load(call.kept[2] + here),
              o = load(call.kept[3] + here), mask = load(call.mask + at), tanh_c = tanh(load(call.cells + here));
    const Vec d_h = load(call.d_h + at) + load(call.d_hidden + here);
    const Vec d_c = load(call.d_c + at) + d_h * o * (1.f - tanh_c * tanh_c);
    const Vec d[4] = {d_c * mask * s * i * (1.f - i), d_c * load(before + at) * f * (1.f - f),
                      d_c * mask * i * (1.f - s * s), d_h * tanh_c * o * (1.f - o)};
    for (int g = 0; g < 4; ++g) {
      store(call.d_gates[g] + here, d[g]);
      narrow(operands + g * size + at - first * units, d[g]);
    }
    store(call.d_c + at, d_c * f);
  }
}

template <int M>
inline __attribute__((always_inline)) void backward_block(const Backward& call, const Element* operands, int64_t size,
                                                          int64_t first, int64_t row, int64_t u) {
  const int64_t units = call.units;
  Vec sums[M][4] = {};
  const Element* panel = static_cast<const Element*>(call.packed) + u * units * 16 * LANES;
  for (int g = 0; g < 4; ++g, panel += units * 4 * LANES)
    multiply<M>(sums, operands + g * size + (row - first) * units, units, panel, units);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) store(call.d_h + (row + m) * units + (u * 4 + n) * LANES, sums[m][n]);
}

// All steps of some rows from the last to the first; call.d_h and call.d_c hold the gradients of the last state, and in
// the end those of the first.
void backward_rows(const Backward& call, int64_t first, int64_t end) {
  const int64_t units = call.units, size = (end - first) * units;
  std::vector<Element> operands(4 * size);
  for (int64_t n = 0; n < call.steps; ++n) {
    const int64_t t = call.reverse ? n : call.steps - 1 - n, earlier = call.reverse ? t + 1 : t - 1;
    const float* before = n + 1 == call.steps ? call.c0 : call.cells + earlier * call.batch * units;
    backward_gates(call, t, before, first, end, operands.data());
    for (int64_t u = 0; u < units / (4 * LANES); ++u) {
      int64_t row = first;
      for (; row + ROWS <= end; row += ROWS) backward_block<ROWS>(call, operands.data(), size, first, row, u);
      for (; row + 2 <= end; row += 2) backward_block<2>(call, operands.data(), size, first, row, u);
      if (row < end) backward_block<1>(call, operands.data(), size, first, row, u);
    }
  }
}
