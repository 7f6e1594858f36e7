// What a recording holds beside images, actions and instructions, for other programs' readers: read with the HDF5
// library itself.
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "kinetok/base/json.h"
#include "kinetok/io/hdf5_handle.h"
#include "sim/record.h"
#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

using hdf5::Handle;
using hdf5::Lock;

class RecordLayoutTest : public ::testing::Test {
 protected:
  ~RecordLayoutTest() override { std::filesystem::remove(file_); }

  // The rows of a dataset of float64.
  std::vector<std::vector<double>> Rows(const std::string& name) const {
    const Lock lock;
    const Handle opened(H5Fopen(file_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Handle dataset(H5Dopen2(opened.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    const Handle space(H5Dget_space(dataset.get()), H5Sclose);
    std::array<hsize_t, 2> shape{};
    EXPECT_EQ(H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr), 2) << name;
    std::vector<double> all(shape[0] * shape[1]);
    EXPECT_GE(H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()), 0) << name;
    std::vector<std::vector<double>> rows;
    for (size_t i = 0; i < all.size(); i += shape[1]) rows.emplace_back(&all[i], &all[i] + shape[1]);
    return rows;
  }

  // A text attribute of `data`.
  std::string Text(const char* name) const {
    const Lock lock;
    const Handle opened(H5Fopen(file_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Handle data(H5Gopen2(opened.get(), "data", H5P_DEFAULT), H5Gclose);
    const Handle attribute(H5Aopen(data.get(), name, H5P_DEFAULT), H5Aclose);
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    char* text = nullptr;
    EXPECT_GE(H5Aread(attribute.get(), type.get(), static_cast<void*>(&text)), 0) << name;
    std::string out = text == nullptr ? "" : text;
    H5free_memory(text);
    return out;
  }

  std::filesystem::path file_ = std::filesystem::path(::testing::TempDir()) /
                                ("kinetok_layout_" + std::to_string(getpid()) +
                                 ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".hdf5");
};

using Matrix = std::array<Vec3, 3>;

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix out{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      for (size_t k = 0; k < 3; ++k) out[i][j] += a[i][k] * b[k][j];
    }
  }
  return out;
}

// By `angle` about an axis of length 1 (Rodrigues 1840).
Matrix Rotation(const Vec3& axis, double angle) {
  const Matrix cross = {{{0, -axis[2], axis[1]}, {axis[2], 0, -axis[0]}, {-axis[1], axis[0], 0}}};
  const Matrix square = Product(cross, cross);
  Matrix out{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      out[i][j] = (i == j ? 1 : 0) + std::sin(angle) * cross[i][j] + (1 - std::cos(angle)) * square[i][j];
    }
  }
  return out;
}

TEST_F(RecordLayoutTest, TheGrippersPoseIsWrittenAsLiberoWritesIt) {
  RecordOptions options{.out = file_, .episodes = 1, .seed = 2, .image_size = 16, .max_steps = 6};
  options.policy = [](const Image&, std::string_view, const WorldState&) {
    return ActionVector{0.01, 0, 0.01, 0.05, -0.03, 0.2, 0};
  };
  options.policy_share = 1;
  Record(options);
  const auto states = Rows("data/demo_0/states"), position = Rows("data/demo_0/obs/ee_pos"),
             turn = Rows("data/demo_0/obs/ee_ori"), both = Rows("data/demo_0/obs/ee_states"),
             fingers = Rows("data/demo_0/obs/gripper_states");
  ASSERT_EQ(states.size(), 6U);
  Simulator simulator(DrawSituation(2, 0).scene);
  for (size_t step = 0; step < states.size(); ++step) {
    SCOPED_TRACE(step);
    simulator.Load(states[step]);
    const WorldState& state = simulator.state();
    const GripperPose& g = state.gripper;
    EXPECT_EQ(position[step], (std::vector<double>{g.x, g.y, g.z}));
    std::vector<double> joined = position[step];
    joined.insert(joined.end(), turn[step].begin(), turn[step].end());
    EXPECT_EQ(both[step], joined);
    EXPECT_EQ(fingers[step][0], state.fingers[0]);
    EXPECT_EQ(fingers[step][1], -state.fingers[1]);
    EXPECT_NEAR(fingers[step][0] - fingers[step][1], state.opening, 1e-12);

    const double angle = std::hypot(turn[step][0], turn[step][1], turn[step][2]);
    const Vec3 axis = {turn[step][0] / angle, turn[step][1] / angle, turn[step][2] / angle};
    const Matrix written = Rotation(axis, angle);
    const Matrix expected =
        Product(Product(Rotation({0, 0, 1}, g.yaw), Rotation({0, 1, 0}, g.pitch)), Rotation({1, 0, 0}, g.roll));
    for (size_t i = 0; i < 3; ++i) {
      for (size_t j = 0; j < 3; ++j) EXPECT_NEAR(written[i][j], expected[i][j], 1e-12);
    }
  }
  EXPECT_GT(std::abs(turn.back()[0]), 0.05) << "the gripper was to tilt";
}

TEST_F(RecordLayoutTest, TheFileSaysWhichWorldAndWhichTask) {
  RecordOptions options{.out = file_, .episodes = 1, .seed = 2, .image_size = 16};
  Record(options);
  const Json world = ParseJson(Text("env_args"), "env_args");
  EXPECT_EQ(world.at("type"), 0);
  EXPECT_EQ(world.at("env_name"), "kinetok_table");
  EXPECT_EQ(world.at("env_kwargs").at("seed"), 2);
  EXPECT_EQ(Text("env_name"), "kinetok_table");
  EXPECT_EQ(Text("macros_image_convention"), "opencv");
  const Json problem = ParseJson(Text("problem_info"), "problem_info");
  EXPECT_EQ(problem.at("problem_name"), "kinetok_table");
  EXPECT_EQ(problem.at("language_instruction"), DrawSituation(2, 0).instruction);
}

}  // namespace
}  // namespace kinetok::sim
