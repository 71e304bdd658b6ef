// Enough of CUDA for the kernels of this folder to run on a processor, as C++.
//
// Every thread is a fiber with a stack of its own; `scheduler.hpp` switches between them at barriers and
// where a thread waits for another block. Only one runs at a time, so `threadIdx` and its kin are plain
// variables that are set before a fiber goes on.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define TIDEGATE_HOST 1

#define __global__
#define __device__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {
// Gives control back until every thread of the block has come to a barrier.
void barrier();
// Gives control back until it is this thread's turn again.
void pause();
// The shared memory of the running thread's block.
float* shared();
}  // namespace shim

#define SHARED_MEMORY(name) float* const name = shim::shared()

inline void __syncthreads() { shim::barrier(); }
// Fibers see each other's writes in the order in which they were made.
inline void __threadfence() {}
inline void __nanosleep(unsigned) { shim::pause(); }

inline float load_fresh(const float* from) { return *from; }
inline float4 load_fresh(const float4* from) { return *from; }
inline void store_fresh(float* to, float x) { *to = x; }
inline void store_fresh(float4* to, float4 x) { *to = x; }

inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
inline int __float_as_int(float x) {
    int bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline int min(int x, int y) { return x < y ? x : y; }
