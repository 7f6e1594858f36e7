#include "kinetok/vla/open_loop.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/vla/action_score.h"
#include "kinetok/vla/demonstration_examples.h"

namespace kinetok {

OpenLoopReport ScoreOpenLoop(Policy& policy, const DemonstrationFile& file, const OpenLoopOptions& options) {
  const ActionStatistics& statistics = policy.config().statistics.Choose(options.act.unnorm_key).second;
  const int64_t dimensions = statistics.dimensions();
  if (file.dimensions() != dimensions) {
    Fail("{}: actions have {} dimensions, the policy's have {}", file.path().string(), file.dimensions(), dimensions);
  }
  CheckDemonstrations(file);
  const auto& demonstrations = file.demonstrations();
  OpenLoopReport report;
  report.demonstrations = static_cast<int64_t>(demonstrations.size());
  if (options.limit > 0) report.demonstrations = std::min(report.demonstrations, options.limit);
  int64_t total = 0;
  for (int64_t d = 0; d < report.demonstrations; ++d) total += demonstrations[d].steps;
  report.l1_by_dimension.assign(static_cast<size_t>(dimensions), 0);

  const ActionTokenizer& tokenizer = policy.config().actions;
  ActionScore score(tokenizer, VaryingDimensions(statistics));
  for (int64_t d = 0; d < report.demonstrations; ++d) {
    for (int64_t step = 0; step < demonstrations[d].steps; ++step, ++report.steps) {
      if (options.progress) options.progress(report.steps, total);
      const Image image = policy.AsCamera(file.ReadImage(d, step));
      const Action action = policy.Act(image.view(), demonstrations[d].instruction, options.act);
      const auto shown = OpenIsOne(std::span(file.Actions(d)).subspan(step * dimensions, dimensions));
      const std::vector<double> normalized = statistics.Normalize(shown);
      for (int64_t i = 0; i < dimensions; ++i) {
        score.Add(i, action.tokens[i], tokenizer.Encode(normalized[i]));
        report.l1_by_dimension[i] += std::abs(action.values[i] - shown[i]);
      }
      report.actions.push_back(action.tokens);
    }
  }
  report.action_token_accuracy = score.accuracy();
  report.varying_token_accuracy = score.varying_accuracy();
  report.accuracy_by_dimension = score.accuracy_by_dimension();
  report.action_l1 = score.l1();
  for (double& l1 : report.l1_by_dimension) l1 /= static_cast<double>(report.steps);
  return report;
}

}  // namespace kinetok
