// kinetok sim: the group of the simulator's commands, or what a build without the simulator says.

#include "cli/sim.h"

namespace kinetok::cli {
namespace {

constexpr const char* kSummary = "A simulated robot: record demonstrations, run policies, ask about scenes";

#ifndef KINETOK_WITH_SIM
int NoSimulator() {
  Fail("this build has no simulator; it comes with the packages libmujoco-dev, libosmesa6-dev and libgif-dev");
}
#endif

}  // namespace

void AddSim(CLI::App& app, Common& common) {
#ifdef KINETOK_WITH_SIM
  CLI::App* group = app.add_subcommand("sim", kSummary);
  group->footer("Example:\n  kinetok sim run --expert --episodes 20");
  AddSimRecord(*group, common);
  AddSimRun(*group, common);
  AddSimAsk(*group, common);
  AddSimView(*group, common);
#else
  CLI::App* command = AddCommand(app, common, {"sim", kSummary, "kinetok sim run --expert --episodes 20"}, NoSimulator);
  command->allow_extras();
#endif
}

}  // namespace kinetok::cli
