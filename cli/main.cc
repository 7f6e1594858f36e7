// The command line: picks a command, runs it, and turns failures into one line on stderr and an exit status.

#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <new>

#include "cli/cli.h"
#include "kinetok/model/presets.h"

namespace kinetok::cli {
namespace {

constexpr int kFailure = 1, kWrongUsage = 2;

int Report(std::string message, int status) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  Note("kinetok: error: " + message + "\n");
  return status;
}

// The innermost command that was named.
CLI::App& Chosen(CLI::App& app) {
  CLI::App* chosen = &app;
  while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
  return *chosen;
}

// What is wrong with the words that no flag or command took, and the nearest that would have been.
std::string DescribeUnexpected(CLI::App& app) {
  CLI::App& command = Chosen(app);
  std::vector<std::string> words = app.remaining(true), names;
  std::string word = words.empty() ? "" : words.front(), what = "argument";
  for (const std::string& w : words) {
    if (w.starts_with("-")) {
      word = w.substr(0, w.find('='));
      what = "flag";
      break;
    }
  }
  if (what == "flag") {
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : command.get_subcommands([](CLI::App*) { return true; }))
      names.push_back(sub->get_name());
    if (!names.empty()) what = "command";
  }
  const std::string nearest = NearestName(word, names);
  std::string path = "kinetok";
  for (const CLI::App* at = &app; at != &command;) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return fmt::format("unknown {} \"{}\"{}; {} --help lists what there is", what, word,
                     nearest.empty() ? "" : fmt::format(", did you mean \"{}\"?", nearest), path);
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, told like any other
  CLI::App app("Kinetok predicts the next token: it trains and runs GPT-2 and Llama 2 style models on CPUs.",
               "kinetok");
  app.footer("Example:\n  kinetok generate --model models/writer --prompt \"ROMEO:\"");
  app.set_version_flag("--version", "kinetok " KINETOK_VERSION);
  Common common;
  AddGenerate(app, common);
  AddAct(app, common);
  AddServe(app, common);
  AddTrain(app, common);
  AddFinetune(app, common);
  AddFillMask(app, common);
  AddEmbed(app, common);
  AddTokenize(app, common);
  AddTokenizer(app, common);
  AddLogits(app, common);
  AddInit(app, common);
  AddInspect(app, common);
  AddConvert(app, common);
  AddPerplexity(app, common);
  AddEval(app, common);
  AddExplain(app, common);
  AddSim(app, common);
  AddBench(app, common);
  try {
    app.parse(argc, argv);
    if (!common.run) {
      Note(Chosen(app).help());
      return kWrongUsage;
    }
    return common.run();
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    return Report(DescribeUnexpected(app), kWrongUsage);
  } catch (const CLI::ParseError& error) {
    return Report(error.what(), kWrongUsage);
  } catch (const UsageError& error) {
    return Report(error.what(), kWrongUsage);
  } catch (const std::bad_alloc&) {
    return Report("out of memory", kFailure);
  } catch (const std::exception& error) {
    return Report(error.what(), kFailure);
  }
}

}  // namespace
}  // namespace kinetok::cli

int main(int argc, char** argv) {
  return kinetok::cli::Main(argc, argv);
}
