// Products with a weight matrix, and what goes with them.
//
//     y  = x·wᵀ        linear_forward             w [O, I]   x [N, I]   y [N, O]
//     dx = dy·w        linear_backward_input
//     dw += dyᵀ·x      linear_backward_weights
//     y  += b          bias_forward               b [O]
//     db += Σ dy       bias_backward
//
// | version | idea |
// |---|---|
// | v1 | one thread an entry of the result, the sum in the order of its index: the oracle |
// | v2 | a tile of 64 x 64 a block through shared memory, 4 x 4 entries a thread |
//
// Where cuBLAS can be loaded it takes the place of v2; v2 is for machines without it. Arguments
// `…_first` are the first row of a matrix that takes part, so that one step of a tape can be meant.

#include "common.cuh"

// y[n, o] = (y[n, o] +) Σ_i x[n, i] · w[o, i]
extern "C" __global__ void linear_forward_v1(
    const float* w,  // [O, I]
    const float* x,  // [.., I]
    int x_first, int rows, int outputs, int inputs, int add, int y_first,
    float* y)  // [.., O]
{
    const int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= outputs) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        const float* x_n = x + static_cast<size_t>(x_first + n) * inputs;
        const float* w_o = w + static_cast<size_t>(o) * inputs;
        float* to = y + static_cast<size_t>(y_first + n) * outputs + o;
        float sum = add ? *to : 0.0f;
        for (int i = 0; i < inputs; ++i) sum += x_n[i] * w_o[i];
        *to = sum;
    }
}

// dx[n, i] = Σ_o dy[n, o] · w[o, i]
extern "C" __global__ void linear_backward_input_v1(
    const float* w,   // [O, I]
    const float* dy,  // [.., O]
    int dy_first, int rows, int outputs, int inputs, int dx_first,
    float* dx)  // [.., I]
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= inputs) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        const float* dy_n = dy + static_cast<size_t>(dy_first + n) * outputs;
        float sum = 0.0f;
        for (int o = 0; o < outputs; ++o) sum += dy_n[o] * w[static_cast<size_t>(o) * inputs + i];
        dx[static_cast<size_t>(dx_first + n) * inputs + i] = sum;
    }
}

// dw[o, i] += Σ_n dy[n, o] · x[n, i]
extern "C" __global__ void linear_backward_weights_v1(
    const float* x,   // [.., I]
    const float* dy,  // [.., O]
    int x_first, int dy_first, int rows, int outputs, int inputs,
    float* dw)  // [O, I]
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int o = blockIdx.y * blockDim.y + threadIdx.y;
    if (i >= inputs || o >= outputs) return;
    float sum = dw[static_cast<size_t>(o) * inputs + i];
    for (int n = 0; n < rows; ++n) {
        sum += dy[static_cast<size_t>(dy_first + n) * outputs + o]
             * x[static_cast<size_t>(x_first + n) * inputs + i];
    }
    dw[static_cast<size_t>(o) * inputs + i] = sum;
}

// y[n, o] += b[o]
extern "C" __global__ void bias_forward_v1(
    const float* b,  // [O]
    int rows, int outputs,
    float* y)  // [N, O]
{
    const int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= outputs) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        y[static_cast<size_t>(n) * outputs + o] += b[o];
    }
}

// db[o] += Σ_n dy[n, o]
extern "C" __global__ void bias_backward_v1(
    const float* dy,  // [N, O]
    int rows, int outputs,
    float* db)  // [O]
{
    const int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= outputs) return;
    float sum = db[o];
    for (int n = 0; n < rows; ++n) sum += dy[static_cast<size_t>(n) * outputs + o];
    db[o] = sum;
}

// The same in two passes: blocks of `stretch` rows, then their sums in the order of the blocks.
//
//     sums[k, o] = Σ dy[n, o], n in stretch k
extern "C" __global__ void bias_backward_stretches_v2(
    const float* dy,  // [N, O]
    int rows, int outputs, int stretch,
    float* sums)  // [N / stretch, rounded up; O]
{
    const int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= outputs) return;
    const int first = blockIdx.y * stretch;
    const int end = min(first + stretch, rows);
    float sum = 0.0f;
    for (int n = first; n < end; ++n) sum += dy[static_cast<size_t>(n) * outputs + o];
    sums[static_cast<size_t>(blockIdx.y) * outputs + o] = sum;
}

// --- v2: tiles --------------------------------------------------------------------------------

// Rows and columns of the result that a block makes, and the depth of a pass.
constexpr int TILE = 64;
constexpr int DEPTH = 16;
// Threads of a block, 16 x 16, each with 4 x 4 entries.
constexpr int SIDE = 16;
constexpr int EACH = 4;

