// A whole round at temperature 0: drafting, the target's pass, the verdict, and what is committed.
//
// The plain twin is `advance` of decoding/loop.py with its drafters and verifiers. A pass streams a model's weights through the
// caches, so whatever runs between two passes runs cold; here that is little code.
#pragma once

#include "forward.h"

#include <chrono>

namespace draftwise {

// A model with its cache, and which ids it may write.
struct Side {
    const Model* model;
    void* workspace;
    void* cache;
    int64_t capacity, threads;
    int64_t vocabulary;     // ids below it are known
    const int64_t* absent;  // and of those these are not
    int64_t absents;
    int64_t reach;          // the length from which on a row isn't drafted for
};

struct Policy {
    int64_t most;      // drafted tokens; 0: none
    double fallback;   // drafting ends before a token whose probability is below it; below 0: never
    double rollback;   // a token stands while -log p is no more than this; below 0: while it is the target's own choice
};

struct Lines {
    int64_t* ids;      // [batch, places]
    int64_t* lengths;  // [batch]
    int64_t* left;     // [batch], tokens that a row may still get
    const int64_t* stops;
    int64_t batch, places, stop_count, fresh;
};

// What a round did: of each row emitted, accepted, drafted, left, length and the block, [batch, 5 + most + 1]; what was
// guessed, [batch, most]; the draft's passes, and the parts' nanoseconds.
struct Outcome {
    int64_t *columns, *guesses;
    int64_t passes, draft_ns, verify_ns, judge_ns;
    int64_t numbers;  // 0 where a row's last logits are none
};

inline int64_t now() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

// The largest logit, and the lowest id that has it.
struct Best {
    float value;
    int64_t id;
};

inline Best best_of(const float* logits, int64_t count) {
    Floats top = spread(-INFINITY);
    Ints where = {}, places = lanes();
    int64_t at = 0;
    for (; at + LANES <= count; at += LANES, places += LANES) {
        Floats values = load(logits + at);
        Ints higher = values > top;
        top = select(higher, values, top);
        where = (places & higher) | (where & ~higher);
    }
    Best best = {-INFINITY, 0};
    for (int lane = 0; lane < LANES; lane++)
        if (top[lane] > best.value || (top[lane] == best.value && where[lane] < best.id)) best = {top[lane], where[lane]};
    for (; at < count; at++)
        if (logits[at] > best.value) best = {logits[at], at};
    return best;
}

// The sum of e^(x - largest).
inline double mass_of(const float* logits, int64_t count, float largest) {
    Floats total = {};
    int64_t at = 0;
    for (; at + LANES <= count; at += LANES) total += exponential(load(logits + at) - largest);
    double mass = sum(total);
    for (; at < count; at++) mass += std::exp(logits[at] - largest);
    return mass;
}

inline bool any_nan(const float* logits, int64_t count) {
    Ints none = {};
    int64_t at = 0;
    for (; at + LANES <= count; at += LANES) {
        Floats values = load(logits + at);
        none |= values != values;
    }
    bool found = false;
    for (int lane = 0; lane < LANES; lane++) found = found || none[lane];
    for (; at < count; at++) found = found || logits[at] != logits[at];
    return found;
}

class Round {
  public:
    Round(const Side& target, const Side& draft, const Policy& policy, const Lines& lines, Outcome& outcome)
        : target_(target), draft_(draft), policy_(policy), lines_(lines), outcome_(outcome),
          guesses_(outcome.guesses), wanted_(lines.batch), counts_(lines.batch) {}

    void run() {
        int64_t began = now();
        propose();
        int64_t drafted = now();
        verify();
        int64_t verified = now();
        commit();
        outcome_.draft_ns = drafted - began, outcome_.verify_ns = verified - drafted, outcome_.judge_ns = now() - verified;
    }

  private:
    // ---- drafting ----

    void propose() {
        int64_t widest = 0;
        for (int64_t row = 0; row < lines_.batch; row++) {
            int64_t room = std::min(lines_.left[row] - 1, draft_.reach - lines_.lengths[row]);
            wanted_[row] = std::min(policy_.most, std::max<int64_t>(0, room));
            counts_[row] = wanted_[row];
            widest = std::max(widest, wanted_[row]);
        }
        width_ = 0;
        for (int64_t place = 0; place < widest; place++) {
            const float* logits = pass_draft(place);
            outcome_.passes++;
            if (policy_.fallback >= 0 && !stop_unsure(logits, place)) return;
            width_ = place + 1;
            if (!guess(logits, place)) return;
        }
    }

    // Logits [batch, V] after the row's last token and what is guessed so far.
    const float* pass_draft(int64_t place) {
        // After a full acceptance the cache lacks the draft's own last token, so the first pass feeds the last two.
        int64_t steps = place > 0 || lines_.fresh ? 1 : 2;
        feed_.resize(lines_.batch * steps);
        starts_.resize(lines_.batch);
        for (int64_t row = 0; row < lines_.batch; row++) {
            int64_t length = lines_.lengths[row];
            starts_[row] = place > 0 ? length + place - 1 : length - steps;
            for (int64_t step = 0; step < steps; step++)
                feed_[row * steps + step] = place > 0 ? guesses_[row * policy_.most + place - 1]
                                                      : lines_.ids[row * lines_.places + length - steps + step];
        }
        return pass(draft_, steps, 1);
    }

