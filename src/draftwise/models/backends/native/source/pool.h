// Threads that share out a pass piece by piece.
//
// One thread leads: it hands out a step of so many pieces, takes pieces itself, and goes on when all are done. The others take
// what is left. Nobody waits for a thread that has taken nothing, so a thread that the system has put aside costs its
// help and no more. Helpers stay awake for about a millisecond after the last step, then sleep.
#pragma once

#include "cores.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>

namespace draftwise {

inline void rest() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Pool {
  public:
    using Work = void (*)(void* argument, int64_t piece, int64_t pieces);

    // The one pool of the process, never destroyed: its threads end with the process. A forked process, which has none of
    // them, gets a pool of its own.
    static Pool& shared() {
        static Pool* pool = fresh(pool);
        return *pool;
    }

    // Takes the pool for one pass on `threads` threads.
    void enter(int64_t threads) {
        owner_.lock();
        while (static_cast<int64_t>(helpers_.size()) < threads - 1) {
            helpers_.emplace_back(&Pool::help, this, static_cast<int64_t>(helpers_.size()));
            helpers_.back().detach();
        }
        active_.store(threads - 1, std::memory_order_relaxed);
        threads_ = threads;
        leader_core_.store(current_core(), std::memory_order_relaxed);
        if (threads > 1 && asleep_.load() > 0) {
            std::lock_guard<std::mutex> guard(bed_);
            calls_++;
            alarm_.notify_all();
        }
    }

    void leave() { owner_.unlock(); }

    int64_t threads() const { return threads_; }

    // Runs work(argument, 0 .. pieces - 1, pieces) on all threads and returns when every piece is done.
    void run(Work work, void* argument, int64_t pieces) {
        if (threads_ == 1 || pieces == 1) {
            for (int64_t piece = 0; piece < pieces; piece++) work(argument, piece, pieces);
            return;
        }
        work_ = work;
        argument_ = argument;
        done_.store(0, std::memory_order_relaxed);
        step_ = (step_ + 1) & 0xffffff;
        ticket_.store(step_ << 40 | static_cast<uint64_t>(pieces) << 20, std::memory_order_release);
        while (take()) {
        }
        for (int spins = 0; done_.load(std::memory_order_acquire) < pieces; spins++) {
            if (spins < 20000) rest();
            else std::this_thread::yield();
        }
    }

  private:
    static Pool* fresh(Pool*& place) {
        static Pool** kept = &place;
        pthread_atfork(nullptr, nullptr, [] { *kept = new Pool; });
        return new Pool;
    }

    // The ticket holds the step, its pieces and the next piece, so a piece can only be taken of the step it belongs to.
    bool take() {
        uint64_t ticket = ticket_.load(std::memory_order_acquire);
        for (;;) {
            uint64_t pieces = ticket >> 20 & 0xfffff, next = ticket & 0xfffff;
            if (next >= pieces) return false;
            if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) {
                work_(argument_, static_cast<int64_t>(next), static_cast<int64_t>(pieces));
                done_.fetch_add(1, std::memory_order_release);
                return true;
            }
        }
    }

    void help(int64_t index) {
        leave_core(leader_core_.load(std::memory_order_relaxed));
        int idle = 0;
        for (;;) {
            if (index < active_.load(std::memory_order_relaxed) && take()) {
                avoid_leader();
                idle = 0;
            } else if (++idle < 20000) {
                if (idle % 256 == 0) avoid_leader();
                rest();
            } else {
                sleep();
                avoid_leader();
                idle = 0;
            }
        }
    }

    void avoid_leader() {
        int64_t core = leader_core_.load(std::memory_order_relaxed);
        if (core >= 0 && core == current_core()) leave_core(core);
    }

    void sleep() {
        std::unique_lock<std::mutex> guard(bed_);
        uint64_t heard = calls_;
        asleep_.fetch_add(1);
        alarm_.wait(guard, [&] { return calls_ != heard; });
        asleep_.fetch_sub(1);
    }

    std::mutex owner_;
    std::vector<std::thread> helpers_;
    int64_t threads_ = 1;
    uint64_t step_ = 0;
    Work work_ = nullptr;
    void* argument_ = nullptr;
    std::mutex bed_;
    std::condition_variable alarm_;
    uint64_t calls_ = 0;
    std::atomic<int64_t> active_{0};
    std::atomic<int64_t> leader_core_{-1};
    std::atomic<int> asleep_{0};
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<int64_t> done_{0};
};

// Runs step(piece, pieces) for every piece.
template <class Step>
void share(int64_t pieces, const Step& step) {
    Pool::shared().run(
        [](void* argument, int64_t piece, int64_t count) { (*static_cast<const Step*>(argument))(piece, count); },
        const_cast<Step*>(&step), pieces);
}

}  // namespace draftwise
