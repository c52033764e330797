// Eviction in place of plain K/V tensors, against memmove of as many bytes in the same run.
//
// Every row says: GB/s of rows moved (bytes that changed their place / time), the same for memmove
// (one piece, same threads, same memory), their ratio, and the most bytes allocated meanwhile. Times
// are the best of iterations in which memmove and the eviction take turns: what else runs on the
// machine can only add to a time. Before anything is timed
// the case is run on numbered rows and checked.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "allocation_meter.h"
#include "kvevict/dynamic_cache.h"
#include "kvevict/kv_buffer.h"
#include "kvevict/rerotate.h"
#include "kvevict/simple_evict.h"

namespace {

using kvevict::DynamicCache;
using kvevict::ElementType;
using kvevict::KeepSet;
using kvevict::KvBuffer;
using kvevict::KvLayout;
using kvevict::KvShape;
using kvevict::KvStrides;
using kvevict::KvView;

enum class Order { kHeadsFirst, kSeqFirst, kSeqInnermost };

struct Geometry {
  const char* name;
  int n_layers;
  KvShape shape;
  std::int64_t v_dim;
  Order order;
  std::array<const char*, 3> plans;
};

constexpr std::array kUsual{"256+512", "256+512+512_uniform", "alternate"};
constexpr std::array kLong{"256+half", "all_but_row_4", "alternate"};

constexpr Geometry kGeometries[] = {
    {"32x[1,8,16384,128]", 32, {1, 8, 16384, 128}, 128, Order::kHeadsFirst, kUsual},
    {"32x[1,16384,8,128]", 32, {1, 8, 16384, 128}, 128, Order::kSeqFirst, kUsual},
    {"16x[16,8,2048,128]", 16, {16, 8, 2048, 128}, 128, Order::kHeadsFirst, kUsual},
    {"1x[1,1,2097152,128]", 1, {1, 1, 2097152, 128}, 128, Order::kHeadsFirst, kLong},
    {"60x[1,1,16384,576]_mla", 60, {1, 1, 16384, 576}, 0, Order::kHeadsFirst, kUsual},
    {"8x[1,8,128,16384]_seq_innermost", 8, {1, 8, 16384, 128}, 128, Order::kSeqInnermost, kUsual},
};

KeepSet keep_of(const std::string& plan, std::int64_t n) {
  if (plan == "256+512") return kvevict::build_simple_keep_token_idx(n, 128, {256, 512, "none", 0, 0});
  if (plan == "256+512+512_uniform")
    return kvevict::build_simple_keep_token_idx(n, 128, {256, 512, "uniform", 512, 0});
  if (plan == "256+half") return kvevict::build_simple_keep_token_idx(n, 128, {256, n / 2, "none", 0, 0});
  if (plan == "all_but_row_4") return KeepSet::from_ranges({{0, 4}, {5, n}});
  KeepSet keep;
  for (std::int64_t i = 0; i < n; i += 2) keep.append(i, i + 1);
  return keep;
}

KvStrides strides_of(const KvShape& shape, Order order) {
  if (order == Order::kHeadsFirst) return dense_strides(shape, KvLayout::kHeadsFirst);
  if (order == Order::kSeqFirst) return dense_strides(shape, KvLayout::kSeqFirst);
  return {shape.kv_heads * shape.head_dim * shape.seq, shape.head_dim * shape.seq, 1, shape.seq};
}

std::int64_t bytes_of(const KvShape& shape) {
  return 2 * shape.batch * shape.kv_heads * shape.seq * shape.head_dim;
}

/// All tensors of a geometry, one behind the other in one piece of touched memory.
class Arena {
 public:
  explicit Arena(const Geometry& geometry) : geometry_(geometry) {
    v_shape_ = geometry.shape;
    v_shape_.head_dim = geometry.v_dim;
    n_bytes_ = geometry.n_layers * (bytes_of(geometry.shape) + bytes_of(v_shape_));
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, static_cast<std::size_t>(n_bytes_))));
    if (!memory_) throw std::runtime_error("not enough memory for the benchmark");
    std::memset(memory_.get(), 1, static_cast<std::size_t>(n_bytes_));
  }

  [[nodiscard]] std::byte* data() const { return memory_.get(); }
  [[nodiscard]] std::int64_t size() const { return n_bytes_; }

  /// The cache as it is before the eviction.
  [[nodiscard]] DynamicCache cache() const {
    DynamicCache cache;
    std::byte* at = memory_.get();
    for (int layer = 0; layer < geometry_.n_layers; ++layer) {
      const KvView k(at, ElementType::kBf16, geometry_.shape, strides_of(geometry_.shape, geometry_.order));
      at += bytes_of(geometry_.shape);
      const KvView v(at, ElementType::kBf16, v_shape_, strides_of(v_shape_, geometry_.order));
      at += bytes_of(v_shape_);
      cache.add_layer(k, v, geometry_.shape.seq);
    }
    return cache;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  Geometry geometry_;
  KvShape v_shape_;
  std::int64_t n_bytes_ = 0;
  std::unique_ptr<std::byte, Free> memory_;
};

/// Fills every tensor with its row numbers, or checks that they are those that stay.
template <typename Visit>
void for_each_row(const KvView& view, const Visit& visit) {
  if (view.shape().head_dim == 0) return;
  for (std::int64_t b = 0; b < view.shape().batch; ++b) {
    for (std::int64_t h = 0; h < view.shape().kv_heads; ++h) {
      for (std::int64_t t = 0; t < view.shape().seq; ++t) {
        for (const std::int64_t d : {std::int64_t{0}, view.shape().head_dim - 1}) {
          visit(t, reinterpret_cast<std::uint16_t*>(view.row(b, h, t) + 2 * d * view.strides().head_dim));
        }
      }
    }
  }
}

