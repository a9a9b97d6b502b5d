// Which core a thread runs on. A helper that shares the leader's core is of no use, and schedulers that save power, or
// pack the cores of a virtual machine, leave it there for long.
#pragma once

#include <cstdint>

#if defined(__linux__)
#include <cstdlib>
#include <dirent.h>
#include <sched.h>
#endif

namespace draftwise {

#if defined(__linux__)

inline int64_t current_core() { return sched_getcpu(); }

// The cores of all the process's threads together: a caller that is bound to one core tells nothing of the others.
inline cpu_set_t process_cores() {
    cpu_set_t together;
    CPU_ZERO(&together);
    DIR* tasks = opendir("/proc/self/task");
    while (dirent* task = tasks ? readdir(tasks) : nullptr) {
        cpu_set_t cores;
        int id = std::atoi(task->d_name);
        if (id > 0 && sched_getaffinity(id, sizeof cores, &cores) == 0) CPU_OR(&together, &together, &cores);
    }
    if (tasks) closedir(tasks);
    return together;
}

// Moves the calling thread to any of the process's cores but one.
inline void leave_core(int64_t core) {
    cpu_set_t cores = process_cores();
    CPU_CLR(core, &cores);
    if (CPU_COUNT(&cores) > 0) sched_setaffinity(0, sizeof cores, &cores);
}

#else

inline int64_t current_core() { return -1; }
inline void leave_core(int64_t) {}

#endif

}  // namespace draftwise
