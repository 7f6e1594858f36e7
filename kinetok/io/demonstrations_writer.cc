#include <array>
#include <optional>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/demonstrations.h"
#include "kinetok/io/hdf5_handle.h"

namespace kinetok {

using hdf5::Handle;
using hdf5::Lock;

namespace {

constexpr unsigned kDeflateLevel = 3;
// What problem_info, LIBERO's place for a file's one instruction, says of a file with several.
constexpr std::string_view kSeveralInstructions = "several: each demonstration's attribute language_instruction";

bool WriteText(hid_t at, const std::string& name, const std::string& text) {
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  if (H5Tset_size(type.get(), H5T_VARIABLE) < 0 || H5Tset_cset(type.get(), H5T_CSET_UTF8) < 0) return false;
  const Handle attribute(H5Acreate2(at, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const char* data = text.c_str();
  return attribute && H5Awrite(attribute.get(), type.get(), &data) >= 0;
}

bool WriteInteger(hid_t at, const std::string& name, int64_t value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(at, name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  return attribute && H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value) >= 0;
}

bool WriteAttributes(hid_t at, const OrderedJson& attributes) {
  for (const auto& [name, value] : attributes.items()) {
    const bool ok = value.is_number_integer()
                        ? WriteInteger(at, name, value.get<int64_t>())
                        : WriteText(at, name, value.is_string() ? value.get<std::string>() : value.dump());
    if (!ok) return false;
  }
  return true;
}

// How a dataset is made. It bears no time: the same demonstrations are the same bytes.
Handle DatasetPlan() {
  Handle plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (H5Pset_obj_track_times(plan.get(), false) < 0) return {};
  return plan;
}

bool WriteRows(hid_t group, const std::string& name, const std::vector<double>& values, int64_t rows) {
  const std::array<hsize_t, 2> shape = {static_cast<hsize_t>(rows), values.size() / static_cast<size_t>(rows)};
  const Handle space(H5Screate_simple(2, shape.data(), nullptr), H5Sclose);
  const Handle plan = DatasetPlan();
  Handle dataset(H5Dcreate2(group, name.c_str(), H5T_IEEE_F64LE, space.get(), H5P_DEFAULT, plan.get(), H5P_DEFAULT),
                 H5Dclose);
  return dataset && H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0 &&
         dataset.Reset();
}

// A byte a step, 0 but at the last one: how LIBERO writes `rewards` and `dones`.
bool WriteLast(hid_t group, const char* name, uint8_t last, int64_t steps) {
  std::vector<uint8_t> values(static_cast<size_t>(steps));
  values.back() = last;
  const auto length = static_cast<hsize_t>(steps);
  const Handle space(H5Screate_simple(1, &length, nullptr), H5Sclose);
  const Handle plan = DatasetPlan();
  Handle dataset(H5Dcreate2(group, name, H5T_STD_U8LE, space.get(), H5P_DEFAULT, plan.get(), H5P_DEFAULT), H5Dclose);
  return dataset && H5Dwrite(dataset.get(), H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0 &&
         dataset.Reset();
}

// The first step's state beside all of them, as LIBERO's evaluation asks for.
bool WriteInitialState(hid_t group, const std::vector<double>& states, int64_t steps) {
  const hsize_t length = states.size() / static_cast<size_t>(steps);
  const Handle space(H5Screate_simple(1, &length, nullptr), H5Sclose);
  const Handle attribute(H5Acreate2(group, "init_state", H5T_IEEE_F64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  return attribute && H5Awrite(attribute.get(), H5T_NATIVE_DOUBLE, states.data()) >= 0;
}

bool WriteImages(hid_t group, const std::string& name, const std::vector<Image>& images) {
  const auto height = static_cast<hsize_t>(images[0].height), width = static_cast<hsize_t>(images[0].width);
  const std::array<hsize_t, 4> shape = {images.size(), height, width, 3}, chunk = {1, height, width, 3};
  const Handle space(H5Screate_simple(4, shape.data(), nullptr), H5Sclose);
  const Handle plan = DatasetPlan();
  if (H5Pset_chunk(plan.get(), 4, chunk.data()) < 0 || H5Pset_deflate(plan.get(), kDeflateLevel) < 0) return false;
  Handle dataset(H5Dcreate2(group, name.c_str(), H5T_STD_U8LE, space.get(), H5P_DEFAULT, plan.get(), H5P_DEFAULT),
                 H5Dclose);
  const Handle memory(H5Screate_simple(4, chunk.data(), nullptr), H5Sclose);
  for (size_t i = 0; dataset && i < images.size(); ++i) {
    const std::array<hsize_t, 4> start = {i, 0, 0, 0};
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, chunk.data(), nullptr) < 0 ||
        H5Dwrite(dataset.get(), H5T_NATIVE_UCHAR, memory.get(), space.get(), H5P_DEFAULT, images[i].pixels.data()) <
            0) {
      return false;
    }
  }
  return dataset && dataset.Reset();  // the last chunks are written now
}

}  // namespace

struct DemonstrationWriter::State {
  State(const std::filesystem::path& path, std::string_view c) : target(path), published(path), camera(c) {}
  ~State() {
    const Lock lock;
    data.Reset();
    file.Reset();
  }

  [[noreturn]] void FailToWrite() const { Fail("{}: cannot be written; is the disk full?", target.string()); }

  std::filesystem::path target;
  AtomicFile published;
  std::string camera;
  OrderedJson problem = OrderedJson::object();  // problem_info, less its instruction
  std::optional<std::string> instruction{};     // of all demonstrations so far; empty when they have several
  Handle file, data;
  int64_t written = 0, steps = 0;
};

DemonstrationWriter::DemonstrationWriter(const std::filesystem::path& path, const OrderedJson& attributes,
                                         std::string_view camera)
    : state_(std::make_unique<State>(path, camera)) {
  const Lock lock;
  state_->file = {H5Fcreate(state_->published.temporary().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose};
  if (state_->file) {
    state_->data = {H5Gcreate2(state_->file.get(), "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
  }
  OrderedJson now = attributes;
  if (now.contains("problem_info")) {
    state_->problem = now["problem_info"];
    now.erase("problem_info");
  }
  if (!state_->data || !WriteAttributes(state_->data.get(), now)) {
    Fail("{}: cannot be written as HDF5", path.string());
  }
}

DemonstrationWriter::~DemonstrationWriter() = default;

void DemonstrationWriter::Add(const Demonstration& demonstration) {
  const auto steps = static_cast<int64_t>(demonstration.images.size());
  const auto ragged = [steps](size_t values) { return values == 0 || static_cast<int64_t>(values) % steps != 0; };
  if (steps == 0 || ragged(demonstration.actions.size()) ||
      (!demonstration.states.empty() && ragged(demonstration.states.size()))) {
    Fail("a demonstration has {} images, {} numbers of actions and {} of states; expected as many of each a step",
         steps, demonstration.actions.size(), demonstration.states.size());
  }
  for (const Image& image : demonstration.images) {
    if (image.width != demonstration.images[0].width || image.height != demonstration.images[0].height) {
      Fail("a demonstration has images of {} x {} and of {} x {} pixels, expected one size",
           demonstration.images[0].width, demonstration.images[0].height, image.width, image.height);
    }
  }
  for (const auto& [name, values] : demonstration.observations) {
    if (ragged(values.size()) || name == state_->camera || name.empty()) {
      Fail(
          "a demonstration of {} steps has {} numbers of the observation \"{}\"; expected as many a step, and not the "
          "camera's name",
          steps, values.size(), name);
    }
  }
  const Lock lock;
  const std::string name = fmt::format("demo_{}", state_->written);
  const Handle group(H5Gcreate2(state_->data.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  const Handle observations(H5Gcreate2(group.get(), "obs", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!observations || !WriteInteger(group.get(), "num_samples", steps) ||
      !WriteText(group.get(), "language_instruction", demonstration.instruction) ||
      !WriteAttributes(group.get(), demonstration.attributes) ||
      !WriteRows(group.get(), "actions", demonstration.actions, steps) ||
      !WriteLast(group.get(), "rewards", demonstration.success ? 1 : 0, steps) ||
      !WriteLast(group.get(), "dones", 1, steps) ||
      (!demonstration.states.empty() && !(WriteRows(group.get(), "states", demonstration.states, steps) &&
                                          WriteInitialState(group.get(), demonstration.states, steps))) ||
      !WriteImages(observations.get(), state_->camera, demonstration.images)) {
    state_->FailToWrite();
  }
  for (const auto& [observation, values] : demonstration.observations) {
    if (!WriteRows(observations.get(), observation, values, steps)) state_->FailToWrite();
  }
  if (!state_->instruction) state_->instruction = demonstration.instruction;
  if (*state_->instruction != demonstration.instruction) state_->instruction = "";
  ++state_->written;
  state_->steps += steps;
}

void DemonstrationWriter::Finish() {
  const Lock lock;
  const std::string shared = state_->instruction.value_or("");
  state_->problem["language_instruction"] = shared.empty() ? kSeveralInstructions : shared;
  if (!WriteText(state_->data.get(), "problem_info", state_->problem.dump()) ||
      !WriteInteger(state_->data.get(), "num_demos", state_->written) ||
      !WriteInteger(state_->data.get(), "total", state_->steps) || !state_->data.Reset() || !state_->file.Reset()) {
    state_->FailToWrite();
  }
  state_->published.Commit();
}

int64_t DemonstrationWriter::written() const {
  return state_->written;
}

}  // namespace kinetok