void check(const Arena& arena, const KeepSet& keep, int n_threads) {
  DynamicCache cache = arena.cache();
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    for (const KvView& view : {cache.k(layer), cache.v(layer)}) {
      for_each_row(view,
                   [](std::int64_t t, std::uint16_t* at) { *at = static_cast<std::uint16_t>(t * 40503); });
    }
  }
  evict_dynamic_cache_inplace(cache, keep, {.n_threads = n_threads});
  const auto kept = keep.to_indices();
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    for (const KvView& view : {cache.k(layer), cache.v(layer)}) {
      for_each_row(view, [&](std::int64_t t, const std::uint16_t* at) {
        if (*at != static_cast<std::uint16_t>(kept[static_cast<std::size_t>(t)] * 40503)) {
          throw std::runtime_error("a row is not where it should be");
        }
      });
    }
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// From the arena's end to its begin, a share for each thread.
void memmove_bytes(const Arena& arena, std::int64_t n_bytes, int n_threads) {
  std::byte* const to = arena.data();
  const std::byte* const from = arena.data() + (arena.size() - n_bytes);
  std::vector<std::thread> threads;
  const auto part = [&](int i) {
    const std::int64_t begin = n_bytes * i / n_threads, end = n_bytes * (i + 1) / n_threads;
    std::memmove(to + begin, from + begin, static_cast<std::size_t>(end - begin));
  };
  for (int i = 1; i < n_threads; ++i) threads.emplace_back(part, i);
  part(0);
  for (std::thread& thread : threads) thread.join();
}

double best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

void evict(benchmark::State& state, const Geometry& geometry, const std::string& plan, int n_threads) {
  const Arena arena(geometry);
  const KeepSet keep = keep_of(plan, geometry.shape.seq);
  check(arena, keep, n_threads);
  std::vector<double> move_seconds, memmove_seconds;
  std::int64_t n_bytes = 0, extra_bytes = 0;
  {
    DynamicCache cache = arena.cache();
    n_bytes = evict_dynamic_cache_inplace(cache, keep, {.n_threads = n_threads}).bytes_moved;
  }
  for (auto _ : state) {
    memmove_seconds.push_back(seconds_of([&] { memmove_bytes(arena, n_bytes, n_threads); }));
    DynamicCache cache = arena.cache();
    bench::start_metering();
    move_seconds.push_back(
        seconds_of([&] { evict_dynamic_cache_inplace(cache, keep, {.n_threads = n_threads}); }));
    extra_bytes = std::max(extra_bytes, bench::peak_bytes());
    state.SetIterationTime(move_seconds.back());
  }
  const double move = best(move_seconds), reference = best(memmove_seconds);
  state.counters["MB_moved"] = static_cast<double>(n_bytes) / 1e6;
  state.counters["GB_per_s"] = static_cast<double>(n_bytes) / move / 1e9;
  state.counters["memmove_GB_per_s"] = static_cast<double>(n_bytes) / reference / 1e9;
  state.counters["ratio_to_memmove"] = reference / move;
  state.counters["extra_bytes"] = static_cast<double>(extra_bytes);
  state.counters["best_ms"] = move * 1e3;
}

/// The whole of it for a cache that owns its memory: rows moved, pages given back, keys rotated.
void evict_owned(benchmark::State& state, bool rerotated) {
  const KvShape shape{1, 8, 16384, 128};
  const KeepSet keep = keep_of("256+512", shape.seq);
  std::vector<double> seconds;
  std::int64_t before = 0, after = 0;
  for (auto _ : state) {
    DynamicCache cache;
    for (int layer = 0; layer < 32; ++layer) {
      KvBuffer k(ElementType::kBf16, shape), v(ElementType::kBf16, shape);
      for (const KvBuffer* buffer : {&k, &v})
        std::memset(buffer->view().data(), 0, static_cast<std::size_t>(bytes_of(shape)));
      cache.add_layer(std::move(k), std::move(v), shape.seq);
    }
    before = cache.resident_bytes();
    seconds.push_back(seconds_of([&] {
      evict_dynamic_cache_inplace(cache, keep);
      if (rerotated) rerotate(cache, {});
    }));
    after = cache.resident_bytes();
    state.SetIterationTime(seconds.back());
  }
  state.counters["best_ms"] = best(seconds) * 1e3;
  state.counters["resident_MB_before"] = static_cast<double>(before) / 1e6;
  state.counters["resident_MB_after"] = static_cast<double>(after) / 1e6;
}

void build_plan(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        kvevict::build_simple_keep_token_idx(1 << 20, 128, {256, 512, "uniform", 65536, 0}));
  }
}

void register_all() {
  const int n_processors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::vector<int> thread_counts{1};
  if (n_processors > 1) thread_counts.push_back(n_processors);
  for (const Geometry& geometry : kGeometries) {
    for (const char* plan : geometry.plans) {
      for (const int n_threads : thread_counts) {
        const std::string name =
            std::string("evict/") + geometry.name + "/" + plan + "/threads:" + std::to_string(n_threads);
        benchmark::RegisterBenchmark(name.c_str(), evict, geometry, plan, n_threads)
            ->UseManualTime()
            ->Iterations(9)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  for (const bool rerotated : {false, true}) {
    benchmark::RegisterBenchmark(rerotated ? "owned/evict_and_rerotate" : "owned/evict", evict_owned,
                                 rerotated)
        ->UseManualTime()
        ->Iterations(3)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("plan/1048576_tokens", build_plan)->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
