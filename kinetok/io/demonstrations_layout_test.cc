// Files that are not as they should be, or not as our writer makes them: written with the HDF5 library itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kinetok/io/demonstrations.h"
#include "kinetok/io/hdf5_handle.h"
#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using hdf5::Handle;
using hdf5::Lock;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A dataset of this shape, made as `plan` says, without its values.
Handle Create(hid_t at, const char* name, hid_t type, const std::vector<hsize_t>& shape, hid_t plan = H5P_DEFAULT) {
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  return {H5Dcreate2(at, name, type, space.get(), H5P_DEFAULT, plan, H5P_DEFAULT), H5Dclose};
}

// The same with values: as many numbers or bytes as the shape says.
template <class Value>
void Write(hid_t at, const char* name, hid_t type, const std::vector<hsize_t>& shape,
           const std::vector<Value>& values) {
  const Handle dataset = Create(at, name, type, shape);
  ASSERT_GE(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
}

// Bytes, all zero, compressed in chunks of so many rows, of which the first few are written.
void WriteZeros(hid_t at, const char* name, const std::vector<hsize_t>& shape, hsize_t rows, hsize_t chunks) {
  std::vector<hsize_t> chunk = shape, start(shape.size());
  chunk[0] = rows;
  const auto rank = static_cast<int>(shape.size());
  const Handle plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(plan.get(), rank, chunk.data());
  H5Pset_deflate(plan.get(), 9);
  const Handle dataset = Create(at, name, H5T_NATIVE_UCHAR, shape, plan.get());
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const Handle memory(H5Screate_simple(rank, chunk.data(), nullptr), H5Sclose);
  const std::vector<uint8_t> zeros(static_cast<size_t>(H5Sget_simple_extent_npoints(memory.get())));
  for (; start[0] < chunks * rows; start[0] += rows) {
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, chunk.data(), nullptr);
    ASSERT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_UCHAR, memory.get(), space.get(), H5P_DEFAULT, zeros.data()), 0);
  }
}

void Remove(hid_t at, const char* name) {
  ASSERT_GE(H5Ldelete(at, name, H5P_DEFAULT), 0);
}