    // Ends the rows that are unsure here; says whether any row goes on.
    bool stop_unsure(const float* logits, int64_t place) {
        bool on = false;
        for (int64_t row = 0; row < lines_.batch; row++) {
            const float* values = logits + row * draft_.model->vocabulary;
            Best best = best_of(values, draft_.vocabulary);
            bool sure = 1.0 / mass_of(values, draft_.vocabulary, best.value) >= policy_.fallback;
            if (!sure) counts_[row] = std::min(counts_[row], place), wanted_[row] = std::min(wanted_[row], place);
            on = on || wanted_[row] > place;
        }
        return on;
    }

    // Takes each row's most likely token; says whether any row goes on.
    bool guess(const float* logits, int64_t place) {
        bool on = false;
        for (int64_t row = 0; row < lines_.batch; row++) {
            int64_t token = best_of(logits + row * draft_.model->vocabulary, draft_.vocabulary).id;
            guesses_[row * policy_.most + place] = token;
            if (stops(token)) counts_[row] = std::min(counts_[row], place + 1), wanted_[row] = std::min(wanted_[row], place + 1);
            on = on || wanted_[row] > place + 1;
        }
        return on;
    }

    // ---- the target ----

    void verify() {
        int64_t steps = width_ + 1;
        feed_.resize(lines_.batch * steps);
        starts_.resize(lines_.batch);
        for (int64_t row = 0; row < lines_.batch; row++) {
            starts_[row] = lines_.lengths[row] - 1;
            feed_[row * steps] = lines_.ids[row * lines_.places + lines_.lengths[row] - 1];
            for (int64_t place = 0; place < width_; place++) feed_[row * steps + place + 1] = guesses_[row * policy_.most + place];
        }
        logits_ = pass(target_, steps, steps);
    }

    const float* logits_of(int64_t row, int64_t place) const {
        return logits_ + (row * (width_ + 1) + place) * target_.model->vocabulary;
    }

    // How many of a row's guesses stand, and the target's own token after them.
    int64_t judge(int64_t row, int64_t& next) const {
        int64_t place = 0, drafted = std::min(counts_[row], width_);
        for (;; place++) {
            Best best = best_of(logits_of(row, place), target_.vocabulary);
            next = best.id;
            if (place >= drafted || !stands(row, place, best)) return place;
        }
    }

    bool stands(int64_t row, int64_t place, const Best& best) const {
        int64_t token = guesses_[row * policy_.most + place];
        if (policy_.rollback < 0) return token == best.id;
        const float* logits = logits_of(row, place);
        double surprise = std::log(mass_of(logits, target_.vocabulary, best.value)) - (logits[token] - best.value);
        return !(surprise > policy_.rollback);
    }

    // ---- the end of a round ----

    void commit() {
        bool over = true;
        for (int64_t row = 0; row < lines_.batch; row++) over = commit_row(row) && over;
        outcome_.numbers = 1;
        if (over) outcome_.numbers = !any_nan(logits_, lines_.batch * (width_ + 1) * target_.model->vocabulary);
    }

    // Writes a row's whole block, of which only what is emitted has a meaning; says whether the row is over.
    bool commit_row(int64_t row) {
        int64_t* column = outcome_.columns + row * (5 + policy_.most + 1);
        int64_t* block = column + 5;
        int64_t next, accepted = judge(row, next), left = lines_.left[row], length = lines_.lengths[row];
        for (int64_t place = 0; place < width_; place++) block[place] = guesses_[row * policy_.most + place];
        block[accepted] = next;
        int64_t emitted = std::min(accepted + 1, left), end = 0;
        while (end < emitted && !stops(block[end])) end++;
        bool ended = end < emitted;
        if (ended) emitted = end + 1;
        left = ended ? 0 : left - emitted;
        std::memcpy(lines_.ids + row * lines_.places + length, block, (width_ + 1) * sizeof(int64_t));
        lines_.left[row] = left;
        lines_.lengths[row] = length + emitted;
        column[0] = emitted, column[1] = accepted, column[2] = std::min(counts_[row], width_);
        column[3] = left, column[4] = length + emitted;
        return left == 0;
    }

    bool stops(int64_t token) const {
        for (int64_t index = 0; index < lines_.stop_count; index++)
            if (lines_.stops[index] == token) return true;
        return false;
    }

    // Runs a pass over `feed_` and rules out the ids that the model may not write.
    const float* pass(const Side& side, int64_t steps, int64_t keep) {
        Workspace& work = *static_cast<Workspace*>(side.workspace);
        int64_t count = lines_.batch * keep, size = side.model->vocabulary;
        float* logits = work.logits_for(count * size);
        Request request = {feed_.data(), starts_.data(), lines_.batch, steps, keep, side.cache, side.capacity, logits};
        forward(*side.model, work, request, side.threads);
        for (int64_t row = 0; row < count; row++)
            for (int64_t index = 0; index < side.absents; index++) logits[row * size + side.absent[index]] = -INFINITY;
        return logits;
    }

    const Side &target_, &draft_;
    const Policy& policy_;
    const Lines& lines_;
    Outcome& outcome_;
    int64_t* guesses_;
    std::vector<int64_t> wanted_, counts_, feed_, starts_;
    const float* logits_ = nullptr;
    int64_t width_ = 0;
};

}  // namespace draftwise
