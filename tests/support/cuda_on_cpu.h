// CUDA C++ on the CPU, for tests.
//
// Every thread of a block is a fiber that runs until it waits at a barrier; then the next one runs.  So a missing
// __syncthreads shows as a wrong result in one of the thread orders.  Shared memory starts as NaN in each block.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("shared_memory")))

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

extern "C" {
extern char __start_shared_memory[] __attribute__((weak));
extern char __stop_shared_memory[] __attribute__((weak));
}

namespace cpu {

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[STACK]};
  State state;
  dim3 index;
  static constexpr size_t STACK = 128 << 10;
};

static std::vector<Fiber> fibers;  // one for each thread of the block
static Fiber* current;
static ucontext_t scheduler;
static std::function<void()> kernel;
static unsigned long long slots[1024];  // what shuffles pass from thread to thread

static void enter() {
  kernel();
  current->state = DONE;
}

static void wait_at(State barrier) {
  current->state = barrier;
  swapcontext(&current->context, &scheduler);
}

static dim3 unravel(size_t i, dim3 shape) {
  return {unsigned(i % shape.x), unsigned(i / shape.x % shape.y), unsigned(i / shape.x / shape.y)};
}

static void prepare(size_t threads) {
  if (fibers.size() != threads) fibers = std::vector<Fiber>(threads);
  for (size_t t = 0; t < threads; ++t) {
    Fiber& f = fibers[t];
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = Fiber::STACK;
    f.context.uc_link = &scheduler;
    makecontext(&f.context, enter, 0);
    f.state = READY;
    f.index = unravel(t, blockDim);
  }
}

// Let the live threads of [first, last) go on if all of them wait at this barrier.
static bool release(size_t first, size_t last, State barrier) {
  size_t live = 0, waiting = 0;
  for (size_t t = first; t < last; ++t) {
    live += fibers[t].state != DONE;
    waiting += fibers[t].state == barrier;
  }
  if (live == 0 || waiting != live) return false;
  for (size_t t = first; t < last; ++t)
    if (fibers[t].state == barrier) fibers[t].state = READY;
  return true;
}

static bool release_warps() {
  bool any = false;
  for (size_t w = 0; w < fibers.size(); w += warpSize)
    any |= release(w, std::min(fibers.size(), w + warpSize), AT_WARP_BARRIER);
  return any;
}

static bool in_state(State state, bool all) {
  auto is = [=](const Fiber& f) { return f.state == state; };
  return all ? std::all_of(fibers.begin(), fibers.end(), is) : std::any_of(fibers.begin(), fibers.end(), is);
}

static const char* run_block(const std::vector<size_t>& order) {
  prepare(order.size());
  while (true) {
    for (size_t t : order) {
      if (fibers[t].state != READY) continue;
      current = &fibers[t];
      threadIdx = current->index;
      swapcontext(&scheduler, &current->context);
    }
    if (in_state(DONE, true)) return nullptr;
    if (release_warps()) continue;
    if (in_state(DONE, false)) return "a barrier that some threads never reach: they have returned";
    if (!release(0, fibers.size(), AT_BLOCK_BARRIER)) return "a barrier that some threads never reach: they wait elsewhere";
  }
}

// order: 0 ascending, 1 descending, else a shuffle with this seed.
static std::vector<size_t> in_order(size_t n, int order) {
  std::vector<size_t> result(n);
  std::iota(result.begin(), result.end(), size_t(0));
  if (order == 1) std::reverse(result.begin(), result.end());
  if (order > 1) std::shuffle(result.begin(), result.end(), std::mt19937(order));
  return result;
}

static const char* launch(dim3 grid, dim3 block, int order, std::function<void()> body) {
  gridDim = grid, blockDim = block, kernel = body;
  const auto threads = in_order(size_t(block.x) * block.y * block.z, order);
  for (size_t b : in_order(size_t(grid.x) * grid.y * grid.z, order)) {
    blockIdx = unravel(b, grid);
    if (__start_shared_memory) std::memset(__start_shared_memory, 0xFF, __stop_shared_memory - __start_shared_memory);
    if (const char* error = run_block(threads)) return error;
  }
  return nullptr;
}

static unsigned thread_in_block() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

// Every thread of a warp gives a value and takes the one of another lane.  The second wait keeps slots from reuse.
template <class T>
T exchange(T value, unsigned lane) {
  const unsigned me = thread_in_block(), warp = me & ~31u;
  std::memcpy(&slots[me], &value, sizeof(T));
  wait_at(AT_WARP_BARRIER);
  std::memcpy(&value, &slots[warp + lane], sizeof(T));
  wait_at(AT_WARP_BARRIER);
  return value;
}

}  // namespace cpu

inline void __syncthreads() { cpu::wait_at(cpu::AT_BLOCK_BARRIER); }
inline void __syncwarp(unsigned = ~0u) { cpu::wait_at(cpu::AT_WARP_BARRIER); }

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return cpu::exchange(value, lane & 31);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return cpu::exchange(value, (cpu::thread_in_block() & 31) ^ mask);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta) {
  const unsigned lane = cpu::thread_in_block() & 31;
  return cpu::exchange(value, lane + delta < 32 ? lane + delta : lane);
}

// One fiber runs at a time, so these need no locks.
template <class T>
T atomicAdd(T* p, T value) {
  const T old = *p;
  *p = old + value;
  return old;
}
template <class T>
T atomicMax(T* p, T value) {
  const T old = *p;
  *p = std::max(old, value);
  return old;
}

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
template <class T>
T __ldg(const T* p) {
  return *p;
}
using std::max;
using std::min;