// Texts as an attribute: one, or a list of several; of variable length unless `length` is given.
void WriteTexts(hid_t at, const char* name, const std::vector<std::string>& texts, size_t length = 0) {
  if (H5Aexists(at, name) > 0) H5Adelete(at, name);
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), length == 0 ? H5T_VARIABLE : length);
  const hsize_t count = texts.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Handle attribute(H5Acreate2(at, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  std::vector<const char*> pointers;
  std::string fixed;
  for (const std::string& text : texts) {
    pointers.push_back(text.c_str());
    std::string padded = text;
    padded.resize(length);
    fixed += padded;
  }
  const void* data = length == 0 ? static_cast<const void*>(pointers.data()) : fixed.data();
  ASSERT_GE(H5Awrite(attribute.get(), type.get(), data), 0);
}

class DemonstrationsLayoutTest : public TemporaryFolder {
 protected:
  std::filesystem::path file() const { return folder() / "demos.hdf5"; }

  // Three demonstrations of four steps, written as they should be, and then what `spoil` does to the open file.
  template <class Spoil>
  void Make(Spoil spoil) const {
    DemonstrationWriter writer(file(), OrderedJson::object());
    Demonstration demo{
        .instruction = "push", .images = std::vector<Image>(4, Image(6, 5)), .actions = {}, .states = {}};
    demo.actions.resize(4 * 7);
    for (int i = 0; i < 3; ++i) writer.Add(demo);
    writer.Finish();
    const Lock lock;
    Handle opened(H5Fopen(file().c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    ASSERT_TRUE(opened);
    spoil(opened.get());
    ASSERT_TRUE(opened.Reset());
  }

  std::string Error() const {
    return ErrorOf([&] { const DemonstrationFile demos(file()); });
  }

  // The instruction of demo_1.
  std::string Instruction() const { return DemonstrationFile(file()).demonstrations()[1].instruction; }
};

TEST_F(DemonstrationsLayoutTest, WhatIsAbsentOrOfAnotherKindIsNamed) {
  struct Case {
    const char* what;
    void (*spoil)(hid_t file);
    const char* error;
  };
  const std::vector<Case> cases = {
      {"no data", [](hid_t f) { Remove(f, "data"); },
       "demos.hdf5: has no group \"data\", expected the layout of LIBERO or robomimic"},
      {"data is numbers",
       [](hid_t f) {
         Remove(f, "data");
         Write<double>(f, "data", H5T_NATIVE_DOUBLE, {2}, {1, 2});
       },
       "demos.hdf5: has no group \"data\", expected the layout of LIBERO or robomimic"},
      {"a demonstration is numbers",
       [](hid_t f) {
         Remove(f, "data/demo_1");
         Write<double>(f, "data/demo_1", H5T_NATIVE_DOUBLE, {2}, {1, 2});
       },
       "data/demo_1: is no group; expected one demonstration each"},
      {"no actions", [](hid_t f) { Remove(f, "data/demo_1/actions"); }, "data/demo_1: has no dataset \"actions\""},
      {"actions are a group",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         const Handle group(H5Gcreate2(f, "data/demo_1/actions", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
       },
       "data/demo_1: has no dataset \"actions\""},
      {"actions are text",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         Write<char>(f, "data/demo_1/actions", H5T_C_S1, {4, 7}, std::vector<char>(28, 'x'));
       },
       "data/demo_1/actions: holds no numbers"},
      {"actions are one row",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         Write<double>(f, "data/demo_1/actions", H5T_NATIVE_DOUBLE, {28}, std::vector<double>(28));
       },
       "data/demo_1/actions: has shape [28], expected [steps, dimensions]"},
      {"no step",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         Create(f, "data/demo_1/actions", H5T_NATIVE_DOUBLE, {0, 7});
       },
       "data/demo_1/actions: has shape [0, 7], expected [steps, dimensions]"},
      {"actions of six numbers",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         Write<double>(f, "data/demo_1/actions", H5T_NATIVE_DOUBLE, {4, 6}, std::vector<double>(24));
       },
       "data/demo_1/actions: has 6 dimensions, other demonstrations of the file have 7"},
      {"actions are one row short",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         Write<double>(f, "data/demo_1/actions", H5T_NATIVE_DOUBLE, {3, 7}, std::vector<double>(21));
       },
       "data/demo_1/obs/agentview_rgb: has 4 images for 3 actions"},
      {"actions are infinite",
       [](hid_t f) {
         Remove(f, "data/demo_1/actions");
         std::vector<double> values(28);
         values[27] = std::numeric_limits<double>::infinity();
         Write<double>(f, "data/demo_1/actions", H5T_NATIVE_DOUBLE, {4, 7}, values);
       },
       "data/demo_1/actions: step 3, dimension 6 is inf, expected a finite number"},
      {"no observations", [](hid_t f) { Remove(f, "data/demo_1/obs"); }, "data/demo_1: has no group \"obs\""},
      {"observations are numbers",
       [](hid_t f) {
         Remove(f, "data/demo_1/obs");
         Write<double>(f, "data/demo_1/obs", H5T_NATIVE_DOUBLE, {2}, {1, 2});
       },
       "data/demo_1: has no group \"obs\""},
      {"no camera", [](hid_t f) { Remove(f, "data/demo_1/obs/agentview_rgb"); },
       "data/demo_1/obs: has no camera \"agentview_rgb\", only "},
      {"images are numbers",
       [](hid_t f) {
         Remove(f, "data/demo_1/obs/agentview_rgb");
         Write<double>(f, "data/demo_1/obs/agentview_rgb", H5T_NATIVE_DOUBLE, {4, 5, 6, 3}, std::vector<double>(360));
       },
       "data/demo_1/obs/agentview_rgb: has shape [4, 5, 6, 3] of 8-byte values, expected [steps, height, width, 3] of "
       "bytes"},
      {"images are grey",
       [](hid_t f) {
         Remove(f, "data/demo_1/obs/agentview_rgb");
         Write<uint8_t>(f, "data/demo_1/obs/agentview_rgb", H5T_NATIVE_UCHAR, {4, 5, 6}, std::vector<uint8_t>(120));
       },
       "data/demo_1/obs/agentview_rgb: has shape [4, 5, 6] of 1-byte values, expected [steps, height, width, 3] of "
       "bytes"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Make(c.spoil);
    EXPECT_THAT(Error(), StartsWith(file().string()));
    EXPECT_THAT(Error(), HasSubstr(c.error));
  }
}

