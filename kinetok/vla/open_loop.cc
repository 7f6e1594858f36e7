#include "kinetok/vla/open_loop.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/vla/demonstration_examples.h"

namespace kinetok {

OpenLoopReport ScoreOpenLoop(Policy& policy, const DemonstrationFile& file, const OpenLoopOptions& options) {
  const ActionStatistics& statistics = policy.config().statistics.Choose(options.act.unnorm_key).second;
  const int64_t dimensions = statistics.dimensions();
  if (file.dimensions() != dimensions) {
    Fail("{}: actions have {} dimensions, the policy's have {}", file.path().string(), file.dimensions(), dimensions);
  }
  const auto& demonstrations = file.demonstrations();
  OpenLoopReport report;
  report.demonstrations = static_cast<int64_t>(demonstrations.size());
  if (options.limit > 0) report.demonstrations = std::min(report.demonstrations, options.limit);
  int64_t total = 0;
  for (int64_t d = 0; d < report.demonstrations; ++d) total += demonstrations[d].steps;
  report.l1_by_dimension.assign(static_cast<size_t>(dimensions), 0);

  const ActionTokenizer& tokenizer = policy.config().actions;
  int64_t hits = 0;
  for (int64_t d = 0; d < report.demonstrations; ++d) {
    for (int64_t step = 0; step < demonstrations[d].steps; ++step, ++report.steps) {
      if (options.progress) options.progress(report.steps, total);
      const Image image = policy.AsCamera(file.ReadImage(d, step));
      const Action action = policy.Act(image.view(), demonstrations[d].instruction, options.act);
      const auto shown = OpenIsOne(std::span(file.Actions(d)).subspan(step * dimensions, dimensions));
      const std::vector<double> normalized = statistics.Normalize(shown);
      for (int64_t i = 0; i < dimensions; ++i) {
        const int32_t label = tokenizer.Encode(normalized[i]);
        hits += action.tokens[i] == label ? 1 : 0;
        report.action_l1 += std::abs(action.normalized[i] - tokenizer.Decode(label));
        report.l1_by_dimension[i] += std::abs(action.values[i] - shown[i]);
      }
      report.actions.push_back(action.tokens);
    }
  }
  const auto steps = static_cast<double>(report.steps), values = steps * static_cast<double>(dimensions);
  report.action_token_accuracy = static_cast<double>(hits) / values;
  report.action_l1 /= values;
  for (double& l1 : report.l1_by_dimension) l1 /= steps;
  return report;
}

}  // namespace kinetok
