// A "card" behind a pipe: memory and launches on request, from stdin, answers on stdout.
//
// The tests start this program and hand it the same launches that a card would get, so that no memory is
// shared between them and nothing here can harm them. Numbers are little-endian.
//
//     a words               -> ok id       memory of so many 32-bit words, every bit set (f32: NaN)
//     w id first words ..   -> ok          write
//     r id first words      -> ok ..       read
//     z id                  -> ok          all zero
//     u id first            -> ok          every bit set, from there to the end
//     l name grid[3] block[3] shared cooperative schedule count (kind value)[count] -> ok
//
// Around each piece of memory lie two guards, NaN too: who reads there spreads NaN, and who writes there
// is told of after the launch. An error is answered as `e length text`.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "shim.hpp"

#include "linear.cu"
#include "lstm.cu"
#include "lstm_sequence.cu"

#include "scheduler.hpp"

namespace {

constexpr size_t GUARD = 1024;
constexpr uint32_t POISON = 0xFFFFFFFFu;

struct Memory {
    std::unique_ptr<uint32_t, void (*)(void*)> all{nullptr, std::free};
    size_t words = 0;

    explicit Memory(size_t count) : words(count) {
        const size_t bytes = ((count + 2 * GUARD) * 4 + 255) / 256 * 256;
        all.reset(static_cast<uint32_t*>(std::aligned_alloc(256, bytes)));
        if (!all) throw std::runtime_error("out of memory");
        std::fill(all.get(), all.get() + count + 2 * GUARD, POISON);
    }
    uint32_t* begin() { return all.get() + GUARD; }
    bool whole() {
        for (size_t k = 0; k < GUARD; ++k) {
            if (all.get()[k] != POISON || begin()[words + k] != POISON) return false;
        }
        return true;
    }
};

std::map<uint64_t, Memory> memories;

Memory& memory(uint64_t id) {
    const auto found = memories.find(id);
    if (found == memories.end()) throw std::runtime_error("no such memory");
    return found->second;
}

// An argument as it is sent: f and k are memory of floats or ints that is read, F and K memory that is
// written too, n is a number.
struct Argument {
    char kind;
    int64_t value;
};

void expect(char wanted, const Argument& argument) {
    if (argument.kind == wanted) return;
    throw std::runtime_error(std::string("an argument is `") + wanted + "`, not `" + argument.kind + "`");
}
template <class T, char KIND> struct Pointer {
    static T* from(const Argument& argument) {
        expect(KIND, argument);
        return reinterpret_cast<T*>(memory(argument.value).begin());
    }
};
template <class T> struct Convert;
template <> struct Convert<const float*> : Pointer<const float, 'f'> {};
template <> struct Convert<float*> : Pointer<float, 'F'> {};
template <> struct Convert<const int*> : Pointer<const int, 'k'> {};
template <> struct Convert<int*> : Pointer<int, 'K'> {};
template <> struct Convert<int> {
    static int from(const Argument& argument) {
        expect('n', argument);
        return static_cast<int>(argument.value);
    }
};

using Body = std::function<void()>;
using Kernel = std::function<Body(const std::vector<Argument>&)>;

template <class... A, size_t... K>
Body with_arguments(void (*kernel)(A...), const std::vector<Argument>& arguments, std::index_sequence<K...>) {
    if (arguments.size() != sizeof...(A)) throw std::runtime_error("another number of arguments");
    const std::tuple<A...> values{Convert<A>::from(arguments[K])...};
    return [kernel, values] { std::apply(kernel, values); };
}
template <class... A> Kernel kernel_of(void (*kernel)(A...)) {
    return [kernel](const std::vector<Argument>& arguments) {
        return with_arguments(kernel, arguments, std::index_sequence_for<A...>{});
    };
}

#define KERNEL(name) {#name, kernel_of(name)}
const std::map<std::string, Kernel> kernels = {
    KERNEL(linear_forward_v1), KERNEL(linear_backward_input_v1), KERNEL(linear_backward_weights_v1),
    KERNEL(bias_forward_v1), KERNEL(bias_backward_v1), KERNEL(bias_backward_stretches_v2),
    KERNEL(linear_forward_v2), KERNEL(linear_backward_input_v2), KERNEL(linear_backward_weights_v2),
    KERNEL(lstm_cell_forward_v1), KERNEL(arrivals_v1), KERNEL(lstm_cell_backward_v1),
    KERNEL(lstm_step_forward_v2), KERNEL(lstm_step_backward_v2), KERNEL(states_before_v2),
    KERNEL(lstm_sequence_forward_v3), KERNEL(lstm_sequence_backward_v3),
};

void receive(void* to, size_t bytes) {
    if (bytes > 0 && std::fread(to, 1, bytes, stdin) != bytes) std::exit(0);
}
template <class T> T receive() {
    T value;
    receive(&value, sizeof value);
    return value;
}
void send(const void* from, size_t bytes) { std::fwrite(from, 1, bytes, stdout); }

void launch() {
    std::string name(receive<uint32_t>(), ' ');
    receive(name.data(), name.size());
    const auto grid = receive<dim3>(), block = receive<dim3>();
    const auto shared = receive<uint64_t>(), cooperative = receive<uint64_t>();
    const auto schedule = receive<uint64_t>();
    std::vector<Argument> arguments(receive<uint32_t>());
    for (Argument& argument : arguments) argument = {receive<char>(), receive<int64_t>()};
    const auto found = kernels.find(name);
    if (found == kernels.end()) throw std::runtime_error("there is no kernel " + name);
    const Body body = found->second(arguments);
    shim::Launch(grid, block, shared, cooperative != 0, schedule).run(body);
    for (auto& [id, memory] : memories) {
        if (!memory.whole()) throw std::runtime_error(name + " has written beyond a buffer");
    }
}

void serve(char request) {
    static uint64_t next = 0;
    std::vector<uint32_t> words;
    if (request == 'a') {
        const uint64_t count = receive<uint64_t>();
        memories.emplace(++next, Memory(count));
        send("o", 1);
        send(&next, sizeof next);
        return;
    }
    if (request == 'l') {
        launch();
    } else if (request == 'z') {
        Memory& zeroed = memory(receive<uint64_t>());
        std::fill(zeroed.begin(), zeroed.begin() + zeroed.words, 0u);
    } else if (request == 'u') {
        const auto id = receive<uint64_t>(), first = receive<uint64_t>();
        Memory& found = memory(id);
        if (first > found.words) throw std::runtime_error("a fill beyond a buffer");
        std::fill(found.begin() + first, found.begin() + found.words, POISON);
    } else if (request == 'w' || request == 'r') {
        const auto id = receive<uint64_t>(), first = receive<uint64_t>(), count = receive<uint64_t>();
        words.resize(count);
        if (request == 'w') receive(words.data(), 4 * count);
        Memory& found = memory(id);
        if (first + count > found.words) throw std::runtime_error("a copy beyond a buffer");
        if (request == 'w') std::copy(words.begin(), words.end(), found.begin() + first);
        else std::copy(found.begin() + first, found.begin() + first + count, words.begin());
        if (request == 'w') words.clear();
    } else {
        throw std::runtime_error("no such request");
    }
    send("o", 1);
    send(words.data(), 4 * words.size());
}

}  // namespace

int main() {
    for (char request; std::fread(&request, 1, 1, stdin) == 1;) {
        try {
            serve(request);
        } catch (const std::exception& error) {
            const std::string text = error.what();
            const uint32_t length = text.size();
            send("e", 1);
            send(&length, sizeof length);
            send(text.data(), length);
        }
        std::fflush(stdout);
    }
}