TEST_F(DemonstrationsLayoutTest, MoreIsNotDeclaredThanTheFileHolds) {
  Make([](hid_t f) {  // 5 GB of memory, were the shape believed
    for (const char* demo : {"data/demo_1", "data/demo_2"}) Remove(f, demo);
    Remove(f, "data/demo_0/actions");
    Create(f, "data/demo_0/actions", H5T_NATIVE_DOUBLE, {10'000'000, 64});
  });
  EXPECT_LT(std::filesystem::file_size(file()), 100'000);
  EXPECT_THAT(Error(), EndsWith("data/demo_0/actions: has shape [10000000, 64], of which the file holds 0 bytes; it is "
                                "damaged or cut short"));
  Make([](hid_t f) {  // one of four images was written
    Remove(f, "data/demo_1/obs/agentview_rgb");
    WriteZeros(f, "data/demo_1/obs/agentview_rgb", {4, 1000, 1000, 3}, 1, 1);
  });
  EXPECT_THAT(Error(),
              HasSubstr("data/demo_1/obs/agentview_rgb: has shape [4, 1000, 1000, 3], of which the file holds"));
  Make([](hid_t f) {  // as tightly packed as can be, and all there
    Remove(f, "data/demo_1/obs/agentview_rgb");
    WriteZeros(f, "data/demo_1/obs/agentview_rgb", {4, 1000, 1000, 3}, 1, 4);
  });
  EXPECT_EQ(Error(), "");
}

TEST_F(DemonstrationsLayoutTest, ActionsOfManyStepsAreAnErrorBeforeTheyFillTheMemory) {
  constexpr hsize_t kSteps = 2'200'000, kRows = 100'000;
  Make([](hid_t f) {  // 141 MB as bytes, packed into a thousandth of that, and 1.1 GB as numbers
    for (const char* demo : {"data/demo_1", "data/demo_2"}) Remove(f, demo);
    for (const char* name : {"data/demo_0/actions", "data/demo_0/obs/agentview_rgb"}) Remove(f, name);
    WriteZeros(f, "data/demo_0/actions", {kSteps, 64}, kRows, kSteps / kRows);
    WriteZeros(f, "data/demo_0/obs/agentview_rgb", {kSteps, 1, 1, 3}, kRows, kSteps / kRows);
  });
  EXPECT_LT(std::filesystem::file_size(file()), 1'000'000);
  EXPECT_THAT(Error(), EndsWith("data/demo_0/actions: the file's actions take more than 1024 MiB of memory; expected a "
                                "file of fewer steps"));
}

TEST_F(DemonstrationsLayoutTest, AnInstructionMayComeInPieces) {
  // LIBERO's own reader joins the pieces and takes the quotation marks off.
  struct Case {
    const char* json;
    const char* instruction;
  };
  for (const Case& c : std::vector<Case>{{R"({"language_instruction": "pick up the milk"})", "pick up the milk"},
                                         {R"({"language_instruction": ["pick up the milk"]})", "pick up the milk"},
                                         {R"({"language_instruction": ["pick up ", "the milk"]})", "pick up the milk"},
                                         {R"({"language_instruction": "\"pick up the milk\""})", "pick up the milk"}}) {
    SCOPED_TRACE(c.json);
    Make([&](hid_t f) {
      const Handle data(H5Gopen2(f, "data", H5P_DEFAULT), H5Gclose);
      const Handle demo(H5Gopen2(f, "data/demo_1", H5P_DEFAULT), H5Gclose);
      H5Adelete(demo.get(), "language_instruction");
      WriteTexts(data.get(), "problem_info", {c.json});
    });
    EXPECT_EQ(Instruction(), c.instruction);
  }
  for (const size_t length : {0, 10}) {
    Make([&](hid_t f) {
      const Handle demo(H5Gopen2(f, "data/demo_1", H5P_DEFAULT), H5Gclose);
      WriteTexts(demo.get(), "language_instruction", {"pick up ", "the milk"}, length);
    });
    EXPECT_EQ(Instruction(), "pick up the milk") << length;
  }

  const auto error = [&](const char* json) {
    Make([&](hid_t f) {
      const Handle data(H5Gopen2(f, "data", H5P_DEFAULT), H5Gclose);
      WriteTexts(data.get(), "problem_info", {json});
      const Handle demo(H5Gopen2(f, "data/demo_0", H5P_DEFAULT), H5Gclose);
      H5Adelete(demo.get(), "language_instruction");
    });
    return Error();
  };
  EXPECT_THAT(error(R"({"language_instruction": ["pick", 3]})"),
              EndsWith("attribute problem_info: field \"language_instruction\" holds 3, expected text"));
  EXPECT_THAT(error(R"({"language_instruction": []})"), HasSubstr("data/demo_0: has no instruction"));
  EXPECT_THAT(error(R"({"language_instruction": "\"\""})"), HasSubstr("data/demo_0: has no instruction"));
}

// All numbers of a dataset; its type must be this one, as it is in the file.
template <class Value>
std::vector<Value> ReadAll(hid_t at, const char* name, hid_t stored, hid_t type, const std::vector<hsize_t>& shape) {
  const Handle dataset(H5Dopen2(at, name, H5P_DEFAULT), H5Dclose);
  if (!dataset) return {};
  const Handle as(H5Dget_type(dataset.get()), H5Tclose), space(H5Dget_space(dataset.get()), H5Sclose);
  EXPECT_GT(H5Tequal(as.get(), stored), 0) << name;
  std::vector<hsize_t> sizes(static_cast<size_t>(H5Sget_simple_extent_ndims(space.get())));
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  EXPECT_EQ(sizes, shape) << name;
  std::vector<Value> values(static_cast<size_t>(H5Sget_simple_extent_npoints(space.get())));
  EXPECT_GE(H5Dread(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << name;
  return values;
}

TEST_F(DemonstrationsLayoutTest, WhatIsWrittenIsAllThatLiberosAndRobomimicsReadersAskFor) {
  Demonstration demo{.instruction = "push", .images = std::vector<Image>(2, Image(6, 5)), .actions = {1, 2, 3, 4}};
  demo.states = {1, 2, 3, 4, 5, 6};
  demo.observations = {{"ee_pos", {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}}, {"gripper_states", {1, -1, 2, -2}}};
  const auto write = [&](const char* second) {
    DemonstrationWriter writer(file(), {{"problem_info", {{"problem_name", "table"}}}, {"env_args", {{"type", 0}}}});
    writer.Add(demo);
    Demonstration failed = demo;
    failed.success = false;
    failed.instruction = second;
    writer.Add(failed);
    writer.Finish();
  };
  write("push");
  {
    const Lock lock;
    const Handle opened(H5Fopen(file().c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const hid_t f = opened.get();
    const auto doubles = [f](const char* name, const std::vector<hsize_t>& shape) {
      return ReadAll<double>(f, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, shape);
    };
    const auto bytes = [f](const char* name) { return ReadAll<uint8_t>(f, name, H5T_STD_U8LE, H5T_NATIVE_UCHAR, {2}); };
    EXPECT_EQ(doubles("data/demo_0/actions", {2, 2}), demo.actions);
    EXPECT_EQ(doubles("data/demo_0/states", {2, 3}), demo.states);
    EXPECT_EQ(doubles("data/demo_0/obs/ee_pos", {2, 3}), demo.observations["ee_pos"]);
    EXPECT_EQ(doubles("data/demo_0/obs/gripper_states", {2, 2}), demo.observations["gripper_states"]);
    EXPECT_EQ(bytes("data/demo_0/rewards"), (std::vector<uint8_t>{0, 1}));
    EXPECT_EQ(bytes("data/demo_0/dones"), (std::vector<uint8_t>{0, 1}));
    EXPECT_EQ(bytes("data/demo_1/rewards"), (std::vector<uint8_t>{0, 0})) << "it failed";
    EXPECT_EQ(bytes("data/demo_1/dones"), (std::vector<uint8_t>{0, 1}));
    const Handle demo_1(H5Gopen2(f, "data/demo_1", H5P_DEFAULT), H5Gclose);
    const Handle initial(H5Aopen(demo_1.get(), "init_state", H5P_DEFAULT), H5Aclose);
    std::vector<double> state(3);
    ASSERT_GE(H5Aread(initial.get(), H5T_NATIVE_DOUBLE, state.data()), 0);
    EXPECT_EQ(state, (std::vector<double>{1, 2, 3}));
  }
  const auto problem = [&] {
    const Lock lock;
    const Handle opened(H5Fopen(file().c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Handle data(H5Gopen2(opened.get(), "data", H5P_DEFAULT), H5Gclose);
    const Handle attribute(H5Aopen(data.get(), "problem_info", H5P_DEFAULT), H5Aclose);
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    char* text = nullptr;
    EXPECT_GE(H5Aread(attribute.get(), type.get(), static_cast<void*>(&text)), 0);
    std::string out = text == nullptr ? "" : text;
    H5free_memory(text);
    return out;
  };
  EXPECT_EQ(problem(), R"({"problem_name":"table","language_instruction":"push"})");
  write("pull");
  EXPECT_EQ(problem(), R"({"problem_name":"table","language_instruction":"several: each demonstration's attribute )"
                       R"(language_instruction"})");
  const DemonstrationFile demos(file());
  EXPECT_EQ(demos.demonstrations()[0].instruction, "push");
  EXPECT_EQ(demos.demonstrations()[1].instruction, "pull");
}

}  // namespace
}  // namespace kinetok
