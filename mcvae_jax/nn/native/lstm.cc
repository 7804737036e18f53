// The steps of mcvae_jax/nn/lstm.py for processors, as custom calls of XLA: `lstm_forward` and `lstm_backward`.
//
// Rows of a batch never meet within a layer. So each thread takes some of them through all steps, and no one waits for
// another between steps; sums of products stay in registers until gates and states are computed from them. Weights are
// packed once, in the order in which they are read. Arithmetic is float32; products may be of bfloat16.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

struct Forward {
  int64_t steps = 0, batch = 0, units = 0;
  bool reverse = false;
  const float *gates[4] = {}, *h0 = nullptr, *mask = nullptr;
  const void* packed = nullptr;
  float *hidden = nullptr, *c = nullptr;
  float *cells = nullptr, *kept[4] = {};  // null where nothing is kept for a backward pass
};

struct Backward {
  int64_t steps = 0, batch = 0, units = 0;
  bool reverse = false;
  const float *d_hidden = nullptr, *cells = nullptr, *kept[4] = {}, *c0 = nullptr, *mask = nullptr;
  const void* packed = nullptr;
  float *d_gates[4] = {}, *d_h = nullptr, *d_c = nullptr;
};

// What the code between BEGIN_TARGET and END_TARGET may use of the processor, whatever the rest is compiled for.
#if defined(__clang__)
#define PRAGMA(text) _Pragma(#text)
#define BEGIN_TARGET(features) PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_TARGET _Pragma("clang attribute pop")
#else
#define PRAGMA(text) _Pragma(#text)
#define BEGIN_TARGET(features) _Pragma("GCC push_options") PRAGMA(GCC target(features))
#define END_TARGET _Pragma("GCC pop_options")
#endif

#if defined(__x86_64__)
#define LANES 16
#define ROWS 6
BEGIN_TARGET("avx512f,avx512dq,avx512vl,avx512bw,avx512bf16,fma")
namespace avx512_bfloat16 {
#define BFLOAT16 1
#include "lstm_rows.h"
#undef BFLOAT16
}  // namespace avx512_bfloat16
END_TARGET
#define BFLOAT16 0
BEGIN_TARGET("avx512f,avx512dq,avx512vl,avx512bw,fma")
namespace avx512 {
#include "lstm_rows.h"
}  // namespace avx512
END_TARGET
#undef LANES
#undef ROWS
#define LANES 8
#define ROWS 3
BEGIN_TARGET("avx2,fma")
namespace avx2 {
#include "lstm_rows.h"
}  // namespace avx2
END_TARGET
#undef LANES
#undef ROWS
#else
#define BFLOAT16 0
#endif
namespace plain {
#define LANES 4
#define ROWS 4
#include "lstm_rows.h"
}  // namespace plain

struct Functions {
  int64_t lanes;  // 0 where there are none
  void (*pack_forward)(const float*, int64_t, int64_t, void*);
  void (*pack_backward)(const float*, int64_t, int64_t, void*);
  void (*forward_rows)(const Forward&, int64_t, int64_t);
  void (*backward_rows)(const Backward&, int64_t, int64_t);
};

#define FUNCTIONS(lanes, name) {lanes, name::pack_forward, name::pack_backward, name::forward_rows, name::backward_rows}

// The functions with the most lanes that the processor has, up to `most`.
Functions for_float32(int64_t most) {
#if defined(__x86_64__)
  const bool has_512 =
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (most >= 16 && has_512) return FUNCTIONS(16, avx512);
  if (most >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return FUNCTIONS(8, avx2);
#else
  (void)most;
#endif
  return FUNCTIONS(4, plain);
}

Functions for_bfloat16() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return FUNCTIONS(16, avx512_bfloat16);
#endif
  return {0, nullptr, nullptr, nullptr, nullptr};
}

Functions of_float32 = for_float32(16);
const Functions of_bfloat16 = for_bfloat16();

// Runs job(0) to job(jobs - 1) on the threads of XLA and on this one, which takes all that no other has begun: so it
// waits for work that is being done alone, never for a thread to become free.
template <typename Job>
void share(ffi::ThreadPool& pool, int64_t jobs, const Job& job) {
  struct State {
    std::atomic<int64_t> next{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable all_done;
  };
  auto state = std::make_shared<State>();
  const Job* shared_job = &job;  // lives until all jobs are done; who comes later finds none left
  auto work = [state, shared_job, jobs] {
    int64_t mine = 0;
    for (int64_t n; (n = state->next.fetch_add(1)) < jobs; ++mine) (*shared_job)(n);
    if (mine == 0) return;
    std::lock_guard<std::mutex> lock(state->mutex);
    if ((state->done += mine) == jobs) state->all_done.notify_all();
  };
  const int64_t helpers = std::min<int64_t>(pool.num_threads(), jobs) - 1;
  for (int64_t n = 0; n < helpers; ++n) pool.Schedule(decltype(work)(work));
  work();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == jobs; });
}

// Rows in parts of about 64, equally many for each thread.
template <typename Rows>
void share_rows(ffi::ThreadPool& pool, int64_t batch, const Rows& rows) {
  const int64_t threads = std::max<int64_t>(pool.num_threads(), 1);
  const int64_t parts = threads * std::max<int64_t>(1, (batch + 32 * threads) / (64 * threads));
  const int64_t size = (batch + parts - 1) / parts;
  share(pool, (batch + size - 1) / size, [&](int64_t n) { rows(n * size, std::min(batch, (n + 1) * size)); });
}

