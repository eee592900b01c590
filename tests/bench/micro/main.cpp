// Times the micro-benchmarks with Google Benchmark: fanwire_micro [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include "cases.h"

int main(int argc, char** argv) {
    for (const fanwire::bench::Case& one : fanwire::bench::cases()) {
        benchmark::RegisterBenchmark(one.name.c_str(), [&one](benchmark::State& state) {
            const std::function<void()> body = one.make();
            for (auto _ : state) body();
            const auto units = static_cast<double>(one.units) * static_cast<double>(state.iterations());
            state.counters["each"] =
                benchmark::Counter(units, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
            state.counters["per_second"] = benchmark::Counter(units, benchmark::Counter::kIsRate);
        })->MeasureProcessCPUTime();  // the IO thread's too
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
