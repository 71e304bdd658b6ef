// What all kernels share.
//
// Letters as everywhere: T steps, B rows of the batch, N positions, I input, H units; shapes are
// row-major. A kernel's arguments stand in the order of the reference: parameters, inputs, what
// forward kept, results, scratch. Sizes are `int`; what is multiplied into an index is `size_t`,
// since N x 4H passes 2^31 where a batch is large.
//
// These files are compiled twice: by nvcc to PTX, and by a C++ compiler against `host/shim.hpp`, which
// runs each thread as a fiber. So they use no more of CUDA than the shim has: threads and blocks,
// dynamic shared memory, barriers, `__threadfence`, `__nanosleep`, and what stands below. The shim also
// stirs the order of threads and poisons memory, which is how a missing barrier shows without a GPU.
//
// No fast-math, no TF32: f32 stays f32. No atomics: every sum has one order.
#pragma once

#ifndef TIDEGATE_HOST

// The block's dynamic shared memory.
#define SHARED_MEMORY(name)                     \
    extern __shared__ float4 name##_as_float4[]; \
    float* const name = reinterpret_cast<float*>(name##_as_float4)

// Numbers that other blocks write while this kernel runs: read from L2, at every call anew.
__device__ inline float load_fresh(const float* from) {
    float x;
    asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(x) : "l"(from));
    return x;
}
__device__ inline float4 load_fresh(const float4* from) {
    float4 x;
    asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                 : "l"(from));
    return x;
}
// Numbers that other blocks wait for.
__device__ inline void store_fresh(float* to, float x) {
    asm volatile("st.relaxed.gpu.global.f32 [%0], %1;" ::"l"(to), "f"(x) : "memory");
}
__device__ inline void store_fresh(float4* to, float4 x) {
    asm volatile("st.relaxed.gpu.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(x.x), "f"(x.y),
                 "f"(x.z), "f"(x.w)
                 : "memory");
}

#endif

// What stands where nobody has written yet: every bit set. It is a NaN, but one that no arithmetic of a
// card makes: theirs is 0x7FFFFFFF.
__device__ inline float unset() { return __int_as_float(-1); }
__device__ inline bool is_unset(float x) { return __float_as_int(x) == -1; }
__device__ inline bool is_unset(float4 x) {
    return is_unset(x.x) || is_unset(x.y) || is_unset(x.z) || is_unset(x.w);
}

// The logistic function, as the reference writes it: at z = -inf it is 1 / inf = 0.
__device__ inline float sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }

// Where unit `j` has a gate in a row of 4H: i f g o are blocks 0 1 2 3.
__device__ inline size_t gate_at(int gate, int hidden, int j) {
    return static_cast<size_t>(gate) * hidden + j;
}

// What a cell makes of its pre-activations: a becomes the activated gates.
//
//     i f o = σ(z_i) σ(z_f) σ(z_o)    g = tanh(z_g)
//     c     = f · c_prev + i · g
//     h     = o · tanh(c)
__device__ inline void lstm_cell(float (&a)[4], float c_prev, float& c, float& h) {
    a[0] = sigmoid(a[0]);
    a[1] = sigmoid(a[1]);
    a[2] = tanhf(a[2]);
    a[3] = sigmoid(a[3]);
    c = a[1] * c_prev + a[0] * a[2];
    h = a[3] * tanhf(c);
}

// Undoes it: from dh and dc, as they reach this step, to dz and to the dc of the step before.
//
//     dc      = dc_carry + dh · o · (1 - u²)      u = tanh(c)
//     dz_i    = dc · g · i · (1 - i)              dz_g = dc · i · (1 - g²)
//     dz_f    = dc · c_prev · f · (1 - f)         dz_o = dh · u · o · (1 - o)
//     dc_prev = dc · f
__device__ inline float lstm_cell_undone(
    const float (&a)[4], float c_prev, float c, float dh, float dc_carry, float (&dz)[4]) {
    const float i = a[0], f = a[1], g = a[2], o = a[3];
    const float u = tanhf(c);
    const float dc = dc_carry + dh * o * (1.0f - u * u);
    dz[0] = dc * g * i * (1.0f - i);
    dz[1] = dc * c_prev * f * (1.0f - f);
    dz[2] = dc * i * (1.0f - g * g);
    dz[3] = dh * u * o * (1.0f - o);
    return dc * f;
}