using Float = ffi::Buffer<ffi::F32>;
using Result = ffi::Result<Float>;

ffi::Error forward(ffi::ThreadPool pool, bool reverse, bool bfloat16, Float i, Float f, Float s, Float o, Float w,
                   Float h0, Float c0, Float mask, Result hidden, Result h, Result c, Result packed,
                   ffi::RemainingRets kept) {
  const Functions& functions = bfloat16 ? of_bfloat16 : of_float32;
  if (!functions.lanes) return ffi::Error::InvalidArgument("this processor has no instructions for bfloat16");
  Forward call;
  const auto shape = i.dimensions();
  call.steps = shape[0], call.batch = shape[1], call.units = shape[2], call.reverse = reverse;
  call.gates[0] = i.typed_data(), call.gates[1] = f.typed_data();
  call.gates[2] = s.typed_data(), call.gates[3] = o.typed_data();
  call.h0 = h0.typed_data(), call.mask = mask.typed_data(), call.packed = packed->typed_data();
  call.hidden = hidden->typed_data(), call.c = c->typed_data();
  for (size_t n = 0; n < kept.size(); ++n) {
    auto result = kept.get<Float>(n);
    if (!result.has_value()) return ffi::Error::InvalidArgument("a result is no float32 array");
    (n ? call.kept[n - 1] : call.cells) = (*result)->typed_data();
  }
  const size_t size = call.batch * call.units;
  std::memcpy(call.c, c0.typed_data(), size * sizeof(float));
  share(pool, call.units / functions.lanes,
        [&](int64_t u) { functions.pack_forward(w.typed_data(), call.units, u, packed->typed_data()); });
  share_rows(pool, call.batch, [&](int64_t first, int64_t end) { functions.forward_rows(call, first, end); });
  std::memcpy(h->typed_data(), call.hidden + (reverse ? 0 : call.steps - 1) * size, size * sizeof(float));
  return ffi::Error::Success();
}

ffi::Error backward(ffi::ThreadPool pool, bool reverse, bool bfloat16, Float d_hidden, Float d_h, Float d_c,
                    Float cells, Float i, Float f, Float s, Float o, Float w, Float c0, Float mask, Result d_i,
                    Result d_f, Result d_s, Result d_o, Result d_h0, Result d_c0, Result packed) {
  const Functions& functions = bfloat16 ? of_bfloat16 : of_float32;
  if (!functions.lanes) return ffi::Error::InvalidArgument("this processor has no instructions for bfloat16");
  Backward call;
  const auto shape = i.dimensions();
  call.steps = shape[0], call.batch = shape[1], call.units = shape[2], call.reverse = reverse;
  call.d_hidden = d_hidden.typed_data(), call.cells = cells.typed_data();
  call.kept[0] = i.typed_data(), call.kept[1] = f.typed_data();
  call.kept[2] = s.typed_data(), call.kept[3] = o.typed_data();
  call.c0 = c0.typed_data(), call.mask = mask.typed_data(), call.packed = packed->typed_data();
  call.d_gates[0] = d_i->typed_data(), call.d_gates[1] = d_f->typed_data();
  call.d_gates[2] = d_s->typed_data(), call.d_gates[3] = d_o->typed_data();
  call.d_h = d_h0->typed_data(), call.d_c = d_c0->typed_data();
  const size_t size = call.batch * call.units;
  std::memcpy(call.d_h, d_h.typed_data(), size * sizeof(float));
  std::memcpy(call.d_c, d_c.typed_data(), size * sizeof(float));
  share(pool, call.units / (4 * functions.lanes),
        [&](int64_t u) { functions.pack_backward(w.typed_data(), call.units, u, packed->typed_data()); });
  share_rows(pool, call.batch, [&](int64_t first, int64_t end) { functions.backward_rows(call, first, end); });
  return ffi::Error::Success();
}

}  // namespace

extern "C" bool lstm_has_bfloat16() { return of_bfloat16.lanes > 0; }

// Chooses functions of at most so many lanes for float32, and tells of how many; for tests.
extern "C" int64_t lstm_choose_lanes(int64_t most) { return (of_float32 = for_float32(most)).lanes; }

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_forward, forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<bool>("reverse")
                                  .Attr<bool>("bfloat16")
                                  .Arg<Float>()   // four gates
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()   // w, h0, c0, mask
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Ret<Float>()   // hidden, h, c, packed weights
                                  .Ret<Float>()
                                  .Ret<Float>()
                                  .Ret<Float>()
                                  .RemainingRets());  // cells and four gates, or nothing

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_backward, backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<bool>("reverse")
                                  .Attr<bool>("bfloat16")
                                  .Arg<Float>()   // d_hidden, d_h, d_c, cells
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()   // four gates
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Arg<Float>()   // w, c0, mask
                                  .Arg<Float>()
                                  .Arg<Float>()
                                  .Ret<Float>()   // four gates
                                  .Ret<Float>()
                                  .Ret<Float>()
                                  .Ret<Float>()
                                  .Ret<Float>()   // h0, c0, packed weights
                                  .Ret<Float>()
                                  .Ret<Float>());
