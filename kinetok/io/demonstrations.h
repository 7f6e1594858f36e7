// Robot demonstrations in HDF5, in the layout of LIBERO (Liu et al. 2023) and robomimic (Mandlekar et al. 2021):
//
//   data                       attributes: problem_info (JSON with "language_instruction"), env_args (JSON), num_demos,
//                              total (steps), ...
//   data/demo_0                attributes: num_samples (steps); language_instruction where it is not the file's;
//                              init_state, the first of `states`
//   data/demo_0/actions        [steps, dimensions] float64; LIBERO's gripper is -1 open, 1 closed
//   data/demo_0/states         [steps, ...] float64, the simulator's own
//   data/demo_0/rewards, dones [steps] uint8: 0, and 1 at the last step, rewards only if it succeeded
//   data/demo_0/obs/<camera>   [steps, height, width, 3] uint8
//   data/demo_0/obs/ee_pos ... [steps, ...] float64: what else was observed
//
// Read are the instructions, the actions and one camera; the rest may be absent. Written is all of it.
//
// The files are parsed by the HDF5 library; a build without it throws Error from every constructor here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/io/image.h"

namespace kinetok {

inline constexpr std::string_view kDefaultCamera = "agentview_rgb";

// Whether this build reads and writes HDF5.
bool HasHdf5();

struct DemonstrationInfo {
  std::string name;         // "demo_0"
  std::string instruction;  // never empty
  int64_t steps = 0;
  int64_t width = 0, height = 0;  // of its images
};

// A file that is open for reading. Actions are held in memory, images stay on the disk: however long the file, reading
// it takes some 25 MB more than its actions. Thread-safe: calls wait for each other, as the HDF5 library asks for.
class DemonstrationFile {
 public:
  // Checks every demonstration's groups, shapes and types, that what they declare is in the file, and that its actions
  // are finite and take at most 1 GiB. Throws Error naming the file, the demonstration and the dataset that is absent,
  // of another type, or of another length than `actions`.
  explicit DemonstrationFile(const std::filesystem::path& path, std::string_view camera = kDefaultCamera);
  ~DemonstrationFile();
  DemonstrationFile(DemonstrationFile&&) noexcept;

  const std::filesystem::path& path() const;
  const std::vector<DemonstrationInfo>& demonstrations() const;  // demo_2 before demo_10
  int64_t Find(std::string_view name) const;                     // -1 when there is none of that name
  int64_t dimensions() const;                                    // of an action
  // By how much the images are turned from upright, in degrees: the attribute image_rotation of `data`, 180 for
  // LIBERO's own files, which lack it (OpenVLA turns those too), and 0 otherwise.
  int image_rotation() const;

  const std::vector<double>& Actions(int64_t demonstration) const;     // [steps * dimensions], as stored
  Image ReadImage(int64_t demonstration, int64_t step) const;          // upright
  Json Attribute(int64_t demonstration, std::string_view name) const;  // text, parsed as JSON; null when absent

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct Demonstration {
  std::string instruction;
  std::vector<Image> images;                                  // one a step, all of one size
  std::vector<double> actions;                                // [steps * dimensions]
  std::vector<double> states{};                               // [steps * n]; may be empty
  bool success = true;                                        // whether its last step reached what was asked
  std::map<std::string, std::vector<double>> observations{};  // [steps * n] by name, beside the camera's images
  OrderedJson attributes = OrderedJson::object();  // more attributes of the demonstration, stored as JSON text
};

// Writes demo_0, demo_1, ... into a file that appears, whole, with Finish. Images are compressed (deflate), a step a
// chunk.
class DemonstrationWriter {
 public:
  // `attributes` become attributes of `data`, stored as JSON text (strings as they are). The instruction of all
  // demonstrations is added to its problem_info, an object; when they have several, problem_info says so. Throws Error
  // naming the file when it cannot be written, here and below.
  DemonstrationWriter(const std::filesystem::path& path, const OrderedJson& attributes,
                      std::string_view camera = kDefaultCamera);
  ~DemonstrationWriter();  // without Finish, nothing is left behind

  // Throws Error also when what the demonstration holds is not as much for every step.
  void Add(const Demonstration& demonstration);
  void Finish();
  int64_t written() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kinetok
