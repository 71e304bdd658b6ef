// v3 of the LSTM: a whole sequence in one launch. Equations and v1, v2: `lstm.cu`.
//
// Step by step, v2 fetches w_h from memory and starts two kernels a step, which takes longer than the
// arithmetic of a step. Here the grid stays for all T, and w_h stays in shared memory:
//
//     grid     P blocks x G groups. Group g has the rows g, g + G, g + 2G … of the batch, which so are
//              about as long in every group, and waits for no other group.
//     block    U units of its group with all four gates, 4U rows of w_h.
//     step     forward: h of the step before comes from all blocks of the group, through L2;
//              backward: each block gives its share of dh to all blocks of the group.
//
//     forward, block p, step t                      backward, block p, step t
//     ────────────────────────────────────────      ─────────────────────────────────────────────────
//     h_prev [R, H] to shared memory                dh [R, U] = dh_above + Σ_q share[q → p]
//     z [R, 4U] = h_prev · (its rows of w_h)ᵀ       dz [R, 4U] = cell_backward(dh, dc)
//     gates, c and h of its units                   share[p → q] [R, U] = dz · (its rows, q's columns)
//
// There is no barrier between blocks. What others are waited for is `unset` before the launch, a bit
// pattern that no sum makes, and whoever needs it reads it again until it is set: the number is its own
// flag, and one trip through L2 does what a store, a fence, a flag and a load would do in three. All
// blocks must be on the card at once: the launch is cooperative, which the driver refuses where they
// would not be.
//
// Of h every slot is written once. Shares lie in three buffers in turn, and their only reader unsets them
// again. They are written anew three steps later, by blocks which have by then seen shares of their
// reader that it sent after its fence.
//
// Every sum has one order: k in slices of a float4, slices in turn; shares by the number of their block.
// U is a multiple of 4; units past H are computed with weights of zero and left where they are.

#include "common.cuh"

namespace {

// Rows and gates whose sums one thread holds.
constexpr int ROWS = 4;
constexpr int GATES = 4;

// How many rows of a step belong to a group.
__device__ inline int rows_of_group(int active, int group, int groups) {
    return active <= group ? 0 : (active - group + groups - 1) / groups;
}

// Numbers between two rows of weights or states in shared memory: an odd number of float4, so that
// eight threads that read the same place of eight rows meet eight different banks.
__device__ inline int stride_of(int width) {
    const int quads = (width + 3) / 4;
    return 4 * (quads % 2 == 1 ? quads : quads + 1);
}

// This block's rows of w_h, [4U, stride], with zeros past H.
__device__ inline void load_weights(
    const float* w_h, int hidden, int units, int first_unit, int stride, float* w) {
    for (int row = 0; row < GATES * units; ++row) {
        const int gate = row / units, j = first_unit + row % units;
        const float* from = w_h + (static_cast<size_t>(gate) * hidden + j) * hidden;
        for (int k = threadIdx.x; k < stride; k += blockDim.x) {
            w[row * stride + k] = j < hidden && k < hidden ? from[k] : 0.0f;
        }
    }
}

__device__ inline void add_product(float& sum, const float4& x, const float4& y) {
    sum += x.x * y.x;
    sum += x.y * y.y;
    sum += x.z * y.z;
    sum += x.w * y.w;
}

// Numbers that a thread asks for before it looks at the first.
constexpr int AT_ONCE = 4;

// Copies rows of h to shared memory, each number as soon as it is set.
template <class Vector>
__device__ inline void await_rows(
    const float* h, int first_row, int row_step, int rows, int hidden, int stride, float* to) {
    const int in_row = hidden / static_cast<int>(sizeof(Vector) / sizeof(float));
    const int total = rows * in_row, threads = blockDim.x;
    for (int first = threadIdx.x; first < total; first += AT_ONCE * threads) {
        const Vector* from[AT_ONCE];
        Vector got[AT_ONCE];
        for (int i = 0; i < AT_ONCE; ++i) {
            // Past the end the last one again: it does no harm, and every load is as the others.
            const int k = min(first + i * threads, total - 1);
            const size_t row = static_cast<size_t>(first_row + row_step * (k / in_row));
            from[i] = reinterpret_cast<const Vector*>(h + row * hidden) + k % in_row;
            got[i] = load_fresh(from[i]);
        }
        for (int i = 0; i < AT_ONCE; ++i) {
            while (is_unset(got[i])) {
                __nanosleep(0);
                got[i] = load_fresh(from[i]);
            }
        }
        for (int i = 0; i < AT_ONCE; ++i) {
            const int k = first + i * threads;
            if (k < total) reinterpret_cast<Vector*>(to + k / in_row * stride)[k % in_row] = got[i];
        }
    }
}

// Waits until one number of every block is set: the first of its units in some row. To ask for all
// numbers again and again would keep L2 from taking them in.
__device__ inline void look_out(const float* row, int blocks, int step) {
    for (int k = threadIdx.x; k < blocks; k += blockDim.x) {
        while (is_unset(load_fresh(row + static_cast<size_t>(k) * step))) __nanosleep(0);
    }
    __syncthreads();
}

}  // namespace

