// Philox4x64-10, bit for bit the stream of numpy.random.Philox.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

typedef unsigned long long u64;

// Block `block` of the stream that starts at counter c, written to words[0] to words[left - 1], four at most.
__device__ __forceinline__ void philox_block(
    u64* words, u64 left, u64 block, u64 key0, u64 key1, u64 c0, u64 c1, u64 c2, u64 c3) {
  const u64 step = block + 1;  // the counter is one 256-bit number: an overflow carries into the next word
  c0 += step;
  if (c0 < step && ++c1 == 0 && ++c2 == 0) ++c3;

  for (int round = 0; round < 10; ++round) {
    const u64 low0 = 0xD2E7470EE14C6C93ULL * c0, high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0);
    const u64 low1 = 0xCA5A826395121157ULL * c2, high1 = __umul64hi(0xCA5A826395121157ULL, c2);
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B97F4A7C15ULL;
    key1 += 0xBB67AE8584CAA73BULL;
  }

  words[0] = c0;
  if (1 < left) words[1] = c1;
  if (2 < left) words[2] = c2;
  if (3 < left) words[3] = c3;
}

// Word j of the stream comes from block c + 1 + j/4.  Each thread computes one block of four words.
extern "C" __global__ void philox4x64(u64* words, u64 count, u64 key0, u64 key1, u64 c0, u64 c1, u64 c2, u64 c3) {
  const u64 block = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  const u64 first = 4 * block;
  if (first < count) philox_block(words + first, count - first, block, key0, key1, c0, c1, c2, c3);
}

// The same with the counter's second word read from the device: in a recorded step it moves on, a number would freeze.
extern "C" __global__ void philox4x64_at(
    u64* words, const u64* step, u64 count, u64 key0, u64 key1, u64 c0, u64 c2, u64 c3) {
  const u64 block = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  const u64 first = 4 * block;
  if (first < count) philox_block(words + first, count - first, block, key0, key1, c0, *step, c2, c3);
}

// One row's share of a thread.
__device__ __forceinline__ void philox_row(
    u64* words, const long long* rows, u64 height, u64 count, u64 key0, u64 key1, u64 step, u64 draw) {
  const u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  const u64 blocks = (count + 3) / 4, row = thread / blocks, block = thread % blocks;
  const u64 first = 4 * block;
  if (row >= height) return;
  philox_block(words + row * count + first, count - first, block, key0, key1, 0, step, draw, (u64)rows[row]);
}

// words (height, count): row r is the stream that starts at counter (0, step, draw, rows[r]).
extern "C" __global__ void philox4x64_rows(
    u64* words, const long long* rows, u64 height, u64 count, u64 key0, u64 key1, u64 step, u64 draw) {
  philox_row(words, rows, height, count, key0, key1, step, draw);
}

extern "C" __global__ void philox4x64_rows_at(
    u64* words, const long long* rows, const u64* step, u64 height, u64 count, u64 key0, u64 key1, u64 draw) {
  philox_row(words, rows, height, count, key0, key1, *step, draw);
}
