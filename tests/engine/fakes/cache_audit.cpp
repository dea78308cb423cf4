#include "tests/engine/fakes/cache_audit.h"

#include <map>

#include "engine/cache/prefix_index.h"

namespace krait::test {
namespace {

/// Items of one pool, with how many requests hold each.
using Holders = std::map<std::int32_t, int>;

void hold(Holders& holders, std::int32_t item) {
  if (item != 0) ++holders[item];
}

class Audit {
 public:
  Audit(const Scheduler& scheduler, CachePools& pools) : scheduler_(scheduler), pools_(pools) {}

  std::vector<std::string> run() {
    for (const RequestState* request : scheduler_.queues().waiting) check_waiting(*request);
    std::size_t bytes = 0;
    for (std::size_t group = 0; group < pools_.layout().kv_groups.size(); ++group) {
      Holders holders;
      for (const RequestState* request : scheduler_.queues().running) {
        // One that was admitted and has not had a step yet has no tables.
        if (request->cache.pages().empty()) continue;
        for (const std::int32_t page : request->cache.pages()[group]) hold(holders, page);
      }
      check_pool(pools_.pages(group), holders, "pages of group " + std::to_string(group));
      bytes += static_cast<std::size_t>(pools_.pages(group).used()) * pools_.pages(group).item_bytes();
    }
    if (pools_.slots() != nullptr) {
      Holders holders;
      for (const RequestState* request : scheduler_.queues().running) hold_slots(request->cache, holders);
      std::int64_t listed = check_pool(*pools_.slots(), holders, "slots");
      if (pools_.packs_snapshots()) {
        expect(listed == 0, "a slot is listed, though snapshots are packed");
        // None is held for longer than it takes to admit a request.
        listed = check_pool(*pools_.snapshots(), {}, "snapshots");
        bytes += static_cast<std::size_t>(pools_.snapshots()->used()) * pools_.snapshots()->item_bytes();
      }
      bytes += static_cast<std::size_t>(pools_.slots()->used()) * pools_.slots()->item_bytes();
      const std::int64_t snapshots = pools_.prefix_index() == nullptr ? 0 : pools_.prefix_index()->stats().snapshots;
      expect(listed == snapshots, std::to_string(listed) + " states are listed for " + std::to_string(snapshots) +
                                      " snapshots of the index");
    }
    expect(bytes == pools_.budget().used(), "the budget counts " + std::to_string(pools_.budget().used()) +
                                                " bytes, the items in use have " + std::to_string(bytes));
    expect(bytes <= pools_.budget().total(), "more bytes are in use than there are");
    return wrong_;
  }

 private:
  void expect(bool holds, const std::string& what) {
    if (!holds) wrong_.push_back(what);
  }

  void check_waiting(const RequestState& request) {
    Holders holders;
    hold_slots(request.cache, holders);
    for (const auto& pages : request.cache.pages()) {
      for (const std::int32_t page : pages) hold(holders, page);
    }
    expect(holders.empty(), "a waiting request holds memory");
  }

  static void hold_slots(const RequestCache& cache, Holders& holders) {
    hold(holders, cache.state_read());
    if (cache.state_write() != cache.state_read()) hold(holders, cache.state_write());
    hold(holders, cache.recent());
  }

  /// Returns how many items the index lists.
  std::int64_t check_pool(const ItemPool& pool, const Holders& holders, const std::string& name) {
    std::int64_t listed = pool.idle();
    for (const auto& [item, count] : holders) {
      expect(pool.users(item) == count, name + ": item " + std::to_string(item) + " has " +
                                            std::to_string(pool.users(item)) + " users on its count, but " +
                                            std::to_string(count) + " requests hold it");
      listed += pool.is_listed(item) ? 1 : 0;
    }
    const auto held = static_cast<std::int64_t>(holders.size());
    expect(pool.used() - pool.idle() == held, name + ": " + std::to_string(pool.used() - pool.idle()) +
                                                  " are counted as held by requests, which hold " +
                                                  std::to_string(held));
    return listed;
  }

  const Scheduler& scheduler_;
  CachePools& pools_;
  std::vector<std::string> wrong_;
};

}  // namespace

std::vector<std::string> audit_caches(const Scheduler& scheduler, CachePools& pools) {
  return Audit(scheduler, pools).run();
}

}  // namespace krait::test