// Shared memory, in floats: (4U + chunk) · stride(H) + 16 · threads.
extern "C" __global__ void __launch_bounds__(512, 1) lstm_sequence_forward_v3(
    const float* w_h,    // [4H, H]
    const float* b,      // [4H]
    const int* offsets,  // [T + 1]
    int steps, int batch, int hidden,
    int units,  // U
    int chunk,  // rows at a time, a multiple of 4; chunk · U is at most the number of threads
    float* a,   // [N, 4H]: x·w_xᵀ on entry, the activated gates on return
    float* c,   // [B + N, H]: slot 0 read, the others written
    float* h)   // [B + N, H]: slot 0 read, the others unset on entry
{
    const int groups = gridDim.y, group = blockIdx.y;
    const int first_unit = blockIdx.x * units;
    const int stride = stride_of(hidden), quads = (hidden + 3) / 4;
    const int tid = threadIdx.x;

    SHARED_MEMORY(shared);
    float* const w = shared;                             // [4U, stride]
    float* const h_prev = w + GATES * units * stride;    // [chunk, stride]
    float* const sums = h_prev + chunk * stride;         // [slices, chunk, 4, U]

    // For the product: a thread has four gates of one unit, in four rows, over one slice of k.
    const int tiles = units * (chunk / ROWS);
    // A slice of less than four float4 saves less here than its sum costs there.
    const int slices = min(blockDim.x / tiles, (quads + 3) / 4);
    const int u_sum = tid % units, row_sum = ROWS * (tid % tiles / units), slice = tid / tiles;
    // For the gates: one unit of one row.
    const int u = tid % units, row = tid / units;
    const int j = first_unit + u;

    load_weights(w_h, hidden, units, first_unit, stride, w);
    float bias[GATES] = {};
    for (int gate = 0; gate < GATES && j < hidden; ++gate) bias[gate] = b[gate_at(gate, hidden, j)];
    // Columns past H are never written again, and stay zero. The others wait for `look_out`'s barrier.
    for (int k = tid; k < chunk * stride; k += blockDim.x) h_prev[k] = 0.0f;

    for (int t = 0; t < steps; ++t) {
        const int position = offsets[t];
        const int rows = rows_of_group(offsets[t + 1] - position, group, groups);
        if (rows == 0) break;
        const int from = t == 0 ? 0 : batch + offsets[t - 1];
        const int to = batch + position;
        for (int first = 0; first < rows; first += chunk) {
            const int count = min(chunk, rows - first);
            // What does not depend on the other blocks is asked for before waiting for them.
            const bool mine = row < count && j < hidden;
            const int b_row = group + groups * (first + row);
            float* const a_row = a + static_cast<size_t>(position + b_row) * GATES * hidden;
            float z[GATES] = {};
            float c_prev = 0.0f;
            if (mine) {
                for (int gate = 0; gate < GATES; ++gate) z[gate] = a_row[gate_at(gate, hidden, j)];
                c_prev = c[static_cast<size_t>(from + b_row) * hidden + j];
            }
            const int first_row = from + group + groups * first;
            const int last_row = first_row + groups * (count - 1);
            look_out(h + static_cast<size_t>(last_row) * hidden, gridDim.x, units);
            if (hidden % 4 == 0) {
                await_rows<float4>(h, first_row, groups, count, hidden, stride, h_prev);
            } else {
                await_rows<float>(h, first_row, groups, count, hidden, stride, h_prev);
            }
            __syncthreads();

            if (slice < slices && row_sum < count) {
                float sum[ROWS][GATES] = {};
                const float* w_u = w + u_sum * stride;
                const float* h_r = h_prev + row_sum * stride;
                for (int quad = slice; quad < quads; quad += slices) {
                    float4 left[ROWS], right[GATES];
                    for (int r = 0; r < ROWS; ++r) {
                        left[r] = reinterpret_cast<const float4*>(h_r + r * stride)[quad];
                    }
                    for (int gate = 0; gate < GATES; ++gate) {
                        right[gate] =
                            reinterpret_cast<const float4*>(w_u + gate * units * stride)[quad];
                    }
                    for (int r = 0; r < ROWS; ++r) {
                        for (int gate = 0; gate < GATES; ++gate) {
                            add_product(sum[r][gate], left[r], right[gate]);
                        }
                    }
                }
                float* to_sums = sums + (slice * chunk + row_sum) * GATES * units + u_sum;
                for (int r = 0; r < ROWS; ++r) {
                    for (int gate = 0; gate < GATES; ++gate) {
                        to_sums[(r * GATES + gate) * units] = sum[r][gate];
                    }
                }
            }
            __syncthreads();

            if (mine) {
                for (int gate = 0; gate < GATES; ++gate) {
                    float recurrent = 0.0f;
                    for (int s = 0; s < slices; ++s) {
                        recurrent += sums[((s * chunk + row) * GATES + gate) * units + u];
                    }
                    z[gate] = z[gate] + bias[gate] + recurrent;
                }
                const size_t after = static_cast<size_t>(to + b_row) * hidden + j;
                float c_now, h_now;
                lstm_cell(z, c_prev, c_now, h_now);
                store_fresh(h + after, h_now);
                c[after] = c_now;
                for (int gate = 0; gate < GATES; ++gate) a_row[gate_at(gate, hidden, j)] = z[gate];
            }
        }
    }
}

