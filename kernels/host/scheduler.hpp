// Runs the threads of a launch as fibers.
//
// Blocks run one after the other, as a grid's blocks may; those of a cooperative launch all at once,
// as they must. A fiber runs until it comes to a barrier, waits for another block or ends; so whoever
// forgets a barrier reads what has not been written yet (shared memory begins as NaN), or has been
// overwritten already, in one order of threads or another. Hence `schedule`: 0 takes threads by rising
// number, 1 by falling, any other number shuffles them before every pass, leaves some of them out,
// and lets whole blocks sleep for a while, so that others get ahead as far as the kernel allows.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "shim.hpp"

namespace shim {

// Bytes of a fiber's stack. Kernels keep little there.
constexpr size_t STACK = 64 * 1024;
// Passes in which nobody got further before a launch is given up.
constexpr int PATIENCE = 1000;

struct Block;

struct Fiber {
    enum State { READY, PAUSED, AT_BARRIER, ENDED };
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    State state;
    unsigned thread;
    Block* block;
};

struct Block {
    dim3 index;
    std::vector<float4> shared;
    std::vector<Fiber*> fibers;
    // Passes that it still sits out.
    unsigned sleeps = 0;
};

inline ucontext_t scheduler_context;
inline Fiber* running = nullptr;
inline const std::function<void()>* kernel = nullptr;

inline void give_back(Fiber::State state) {
    running->state = state;
    swapcontext(&running->context, &scheduler_context);
}
inline void barrier() { give_back(Fiber::AT_BARRIER); }
inline void pause() { give_back(Fiber::PAUSED); }
inline float* shared() { return reinterpret_cast<float*>(running->block->shared.data()); }

inline void fiber_main() {
    (*kernel)();
    give_back(Fiber::ENDED);
}

class Launch {
public:
    Launch(dim3 grid, dim3 block, size_t shared_bytes, bool cooperative, uint64_t schedule)
        : grid_(grid), block_(block), shared_bytes_(shared_bytes), cooperative_(cooperative),
          schedule_(schedule), random_(schedule * 2 + 1) {}

    void run(const std::function<void()>& body) {
        kernel = &body;
        gridDim = grid_;
        blockDim = block_;
        const unsigned count = grid_.x * grid_.y * grid_.z;
        const unsigned at_once = cooperative_ ? count : 1;
        for (unsigned first = 0; first < count; first += at_once) run_blocks(first, at_once);
    }

private:
    void run_blocks(unsigned first, unsigned count) {
        const unsigned threads = block_.x * block_.y * block_.z;
        const float nan = std::numeric_limits<float>::quiet_NaN();
        std::vector<Block> blocks(count);
        std::vector<Fiber*> order;
        for (unsigned k = 0; k < count; ++k) {
            const unsigned number = first + k;
            Block& block = blocks[k];
            block.index = {number % grid_.x, number / grid_.x % grid_.y, number / grid_.x / grid_.y};
            block.shared.assign((shared_bytes_ + 15) / 16, {nan, nan, nan, nan});
            for (unsigned thread = 0; thread < threads; ++thread) {
                Fiber* fiber = begin(k * threads + thread, thread, block);
                block.fibers.push_back(fiber);
                order.push_back(fiber);
            }
        }
        if (schedule_ == 1) std::reverse(order.begin(), order.end());
        for (int idle = 0; idle < PATIENCE;) {
            if (schedule_ > 1) shuffle(order);
            bool moved = false, alive = false;
            for (Block& block : blocks) {
                if (block.sleeps > 0) --block.sleeps;
                else if (schedule_ > 1 && count > 1 && random() % 8 == 0) block.sleeps = random() % 24;
            }
            for (Fiber* fiber : order) {
                if (fiber->block->sleeps > 0 || (schedule_ > 1 && random() % 8 == 0)) continue;
                moved |= go_on(*fiber);
            }
            for (Block& block : blocks) {
                moved |= release(block);
                for (Fiber* fiber : block.fibers) alive |= fiber->state != Fiber::ENDED;
            }
            if (!alive) return;
            idle = moved ? 0 : idle + 1;
        }
        throw std::runtime_error("blocks wait for each other for ever");
    }

    Fiber* begin(size_t number, unsigned thread, Block& block) {
        static std::vector<std::unique_ptr<Fiber>> pool;
        while (pool.size() <= number) {
            pool.push_back(std::make_unique<Fiber>());
            pool.back()->stack.reset(new char[STACK]);
        }
        Fiber& fiber = *pool[number];
        fiber.state = Fiber::READY;
        fiber.thread = thread;
        fiber.block = &block;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, fiber_main, 0);
        return &fiber;
    }

    // Lets a fiber go on, where it can; says whether it has got anywhere but to its next pause.
    bool go_on(Fiber& fiber) {
        if (fiber.state != Fiber::READY && fiber.state != Fiber::PAUSED) return false;
        const unsigned t = fiber.thread;
        threadIdx = {t % block_.x, t / block_.x % block_.y, t / block_.x / block_.y};
        blockIdx = fiber.block->index;
        running = &fiber;
        swapcontext(&scheduler_context, &fiber.context);
        return fiber.state != Fiber::PAUSED;
    }

    // Opens a block's barrier once all have come to it.
    bool release(Block& block) {
        size_t waiting = 0, ended = 0;
        for (Fiber* fiber : block.fibers) {
            waiting += fiber->state == Fiber::AT_BARRIER;
            ended += fiber->state == Fiber::ENDED;
        }
        if (waiting == 0 || waiting + ended < block.fibers.size()) return false;
        if (ended > 0) throw std::runtime_error("threads wait at a barrier that others have left out");
        for (Fiber* fiber : block.fibers) fiber->state = Fiber::READY;
        return true;
    }

    void shuffle(std::vector<Fiber*>& order) {
        for (size_t k = order.size(); k > 1; --k) {
            std::swap(order[k - 1], order[random() % k]);
        }
    }

    uint64_t random() {
        random_ = random_ * 6364136223846793005u + 1442695040888963407u;
        return random_ >> 33;
    }

    dim3 grid_, block_;
    size_t shared_bytes_;
    bool cooperative_;
    uint64_t schedule_, random_;
};

}  // namespace shim