// One matrix of a product: entry (row, k) lies at `row * by_row + k * by_k`.
struct Operand {
    const float* entries;
    size_t by_row;
    size_t by_k;

    __device__ float at(int row, int k) const { return entries[row * by_row + k * by_k]; }
};

// c[m, n] = (c[m, n] +) Σ_k left(m, k) · right(n, k). Shared memory: two tiles of TILE x DEPTH,
// stored k by k, so that a thread reads its four neighbours at once.
__device__ inline void tiled_product(
    Operand left, Operand right, int rows, int columns, int depth, int add, float* c) {
    SHARED_MEMORY(shared);
    float* left_tile = shared;
    float* right_tile = shared + DEPTH * TILE;
    const int me = threadIdx.y * SIDE + threadIdx.x;
    const int column_first = blockIdx.x * TILE;
    for (int row_first = blockIdx.y * TILE; row_first < rows; row_first += gridDim.y * TILE) {
        float sum[EACH][EACH] = {};
        for (int k_first = 0; k_first < depth; k_first += DEPTH) {
            for (int entry = me; entry < TILE * DEPTH; entry += SIDE * SIDE) {
                // Neighbouring threads read neighbouring numbers, whichever way the matrix lies.
                const bool k_is_near = left.by_k == 1;
                const int k = k_is_near ? entry % DEPTH : entry / TILE;
                const int m = k_is_near ? entry / DEPTH : entry % TILE;
                const bool inside = row_first + m < rows && k_first + k < depth;
                left_tile[k * TILE + m] = inside ? left.at(row_first + m, k_first + k) : 0.0f;
            }
            for (int entry = me; entry < TILE * DEPTH; entry += SIDE * SIDE) {
                const bool k_is_near = right.by_k == 1;
                const int k = k_is_near ? entry % DEPTH : entry / TILE;
                const int n = k_is_near ? entry / DEPTH : entry % TILE;
                const bool inside = column_first + n < columns && k_first + k < depth;
                right_tile[k * TILE + n] = inside ? right.at(column_first + n, k_first + k) : 0.0f;
            }
            __syncthreads();
            for (int k = 0; k < DEPTH; ++k) {
                float l[EACH], r[EACH];
                for (int m = 0; m < EACH; ++m) l[m] = left_tile[k * TILE + threadIdx.y * EACH + m];
                for (int n = 0; n < EACH; ++n) r[n] = right_tile[k * TILE + threadIdx.x * EACH + n];
                for (int m = 0; m < EACH; ++m) {
                    for (int n = 0; n < EACH; ++n) sum[m][n] += l[m] * r[n];
                }
            }
            __syncthreads();
        }
        for (int m = 0; m < EACH; ++m) {
            for (int n = 0; n < EACH; ++n) {
                const int row = row_first + threadIdx.y * EACH + m;
                const int column = column_first + threadIdx.x * EACH + n;
                if (row >= rows || column >= columns) continue;
                float* to = c + static_cast<size_t>(row) * columns + column;
                *to = add ? *to + sum[m][n] : sum[m][n];
            }
        }
    }
}

// As v1.
extern "C" __global__ void __launch_bounds__(256) linear_forward_v2(
    const float* w, const float* x,
    int x_first, int rows, int outputs, int inputs, int add, int y_first,
    float* y) {
    const size_t by_row = static_cast<size_t>(inputs);
    const Operand left = {x + x_first * by_row, by_row, 1};
    const Operand right = {w, by_row, 1};
    tiled_product(left, right, rows, outputs, inputs, add, y + static_cast<size_t>(y_first) * outputs);
}

// As v1.
extern "C" __global__ void __launch_bounds__(256) linear_backward_input_v2(
    const float* w, const float* dy,
    int dy_first, int rows, int outputs, int inputs, int dx_first,
    float* dx) {
    const size_t wide = static_cast<size_t>(outputs);
    const Operand left = {dy + dy_first * wide, wide, 1};
    const Operand right = {w, 1, static_cast<size_t>(inputs)};
    tiled_product(left, right, rows, inputs, outputs, 0, dx + static_cast<size_t>(dx_first) * inputs);
}

// As v1.
extern "C" __global__ void __launch_bounds__(256) linear_backward_weights_v2(
    const float* x, const float* dy,
    int x_first, int dy_first, int rows, int outputs, int inputs,
    float* dw) {
    const size_t wide = static_cast<size_t>(outputs), narrow = static_cast<size_t>(inputs);
    const Operand left = {dy + dy_first * wide, 1, wide};
    const Operand right = {x + x_first * narrow, 1, narrow};
    tiled_product(left, right, outputs, inputs, rows, 1, dw);
}