// Where the share of block `source` for block `owner` begins, in a group's row.
__device__ inline size_t share_at(
    int turn, int group, int owner, int row, int source, int groups, int blocks, int rows, int units) {
    const size_t buffer = static_cast<size_t>(turn % 3) * groups + group;
    return (((buffer * blocks + owner) * rows + row) * blocks + source) * units;
}

// Shared memory, in floats: 4U · stride(P · U) + chunk · (4U + 4) + 4 · threads.
extern "C" __global__ void __launch_bounds__(512, 1) lstm_sequence_backward_v3(
    const float* w_h,       // [4H, H]
    const float* a,         // [N, 4H]
    const float* c,         // [B + N, H]
    const float* dh_above,  // [N, H]
    const int* offsets,     // [T + 1]
    int steps, int batch, int hidden, int units, int chunk,
    float* dz,      // [N, 4H]
    float* dh_0,    // [B, H]
    float* dc_0,    // [B, H]: on the way dc_carry of every row
    float* shares)  // [3, G, P, R, P, U], R rows a group at most: unset on entry
{
    const int blocks = gridDim.x, groups = gridDim.y, group = blockIdx.y;
    const int first_unit = blockIdx.x * units;
    const int stride = stride_of(blocks * units);
    const int wide = GATES * units + 4;
    const int most_rows = rows_of_group(batch, 0, groups);
    const int tid = threadIdx.x;

    SHARED_MEMORY(shared);
    float* const w = shared;                            // [4U, stride]
    float* const dz_own = w + GATES * units * stride;   // [chunk, 4U + 4]
    float* const sums = dz_own + chunk * wide;          // [slices, chunk, U]

    // For the sum of shares: four units of one row, over one slice of the blocks.
    const int unit_quads = units / 4;
    const int tiles = chunk * unit_quads;
    const int slices = blockDim.x / tiles;
    const int quad_sum = tid % unit_quads, row_sum = tid % tiles / unit_quads, slice = tid / tiles;
    // For the cell: one unit of one row.
    const int u = tid % units, row = tid / units;
    const int j = first_unit + u;
    // For the product: four rows, four columns.
    const int column_quads = blocks * units / 4;

    load_weights(w_h, hidden, units, first_unit, stride, w);

    int last = steps;
    while (last > 0 && offsets[last] - offsets[last - 1] <= group) --last;

    for (int t = last - 1; t >= -1; --t) {
        // After the first step there is one more turn, which has nothing to do but dh_0.
        const bool start = t < 0;
        const int position = start ? 0 : offsets[t];
        const int rows = rows_of_group(start ? batch : offsets[t + 1] - position, group, groups);
        const int rows_after =
            t + 1 == last ? 0 : rows_of_group(offsets[t + 2] - offsets[t + 1], group, groups);
        const int from = t <= 0 ? 0 : batch + offsets[t - 1];
        const int to = batch + position;
        for (int first = 0; first < rows; first += chunk) {
            const int count = min(chunk, rows - first);
            const bool mine = row < count && j < hidden;
            const bool goes_on = first + row < rows_after;
            const int b_row = group + groups * (first + row);
            const size_t at = static_cast<size_t>(b_row) * hidden + j;
            const size_t a_row = static_cast<size_t>(position + b_row) * GATES * hidden;
            float gates[GATES] = {};
            float c_prev = 0.0f, c_now = 0.0f, dh = 0.0f, dc = 0.0f;
            if (mine && !start) {
                for (int gate = 0; gate < GATES; ++gate) gates[gate] = a[a_row + gate_at(gate, hidden, j)];
                c_prev = c[static_cast<size_t>(from + b_row) * hidden + j];
                c_now = c[static_cast<size_t>(to + b_row) * hidden + j];
                dh = dh_above[static_cast<size_t>(position + b_row) * hidden + j];
                dc = goes_on ? dc_0[at] : 0.0f;
            }
            if (first < rows_after) {
                const int last_row = min(first + count, rows_after) - 1;
                look_out(shares + share_at(t + 1, group, blockIdx.x, last_row, 0, groups, blocks,
                                           most_rows, units), blocks, units);
            }
            if (slice < slices && row_sum < count && first + row_sum < rows_after) {
                float4* const own = reinterpret_cast<float4*>(
                    shares + share_at(t + 1, group, blockIdx.x, first + row_sum, 0, groups, blocks,
                                      most_rows, units)) + quad_sum;
                float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
                for (int source = slice; source < blocks; source += AT_ONCE * slices) {
                    float4* from[AT_ONCE];
                    float4 share[AT_ONCE];
                    for (int i = 0; i < AT_ONCE; ++i) {
                        from[i] = own + min(source + i * slices, blocks - 1) * unit_quads;
                        share[i] = load_fresh(from[i]);
                    }
                    for (int i = 0; i < AT_ONCE && source + i * slices < blocks; ++i) {
                        while (is_unset(share[i])) {
                            __nanosleep(0);
                            share[i] = load_fresh(from[i]);
                        }
                        sum.x += share[i].x;
                        sum.y += share[i].y;
                        sum.z += share[i].z;
                        sum.w += share[i].w;
                        store_fresh(from[i], {unset(), unset(), unset(), unset()});
                    }
                }
                float* to_sums = sums + (slice * chunk + row_sum) * units;
                reinterpret_cast<float4*>(to_sums)[quad_sum] = sum;
            }
            __syncthreads();

            if (mine && goes_on) {
                float carry = 0.0f;
                for (int s = 0; s < slices; ++s) carry += sums[(s * chunk + row) * units + u];
                dh += carry;
            }
            if (start) {
                if (mine) dh_0[at] = dh;
                continue;
            }
            float slopes[GATES] = {};
            if (mine) {
                dc_0[at] = lstm_cell_undone(gates, c_prev, c_now, dh, dc, slopes);
                for (int gate = 0; gate < GATES; ++gate) {
                    dz[a_row + gate_at(gate, hidden, j)] = slopes[gate];
                }
            }
            if (row < count) {
                for (int gate = 0; gate < GATES; ++gate) {
                    dz_own[row * wide + gate * units + u] = slopes[gate];
                }
            }
            __syncthreads();

            for (int tile = tid; tile < (count + ROWS - 1) / ROWS * column_quads; tile += blockDim.x) {
                const int column = tile % column_quads, row_first = ROWS * (tile / column_quads);
                float4 sum[ROWS] = {};
                for (int k = 0; k < GATES * units; k += 4) {
                    float4 left[ROWS];
                    for (int r = 0; r < ROWS; ++r) {
                        left[r] = *reinterpret_cast<const float4*>(dz_own + (row_first + r) * wide + k);
                    }
                    for (int part = 0; part < 4; ++part) {
                        const float4 right =
                            reinterpret_cast<const float4*>(w + (k + part) * stride)[column];
                        for (int r = 0; r < ROWS; ++r) {
                            const float x = part == 0 ? left[r].x
                                          : part == 1 ? left[r].y
                                          : part == 2 ? left[r].z
                                                      : left[r].w;
                            sum[r].x += x * right.x;
                            sum[r].y += x * right.y;
                            sum[r].z += x * right.z;
                            sum[r].w += x * right.w;
                        }
                    }
                }
                const int owner = 4 * column / units;
                for (int r = 0; r < ROWS && row_first + r < count; ++r) {
                    float* to_share = shares + share_at(t, group, owner, first + row_first + r,
                                                        blockIdx.x, groups, blocks, most_rows, units);
                    store_fresh(reinterpret_cast<float4*>(to_share + 4 * column % units), sum[r]);
                }
            }
            // What this thread has unset is so before its block's next shares are sent, which follow the
            // next barrier.
            __threadfence();
        }
    }
}
